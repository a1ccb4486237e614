"""What a cache's faults cost a caller."""

import numpy as np
import pytest

from cache.parts import make_items, make_keys, make_vectors, one_warning
from embedbridge.cache import GuardedStore, MemoryCache
from embedbridge.cache._guard import Breaker, Guard
from support.own_cache import Own


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Failing(MemoryCache):
    """A cache that does what it is told to do wrong, and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: BaseException | None = None
        self.writing: BaseException | None = None
        self.asked = 0

    def get_many(self, keys):
        self.asked += 1
        if self.reading:
            raise self.reading
        return super().get_many(keys)

    def put_many(self, items, *, label=""):
        self.asked += 1
        if self.writing:
            raise self.writing
        super().put_many(items, label=label)


def write(store, count, start=0):
    store.write(make_keys(count, start), make_vectors(count, start=start), [7] * count, [9] * count)


def test_a_store_gives_back_what_it_was_given_with_tokens():
    store = GuardedStore(MemoryCache(), label="fake:16")
    write(store, 5)
    hits = store.read(make_keys(6))
    assert np.array_equal(hits.vectors, make_vectors(5))
    assert hits.rows.tolist() == [0, 1, 2, 3, 4]
    assert hits.tokens.tolist() == [7] * 5
    assert hits.before.tolist() == [9] * 5
    assert not store.blocking


def test_a_store_can_keep_half_as_much_as_float16():
    store = GuardedStore(MemoryCache(), dtype="float16")
    write(store, 5)
    assert np.abs(store.read(make_keys(5)).vectors - make_vectors(5)).max() < 2e-3
    assert store.cache.stats().bytes == 5 * (32 + 24 + 2 * 16)


@pytest.mark.parametrize("error", [OSError("disk"), RuntimeError("bug"), MemoryError(), TimeoutError()])
def test_whatever_a_cache_raises_is_a_miss_and_one_warning(error):
    cache = Failing()
    cache.reading = cache.writing = error
    store = GuardedStore(cache)
    with one_warning(type(error).__name__):
        assert not len(store.read(make_keys(3)).rows)
        write(store, 3)
        store.read(make_keys(3))
        store.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_an_interrupt_passes(error):
    cache = Failing()
    cache.reading = cache.writing = error
    store = GuardedStore(cache)
    with pytest.raises(type(error)):
        store.read(make_keys(3))
    with pytest.raises(type(error)):
        write(store, 3)


@pytest.mark.parametrize("answer", [None, 3, {make_keys(1)[0]: "text"}, {make_keys(1)[0]: 3.5}])
def test_a_cache_that_gives_something_other_than_bytes_is_a_miss(answer):
    class Strange(MemoryCache):
        def get_many(self, keys):
            return answer

    store = GuardedStore(Strange())
    with one_warning("other than bytes"):
        assert not len(store.read(make_keys(1)).rows)


def test_a_cache_that_failed_is_left_alone_for_a_while_and_then_tried_by_one():
    clock, cache = Clock(), Failing()
    guard = Guard(cache, clock=clock)
    cache.reading = OSError("down")
    with one_warning():
        for _ in range(10):
            guard.get_many(make_keys(1))
    assert cache.asked == 1
    clock.now = 31
    guard.get_many(make_keys(1))
    guard.get_many(make_keys(1))
    assert cache.asked == 2
    clock.now = 31 + 59
    guard.get_many(make_keys(1))
    assert cache.asked == 2, "twice as long the second time"
    clock.now = 31 + 61
    cache.reading = None
    guard.get_many(make_keys(1))
    guard.get_many(make_keys(1))
    assert cache.asked == 4
    assert guard.alarm.faults == 2


def test_writing_goes_on_while_reading_fails():
    cache = Failing()
    guard = Guard(cache)
    cache.reading = OSError("down")
    with one_warning():
        guard.get_many(make_keys(1))
    guard.put_many(make_items(1))
    assert MemoryCache.get_many(cache, make_keys(1))


def test_what_could_not_be_written_waits_is_found_and_is_written_under_its_own_label():
    clock, cache = Clock(), Failing()
    guard = Guard(cache, clock=clock)
    cache.writing = OSError("full")
    with one_warning():
        guard.put_many(make_items(2), label="a:b")
    guard.put_many(make_items(3, start=2), label="c:d")
    assert guard.get_many(make_keys(6)) == make_items(5)
    cache.writing, clock.now = None, 31
    guard.put_many(make_items(1, start=5), label="e:f")
    assert {label: stats.entries for label, stats in cache.stats().labels.items()} == {"a:b": 2, "c:d": 3, "e:f": 1}


def test_closing_writes_what_waits_pause_or_no_pause():
    cache = Failing()
    guard = Guard(cache)
    cache.writing = OSError("full")
    with one_warning():
        guard.put_many(make_items(2))
    cache.writing = None
    guard.close()
    assert cache.stats().entries == 2


def test_the_newest_value_of_a_key_wins():
    clock, cache = Clock(), Failing()
    guard = Guard(cache, clock=clock)
    old, new = make_items(1), make_items(1, width=8)
    cache.writing = OSError("full")
    with one_warning():
        guard.put_many(old)
    guard.put_many(new)
    assert guard.get_many(make_keys(1)) == new
    cache.writing, clock.now = None, 31
    guard.put_many(make_items(1, start=1))
    assert cache.get_many(make_keys(1)) == new


def test_an_interrupt_costs_neither_what_waits_nor_the_next_attempt():
    clock, cache = Clock(), Failing()
    guard = Guard(cache, clock=clock)
    cache.reading = cache.writing = OSError("down")
    with one_warning():
        guard.get_many(make_keys(1))
        guard.put_many(make_items(2))
    clock.now, cache.reading, cache.writing = 31, KeyboardInterrupt(), KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        guard.get_many(make_keys(3))
    with pytest.raises(KeyboardInterrupt):
        guard.put_many(make_items(1, start=2))
    cache.reading = cache.writing = None
    guard.put_many(make_items(1, start=3))
    assert cache.stats().entries == 4
    assert len(guard.get_many(make_keys(4))) == 4


def test_what_waits_to_be_written_is_found_without_asking_the_cache():
    clock, cache = Clock(), Failing()
    guard = Guard(cache, clock=clock)
    cache.reading = cache.writing = OSError("down")
    with one_warning():
        guard.get_many(make_keys(1))
        guard.put_many(make_items(2))
    clock.now = 31
    assert guard.get_many(make_keys(2)) == make_items(2)
    cache.reading = None
    assert guard.get_many(make_keys(3)) == make_items(2)  # the pause is over for a cache that was not asked


def test_vectors_that_cannot_be_encoded_are_one_warning():
    store = GuardedStore(MemoryCache())
    with one_warning("could not be cached"):
        store.write(make_keys(2), make_vectors(1), [1, 2], [1, 2])
    assert not len(store.read(make_keys(2)).rows)


def test_attempts_that_began_before_the_pause_do_not_make_it_longer():
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(8):
        breaker.failed()
    clock.now = 31
    assert breaker.allows()


def test_a_shared_cache_is_flushed_and_left_open():
    class Closing(Failing):
        closed = False

        def close(self):
            self.closed = True

    cache = Closing()
    store = GuardedStore(cache, shared=True)
    cache.writing = OSError("full")
    with one_warning():
        write(store, 2)
    cache.writing = None
    store.close()
    assert not cache.closed
    assert cache.stats().entries == 2
    GuardedStore(cache).close()
    assert cache.closed


def test_hits_are_recorded_where_the_cache_keeps_such_a_list(tmp_path):
    from embedbridge.cache import DiskCache

    store = GuardedStore(DiskCache(tmp_path), label="fake:16")
    write(store, 5)
    store.read(make_keys(3))
    label = store.cache.stats().labels["fake:16"]
    assert (label.hits, label.tokens_saved) == (3, 21)


def test_a_hit_under_another_key_is_a_saving_and_no_miss_any_more(tmp_path):
    from embedbridge.cache import DiskCache

    store = GuardedStore(DiskCache(tmp_path), label="fake:16")
    write(store, 5)
    store.read(make_keys(5, start=100))
    store.read(make_keys(3), again=True)
    store.read(make_keys(2), again=True, counted=False)
    stats = store.cache.stats()
    assert (stats.hits, stats.misses) == (3, 2)
    assert (stats.labels["fake:16"].hits, stats.labels["fake:16"].tokens_saved) == (3, 21)


def test_a_cache_of_the_users_own_needs_six_things_only():
    store = GuardedStore(Own())
    write(store, 3)
    assert len(store.read(make_keys(4)).rows) == 3
    assert store.blocking
