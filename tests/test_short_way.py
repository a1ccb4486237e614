"""A single text is looked for in the cache before a call is made of it: nobody can tell, but by the time it takes."""

import asyncio
import threading
import warnings
from dataclasses import replace

import pytest

from embedbridge import CacheWarning, Embedder
from embedbridge.cache import DiskCache, MemoryCache
from support.own_cache import Own

pytest.importorskip("openai")

TEXTS = ("a text", "ends in spaces   ", "Grüße", "long " * 9000, "search_query: a text", " ")


def made(server, cache, **options):
    return Embedder(
        "openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="sk", cache=cache, empty="zero", **options
    )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (DiskCache, {}),
        (MemoryCache, {"dimensions": 100, "normalize": True}),
        (MemoryCache, {"query_prefix": "search_query: ", "too_long": "mean"}),
    ],
)
def test_a_hit_is_reported_alike_whether_or_not_an_observer_takes_events(server, caller, tmp_path, kind, options):
    """With an observer, every call goes the whole way."""
    told = []
    for name, observers in (("first", []), ("quiet", []), ("heard", [lambda _: None])):
        cache = kind(tmp_path / name) if kind is DiskCache else kind()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a prefix that stands there already
            embedder = made(server, cache, observers=observers, **options)
            results = [caller.embed(embedder, [text], input_type="query") for text in TEXTS * 3]
            results += [caller.embed(embedder, ["one", "two"]), caller.embed(embedder, ["one"])]
        stats = cache.stats()
        told.append(
            (
                [(result.vectors.tobytes(), replace(result.report, seconds=0.0, waited=0.0)) for result in results],
                replace(embedder.usage, seconds=0.0, waited=0.0),
                (stats.entries, stats.hits, stats.misses, stats.labels),
            )
        )
        assert all(result.vectors.flags.writeable and result.vectors.flags.c_contiguous for result in results)
        assert embedder.usage.seconds > 0
        assert not embedder._shared.flights._watched
    _, quiet, heard = told  # the first one has taught both how much the server reads of a text
    for text, short, whole in zip((*TEXTS * 3, "one, two", "one"), quiet[0], heard[0], strict=True):
        assert short[1] == whole[1], text[:20]
        assert short[0] == whole[0], text[:20]
    assert quiet[1:] == heard[1:]


def test_a_text_that_is_not_there_is_looked_for_once(server, caller):
    cache = Own()
    embedder = made(server, cache)
    caller.embed(embedder, ["what is made at the first call"])
    cache.read.clear()
    caller.embed(embedder, ["a text"])
    assert set(cache.read.values()) == {1}
    assert server.stats.texts == 2


def test_a_text_that_another_call_stored_after_the_look_is_not_asked_for_again(server, caller):
    class Late(MemoryCache):
        meanwhile = None

        def get_many(self, keys):
            found = super().get_many(keys)
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile:
                other = threading.Thread(target=meanwhile)
                other.start()
                other.join()
            return found

    cache = Late()
    embedder, other = made(server, cache), made(server, cache)
    caller.embed(embedder, ["what is made at the first call"])
    cache.meanwhile = lambda: other.embed(["a text"])
    assert caller.embed(embedder, ["a text"]).report.hits == 1
    assert server.stats.texts == 2
    assert not embedder._shared.flights._watched
    other.close()


def test_a_look_that_ends_in_an_error_is_a_call_that_failed(server, caller):
    """It does so where a program makes errors of warnings; the look is in the embedder's total, and has an end."""

    class Broken(Own):
        blocking = False  # read on an event loop, where the filters are those of this test

        def get_many(self, keys):
            return dict.fromkeys(keys, 17) if self.kept else {}

    embedder = made(server, Broken())
    caller.embed(embedder, ["what is made at the first call"])
    with pytest.raises(CacheWarning, match="other than bytes"):  # pytest's filters make errors of warnings
        caller.embed(embedder, ["a text"])
    assert embedder.usage.texts == 2
    assert not embedder._shared.flights._watched
    assert caller.embed(embedder, ["a text"]).report.misses == 1


def test_a_call_that_is_cancelled_while_it_looks_is_counted_once(server):
    class Slow(Own):
        def __init__(self):
            super().__init__()
            self.slow, self.reading, self.go = False, threading.Event(), threading.Event()

        def get_many(self, keys):
            if self.slow:
                self.reading.set()
                self.go.wait(10)
            return super().get_many(keys)

    async def cancelled():
        call = asyncio.ensure_future(embedder.aembed(["a text"]))
        assert await asyncio.to_thread(cache.reading.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        cache.slow = False
        cache.go.set()
        await asyncio.sleep(0.1)

    cache = Slow()
    embedder = made(server, cache)
    embedder.embed(["a text"])
    cache.slow = True
    asyncio.run(cancelled())
    assert (embedder.usage.texts, embedder.usage.hits) == (2, 0)
