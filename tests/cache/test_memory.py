import pickle
import threading

from cache.parts import make_items, make_keys
from embedbridge.cache import LabelStats, MemoryCache


def test_what_was_stored_is_found_and_counted():
    cache, keys, items = MemoryCache(), make_keys(3), make_items(2)
    cache.put_many(items, label="fake:16")
    assert cache.get_many(keys) == items
    stats = cache.stats()
    assert (stats.entries, stats.hits, stats.misses) == (2, 2, 1)
    assert stats.bytes == 2 * (32 + 88)
    assert stats.labels == {"fake:16": LabelStats(2, 2 * 88)}


def test_what_was_used_least_recently_makes_room():
    keys, items = make_keys(4), make_items(4)
    cache = MemoryCache(size_limit=3 * (32 + 88))
    cache.put_many({key: items[key] for key in keys[:3]})
    cache.get_many([keys[0]])
    cache.put_many({keys[3]: items[keys[3]]})
    assert set(cache.get_many(keys)) == {keys[0], keys[2], keys[3]}
    assert cache.stats().bytes <= 3 * (32 + 88)


def test_an_entry_that_alone_is_over_the_limit_is_not_kept():
    cache = MemoryCache(size_limit=100)
    cache.put_many(make_items(1))
    assert cache.stats().entries == cache.stats().bytes == 0


def test_storing_again_replaces_and_does_not_count_twice():
    cache, items = MemoryCache(), make_items(1)
    cache.put_many(items)
    cache.put_many(items)
    assert cache.stats().bytes == 32 + 88


def test_entries_end_after_their_time_to_live():
    now = 0.0
    cache = MemoryCache(ttl=60, clock=lambda: now)
    cache.put_many(make_items(1))
    now = 59.0
    assert cache.get_many(make_keys(1))
    now = 61.0
    assert not cache.get_many(make_keys(1))


def test_clear_forgets_everything():
    cache = MemoryCache()
    cache.put_many(make_items(2))
    cache.clear()
    assert not cache.get_many(make_keys(2))
    assert cache.stats().bytes == 0


def test_a_copy_in_another_process_is_empty_and_keeps_the_limits():
    cache = MemoryCache(size_limit=1000, ttl=5)
    cache.put_many(make_items(1))
    copy = pickle.loads(pickle.dumps(cache))  # noqa: S301 - our own bytes
    assert (copy.size_limit, copy.ttl, copy.stats().entries) == (1000, 5, 0)


def test_threads_do_not_disturb_each_other():
    cache, keys, items = MemoryCache(size_limit=50 * (32 + 88)), make_keys(200), make_items(200)
    wrong = []

    def work(start):
        for round_ in range(50):
            part = [keys[(start + round_ * 7 + step) % 200] for step in range(10)]
            cache.put_many({key: items[key] for key in part})
            wrong.extend(key for key, value in cache.get_many(part).items() if items[key] != value)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    stats = cache.stats()
    assert stats.bytes == stats.entries * (32 + 88) <= cache.size_limit
