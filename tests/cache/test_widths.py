"""R9: the dimensions of a model's vectors are those of the first ones in the cache, in every run and process."""

import contextlib
import sqlite3
import threading

import numpy as np
import pytest

from cache.parts import database, start_python
from embedbridge import Embedder, InvalidResponseError
from embedbridge.cache import DiskCache, GuardedStore, MemoryCache, RedisCache, TieredCache
from embedbridge.cache._maintenance import export, import_, verify
from embedbridge.testing import FaultServer
from support.own_cache import Own

pytestmark = pytest.mark.one_flow
TEXTS = [f"text {number}" for number in range(10)]
MORE = [f"more {number}" for number in range(10)]
KEY = bytes(32)


@pytest.fixture(params=["disk", "memory", "redis", "tiers", "own"])
def cache(request, tmp_path):
    """Each kind of cache."""
    match request.param:
        case "disk":
            cache = DiskCache(tmp_path / "cache")
        case "memory":
            cache = MemoryCache()
        case "redis":
            cache = RedisCache(request.getfixturevalue("valkey").url, timeout=5)
        case "tiers":
            cache = TieredCache([MemoryCache(), DiskCache(tmp_path / "cache")])
        case "own":
            cache = Own()
    with contextlib.closing(cache):
        yield cache


@pytest.fixture
def server():
    with FaultServer(width=64) as server:
        yield server


def make(server, cache, **options):
    usual = {"base_url": f"{server.url}/v1", "api_key": "k", "cache": cache}
    return Embedder("openai:a-model-that-nobody-lists", **usual | options)


def test_vectors_of_another_width_are_refused_also_where_a_call_has_no_hits(server, caller, cache):
    """R9: the error says what the cache holds and what to do; nothing of the other width is stored."""
    assert caller.embed(make(server, cache), TEXTS).vectors.shape == (10, 64)
    server.width = 32
    for texts in (MORE, TEXTS[:5] + MORE[:5]):
        with pytest.raises(InvalidResponseError, match=r"holds vectors of 64 .* dimensions= .* clear this one"):
            caller.embed(make(server, cache), texts)
    server.width = 64
    server.reset()
    report = caller.embed(make(server, cache), TEXTS + MORE).report
    assert (report.hits, report.misses) == (10, 10)
    assert server.stats.billed == dict.fromkeys(MORE, 1)


def test_the_width_is_forgotten_with_the_vectors(server, caller, cache):
    caller.embed(make(server, cache), TEXTS)
    cache.clear()
    server.width = 32
    assert caller.embed(make(server, cache), TEXTS).vectors.shape == (10, 32)


def test_each_width_that_is_asked_for_is_of_its_own(server, caller, cache):
    caller.embed(make(server, cache), TEXTS)
    assert caller.embed(make(server, cache, dimensions=32), TEXTS).vectors.shape == (10, 32)
    assert caller.embed(make(server, cache), TEXTS).report.hits == 10


def test_a_role_cannot_have_another_width_than_the_others(server, caller, cache):
    caller.embed(make(server, cache), TEXTS)
    server.width = 32
    with pytest.raises(InvalidResponseError, match="64"):
        caller.embed(make(server, cache), MORE, input_type="query")


@pytest.mark.parametrize("cache", ["disk", "memory", "redis", "tiers"], indirect=True)
def test_of_threads_that_come_at_once_the_first_decides(cache):
    store, held, barrier = GuardedStore(cache), [], threading.Barrier(8)

    def hold(width):
        barrier.wait()
        held.append(store.hold_width(KEY, width))

    threads = [threading.Thread(target=hold, args=(width,)) for width in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(held)) == 1
    assert store.hold_width(KEY, None) == held[0]


HOLD = """
import sys
from embedbridge.cache import GuardedStore, open_cache
store = GuardedStore(open_cache(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(store.hold_width(bytes(32), int(sys.argv[2])))
store.close()
"""


@pytest.mark.parametrize("kind", ["disk", "redis"])
def test_of_processes_that_come_at_once_the_first_decides(tmp_path, valkey, kind):
    """R9: as with an index's first guard."""
    place = tmp_path if kind == "disk" else valkey.url
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(start_python(HOLD, place, width)) for width in (64, 32)]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        held = {int(process.communicate(timeout=60)[0]) for process in processes}
    assert len(held) == 1
    assert held < {32, 64}


def test_entries_of_releases_that_held_no_width_decide_it_where_a_call_has_hits(server, caller, tmp_path):
    cache = DiskCache(tmp_path)
    caller.embed(make(server, cache), TEXTS)
    cache.close()
    with contextlib.closing(sqlite3.connect(database(tmp_path), isolation_level=None)) as connection:
        connection.execute("DELETE FROM Tally WHERE kind LIKE 'width%'")
    server.width = 32
    with pytest.raises(InvalidResponseError, match="holds vectors of 64"):
        caller.embed(make(server, cache), TEXTS + MORE)
    server.width = 64
    caller.embed(make(server, cache), TEXTS + MORE)
    server.width = 32
    with pytest.raises(InvalidResponseError, match="holds vectors of 64"):
        caller.embed(make(server, cache), ["none of these"])


def test_the_width_travels_in_an_export_and_is_no_entry(server, caller, tmp_path):
    old, new = DiskCache(tmp_path / "old"), DiskCache(tmp_path / "new")
    result = caller.embed(make(server, old), TEXTS)
    assert old.stats().entries == verify(old).entries == 10
    assert export(old, tmp_path / "file") == 10
    found = import_(new, tmp_path / "file")
    assert (found.entries, found.damaged, found.complete) == (10, 0, True)
    np.testing.assert_array_equal(caller.embed(make(server, new), TEXTS).vectors, result.vectors)
    server.width = 32
    with pytest.raises(InvalidResponseError, match="holds vectors of 64"):
        caller.embed(make(server, new), MORE)


def test_clearing_one_model_forgets_its_width_alone(server, caller, tmp_path):
    cache = DiskCache(tmp_path)
    caller.embed(make(server, cache), TEXTS)
    cache.hold_width(KEY, 7, label="another:model")
    cache.clear("openai:a-model-that-nobody-lists")
    server.width = 32
    assert caller.embed(make(server, cache), TEXTS).vectors.shape == (10, 32)
    assert cache.hold_width(KEY, None, label="another:model") == 7


def test_a_documented_width_needs_no_look_into_the_cache(server, caller, tmp_path):
    server.width = None
    embedder = Embedder(
        "openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="k", cache=tmp_path / "cache"
    )
    caller.embed(embedder, TEXTS)
    assert not DiskCache(tmp_path / "cache").widths()
