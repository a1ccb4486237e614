"""What every cache does that comes with embedbridge. One that is added has no row in OPENERS, and fails."""

import contextlib
import pickle

import numpy as np
import pytest

import embedbridge.cache
from cache.parts import hits_of, make_items, make_keys, make_vectors, truth
from embedbridge import Embedder
from embedbridge.cache import BaseCache, DiskCache, MemoryCache, RedisCache, TieredCache
from embedbridge.cache._codec import encode_many

OPENERS = {
    "DiskCache": lambda folder, _: DiskCache(folder / "cache"),
    "MemoryCache": lambda *_: MemoryCache(),
    "RedisCache": lambda _, request: RedisCache(request.getfixturevalue("valkey").url, timeout=5),
    "TieredCache": lambda folder, _: TieredCache([MemoryCache(), DiskCache(folder / "cache")]),
}
"""Class → how a test opens an empty one, given a folder and pytest's request."""


@pytest.fixture(params=sorted(OPENERS))
def cache(request, tmp_path):
    with contextlib.closing(OPENERS[request.param](tmp_path, request)) as cache:
        yield cache


def test_each_cache_is_tried_here():
    classes = {name: getattr(embedbridge.cache, name) for name in embedbridge.cache.__all__ if name != "BaseCache"}
    ours = {name for name, kind in classes.items() if isinstance(kind, type) and issubclass(kind, BaseCache)}
    assert ours == set(OPENERS), "say in OPENERS how a test opens it"


def test_what_was_put_is_found_byte_for_byte_and_nothing_else(cache):
    items = make_items(1100)  # more than are looked up or written at once
    cache.put_many(items, label="a:b")
    assert dict(cache.get_many([*items, *make_keys(3, 2000)])) == items
    assert cache.get_many([]) == {}
    assert {key: value for piece in cache.get_pieces([*items]) for key, value in piece.items()} == items


def test_what_is_put_later_takes_the_place(cache):
    keys = make_keys(3)
    others = encode_many(keys, make_vectors(3, start=10), [7] * 3, [-1] * 3)
    cache.put_many(make_items(3))
    cache.put_many(others)
    assert dict(cache.get_many(keys)) == others


def test_what_is_held_first_stays(cache):
    key, value = make_keys(1)[0], b"first"
    assert cache.hold(key, None) is None
    assert [cache.hold(key, each) for each in (value, b"second", None)] == [value] * 3
    assert [cache.hold_width(make_keys(1, 5)[0], width) for width in (None, 64, 32, None)] == [None, 64, 64, 64]


def test_a_cleared_cache_has_nothing(cache):
    cache.put_many(make_items(3))
    cache.hold(make_keys(1, 9)[0], b"held")
    cache.clear()
    assert cache.get_many(make_keys(3)) == {}
    assert cache.hold(make_keys(1, 9)[0], None) is None
    assert cache.stats().entries == 0


def test_a_closed_cache_opens_again_and_a_copy_by_a_pickle_is_of_the_same_place(cache):
    cache.put_many(make_items(3))
    cache.close()
    assert hits_of(cache, make_keys(3)) == truth(3)
    with contextlib.closing(pickle.loads(pickle.dumps(cache))) as copy:  # noqa: S301 - our own
        found = hits_of(copy, make_keys(3))
        assert found == (truth(3) if copy.location == cache.location else {})


def test_two_embedders_over_it_ask_for_a_text_once(cache):
    first, second = (Embedder("fake:16", cache=cache) for _ in range(2))
    vectors = first.embed(["one", "two"]).vectors
    again = second.embed(["two", "one"])
    assert (again.report.hits, again.report.requests) == (2, 0)
    assert np.array_equal(again.vectors, vectors[::-1])
