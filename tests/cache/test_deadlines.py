"""R1: a cache that cannot be had costs a call some of its time, and never the call or what was paid for."""

import contextlib
import signal
import threading
import time
from functools import partial

import numpy as np
import pytest

from cache.parts import database, one_warning, start_python
from embedbridge import CacheWarning, Embedder
from embedbridge.cache import DiskCache, MemoryCache, RedisCache, TieredCache
from support.waiting import until

TEXTS = [f"a text of number {number}" for number in range(60)]
DEADLINE = 5.0

pytestmark = pytest.mark.filterwarnings("ignore::embedbridge.errors.CacheWarning")

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] == "alone":
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def locked(directory, how="for writing"):
    """Another process holds the lock that every writer needs, or alone every reader as well; gives what ends that."""
    with start_python(HOLD, database(directory), how) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield process.kill
        finally:
            process.kill()


def embedder_for(server, cache, **options):
    usual = {"base_url": f"{server.url}/v1", "api_key": "k", "batch_size": 5, "concurrency": 2, "deadline": DEADLINE}
    return Embedder("openai:text-embedding-3-small", cache=cache, **usual | options)


def right(server):
    return np.stack([server.vector(text) for text in TEXTS])


def fill(server, directory, texts):
    with embedder_for(server, directory) as embedder:
        embedder.embed(texts)
    server.reset()


@pytest.mark.parametrize("how", ["for writing", "alone"])
def test_a_lock_of_the_cache_costs_a_part_of_the_deadline_and_what_was_paid_for_is_written_when_it_ends(
    server, caller, tmp_path, how
):
    """R1: nothing is lost and nothing paid twice, also by a second call while the lock is held."""
    fill(server, tmp_path, ["something else"])
    embedder = embedder_for(server, tmp_path)
    with locked(tmp_path, how) as release:
        begun = time.monotonic()
        result = caller.embed(embedder, TEXTS)
        assert time.monotonic() - begun < DEADLINE
        np.testing.assert_allclose(result.vectors, right(server), atol=1e-6)
        assert caller.embed(embedder, TEXTS).report.hits == len(TEXTS), "what waits to be written is found"
        release()
    caller.call(embedder, "close")
    again = caller.embed(embedder_for(server, tmp_path), TEXTS)
    np.testing.assert_array_equal(again.vectors, result.vectors)
    assert server.stats.billed == dict.fromkeys(TEXTS, 1)


def test_without_a_call_to_close_what_waits_is_written_too(server, caller, tmp_path):
    fill(server, tmp_path, ["something else"])
    embedder = embedder_for(server, tmp_path)
    with locked(tmp_path) as release:
        caller.embed(embedder, TEXTS)
        release()
    until(lambda: DiskCache(tmp_path).stats().entries == len(TEXTS) + 1, 20)


def test_a_lock_of_writers_keeps_no_other_call_from_reading(server, caller, tmp_path):
    """R1: also of a model whose dimensions are to be stored first."""
    unlisted = partial(Embedder, "openai:unlisted", base_url=f"{server.url}/v1", api_key="k", deadline=DEADLINE)
    fill(server, tmp_path, ["something else"])
    with locked(tmp_path):
        caller.embed(unlisted(cache=tmp_path), TEXTS[:5])
        assert caller.embed(embedder_for(server, tmp_path), ["something else"]).report.hits == 1
        again = caller.embed(unlisted(cache=tmp_path), TEXTS[:5])
        assert again.report.hits == 5, "another embedder finds what waits, too"
    assert server.stats.billed == dict.fromkeys(TEXTS[:5], 1)


@pytest.mark.slow
def test_a_lock_without_a_deadline_is_waited_for_once(server, caller, tmp_path):
    fill(server, tmp_path, ["something else"])
    embedder = embedder_for(server, tmp_path, deadline=None)
    with locked(tmp_path) as release:
        begun = time.monotonic()
        caller.embed(embedder, TEXTS)
        assert time.monotonic() - begun < 12
        release()
    caller.call(embedder, "close")
    assert caller.embed(embedder_for(server, tmp_path), TEXTS).report.hits == len(TEXTS)
    assert server.stats.billed == dict.fromkeys(TEXTS, 1)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP here")
def test_a_frozen_redis_costs_a_part_of_the_deadline_though_it_has_time_of_its_own(server, caller, valkey):
    """R1, W13: the cache's own timeout is longer than the deadline."""
    cache = RedisCache(valkey.url, timeout=60)
    embedder = embedder_for(server, cache)
    with valkey.frozen():
        begun = time.monotonic()
        result = caller.embed(embedder, TEXTS)
        assert time.monotonic() - begun < DEADLINE
    np.testing.assert_allclose(result.vectors, right(server), atol=1e-6)
    until(lambda: cache.stats().entries == len(TEXTS), 20)
    assert caller.embed(embedder, TEXTS).report.hits == len(TEXTS)
    assert server.stats.billed == dict.fromkeys(TEXTS, 1)
    cache.close()


class Slow(MemoryCache):
    """A cache of the user's own that may hang, as a disk over a network does."""

    blocking = True

    def __init__(self):
        super().__init__()
        self.go_on = threading.Event()
        self.go_on.set()
        self.asked = 0

    def get_many(self, keys):
        self.asked += 1
        self.go_on.wait(60)
        return super().get_many(keys)

    def put_many(self, items, *, label=""):
        self.asked += 1
        self.go_on.wait(60)
        super().put_many(items, label=label)


def test_any_cache_that_hangs_is_waited_for_once_in_a_call(server, caller):
    cache = Slow()
    embedder = embedder_for(server, cache)
    cache.go_on.clear()
    begun = time.monotonic()
    np.testing.assert_allclose(caller.embed(embedder, TEXTS).vectors, right(server), atol=1e-6)
    took = time.monotonic() - begun
    assert took < DEADLINE
    assert cache.asked == 2, "one reader and one writer hang, whatever the number of batches"
    caller.embed(embedder, TEXTS)
    assert cache.asked == 2, "what waits is found without asking it"
    cache.go_on.set()
    until(lambda: cache.stats().entries == len(TEXTS))
    assert server.stats.billed == dict.fromkeys(TEXTS, 1)


def test_what_a_near_tier_has_is_used_though_a_far_one_hangs(server, caller):
    far, near = Slow(), MemoryCache()
    embedder = embedder_for(server, TieredCache([near, far]))
    caller.embed(embedder, TEXTS[:20])
    far.go_on.clear()
    report = caller.embed(embedder, TEXTS).report
    far.go_on.set()
    assert report.hits == 20
    assert server.stats.billed == dict.fromkeys(TEXTS, 1)


def test_a_query_from_a_sound_cache_under_a_deadline_comes_from_the_cache(server, caller, tmp_path):
    fill(server, tmp_path, TEXTS)
    embedder = embedder_for(server, tmp_path)
    assert all(caller.embed(embedder, [text]).report.hits == 1 for text in TEXTS)
    assert not server.stats.billed


def test_the_first_wait_that_was_in_vain_is_told_once(server, caller):
    cache = Slow()
    cache.go_on.clear()
    embedder = embedder_for(server, cache, deadline=2.0)
    with one_warning("in the time that the deadline leaves"):
        caller.embed(embedder, TEXTS[:5])
        caller.embed(embedder, TEXTS[5:10])
    cache.go_on.set()


def test_closing_waits_for_a_lock_no_longer_than_two_seconds_and_says_what_is_not_written(server, caller, tmp_path):
    fill(server, tmp_path, ["something else"])
    embedder = embedder_for(server, tmp_path)
    with locked(tmp_path) as release:
        caller.embed(embedder, TEXTS[:5])
        begun = time.monotonic()
        with pytest.warns(CacheWarning, match="before 5 vectors could be written|locked"):
            caller.call(embedder, "close")
        assert time.monotonic() - begun < 4
        release()
    until(lambda: DiskCache(tmp_path).stats().entries == 6, 20)
