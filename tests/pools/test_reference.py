"""What a pool's vectors have to agree with is decided once for a cache, and outlives what is stored beside it."""

import asyncio
import contextlib
import threading

import pytest

from core.parts import Clock
from embedbridge import SpaceMismatchError
from embedbridge.cache import DiskCache, MemoryCache, RedisCache, TieredCache
from embedbridge.testing import FaultServer, no_waiting
from support.caller import Caller
from support.scene import WIDTH, NearlyServer, corpus, scene

pytest.importorskip("openai")
pytestmark = [pytest.mark.one_flow, pytest.mark.filterwarnings("ignore:endpoint .* is left out")]


def another(text):
    return f"{text} as another model reads it"


class MeetingServer(NearlyServer):
    """Answers its first request once all servers of a meeting have been asked."""

    def __init__(self, change, meeting):
        super().__init__(change)
        self.meeting = meeting

    async def _work(self, request, *rest):
        meeting, self.meeting = self.meeting, None
        if meeting is not None:
            await asyncio.to_thread(meeting.wait, 30)
        return await super()._work(request, *rest)


@pytest.mark.parametrize("kind", ["disk", "redis", "tiers", "memory"])
def test_of_two_that_begin_at_once_with_other_models_one_is_refused(mode, valkey, tmp_path, kind):
    one, meeting, results, failures = MemoryCache(), threading.Barrier(2), [], []
    make = {
        "disk": lambda: DiskCache(tmp_path),
        "redis": lambda: RedisCache(valkey.url),
        "tiers": lambda: TieredCache([MemoryCache(), DiskCache(tmp_path)]),
        "memory": lambda: one,
    }[kind]

    def begin(these, texts):
        caller = Caller(mode)
        with contextlib.closing(caller):
            try:
                embedder = these.embedder(cache=make(), base_url="http://pool.example/v1", max_retries=0)
                results.append(caller.embed(embedder, texts))
            except SpaceMismatchError as error:
                failures.append(str(error))

    with (
        scene(MeetingServer(str, meeting)) as these,
        scene(MeetingServer(another, meeting)) as those,
        scene(FaultServer(width=WIDTH)) as spare,
    ):
        for each in (these, those):
            each.servers = (*each.servers, *spare.servers)
        spare.servers[0].on(lambda _: True, "401")
        # One has a short text, the other a long one: they need other proofs.
        texts = [corpus(2), [text * 60 for text in corpus(2)]]
        threads = [threading.Thread(target=begin, args=each) for each in zip((these, those), texts, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert (len(results), len(failures)) == (1, 1), failures
    assert "1 - cosine is" in failures[0]


KEPT = {
    "a lifetime, on disk": lambda folder, clock: DiskCache(folder, ttl=60, clock=clock),
    "a lifetime, in memory": lambda _, clock: MemoryCache(ttl=60, clock=clock),
    "a size, in memory": lambda *_: MemoryCache(size_limit=4 * WIDTH),
}


@pytest.mark.parametrize("bound", KEPT)
def test_a_reference_is_kept_though_a_cache_forgets_entries(caller, tmp_path, bound):
    clock = Clock()
    cache, options = KEPT[bound](tmp_path, clock), {"batch_size": 2, "concurrency": 1, "max_retries": 0}
    with scene(FaultServer(width=WIDTH), NearlyServer(another)) as these, no_waiting():
        caller.embed(these.embedder(cache=cache, **options), corpus(2))
        clock.now += 100
        these.servers[0].on(lambda _: True, "503")
        with pytest.raises(SpaceMismatchError, match="1 - cosine is"):
            caller.embed(these.embedder(cache=cache, **options), corpus(2))
        these.servers[0].reset()
        these.check(corpus(2), caller.embed(these.embedder(cache=cache, **options), corpus(2)).vectors)


def test_clearing_a_cache_forgets_the_reference(caller, tmp_path):
    with scene(FaultServer(width=WIDTH), NearlyServer(another)) as these, no_waiting():
        cache = DiskCache(tmp_path)
        caller.embed(these.embedder(cache=cache), corpus(1))
        for label in (None, "openai:nobodys-model"):
            cache.clear(label)
            these.servers[label is None].reset()
            these.servers[label is not None].on(lambda _: True, "503")
            caller.embed(these.embedder(cache=cache), corpus(1))
