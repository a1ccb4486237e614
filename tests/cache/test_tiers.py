import pickle

import pytest

from cache.parts import hits_of, make_items, make_keys, make_vectors, one_warning, tamper, truth
from embedbridge import ConfigurationError
from embedbridge.cache import DiskCache, GuardedStore, MemoryCache, TieredCache
from embedbridge.cache._codec import encode_many


def test_a_hit_in_a_far_tier_is_copied_to_the_near_ones(tmp_path):
    memory, disk, far = MemoryCache(), DiskCache(tmp_path), MemoryCache()
    far.put_many(make_items(5))
    tiers = TieredCache([memory, disk, far])
    assert hits_of(tiers, make_keys(6)) == truth(5)
    assert hits_of(memory, make_keys(6)) == hits_of(disk, make_keys(6)) == truth(5)
    asked = far.stats().hits + far.stats().misses
    assert hits_of(tiers, make_keys(5)) == truth(5)
    assert far.stats().hits + far.stats().misses == asked


def test_no_tier_at_all_is_told_at_once():
    with pytest.raises(ConfigurationError, match="cache=False"):
        TieredCache([])


def test_writing_reaches_every_tier(tmp_path):
    memory, disk = MemoryCache(), DiskCache(tmp_path)
    TieredCache([memory, disk]).put_many(make_items(5), label="a:b")
    assert hits_of(memory, make_keys(5)) == hits_of(disk, make_keys(5)) == truth(5)
    assert disk.stats().labels["a:b"].entries == 5


def test_a_damaged_entry_in_a_near_tier_does_not_hide_the_sound_one_and_is_replaced_by_it(tmp_path):
    disk, far = DiskCache(tmp_path), MemoryCache()
    tiers = TieredCache([disk, far])
    tiers.put_many(make_items(5))
    tamper(tmp_path, "UPDATE Cache SET value = CAST(x'00' || substr(value, 2) AS BLOB) WHERE rowid <= 2")
    assert hits_of(tiers, make_keys(5)) == truth(5)
    assert hits_of(disk, make_keys(5)) == truth(5)


def test_an_entry_damaged_in_every_tier_is_a_miss():
    near, far = MemoryCache(), MemoryCache()
    (key,) = make_keys(1)
    near.put_many({key: b"damaged"})
    far.put_many({key: b"damaged too"})
    assert not TieredCache([near, far]).get_many([key])


def test_a_tier_that_fails_warns_once_and_the_others_go_on(tmp_path):
    (tmp_path / "file").write_text("no directory")
    memory = MemoryCache()
    store = GuardedStore(TieredCache([memory, DiskCache(tmp_path / "file"), DiskCache(tmp_path / "good")]))
    with one_warning():
        assert not len(store.read(make_keys(3)).rows)
        store.cache.put_many(make_items(3))
        assert len(store.read(make_keys(3)).rows) == 3
        store.close()
    assert hits_of(DiskCache(tmp_path / "good"), make_keys(3)) == truth(3)


def test_the_time_to_live_counts_from_the_first_storing_in_any_tier():
    now = 1_800_000_000.0
    keys, vectors = make_keys(1), [[1.0] * 16]
    import numpy as np

    near, far = MemoryCache(), MemoryCache()
    far.put_many(encode_many(keys, np.array(vectors, np.float32), [1], [1], now=now - 50))
    tiers = TieredCache([near, far], ttl=60, clock=lambda: now)
    assert tiers.get_many(keys)
    now += 20
    assert near.get_many(keys)
    assert not tiers.get_many(keys)


def test_statistics_name_every_tier(tmp_path):
    tiers = TieredCache([MemoryCache(size_limit=300), DiskCache(tmp_path)])
    tiers.put_many(make_items(5), label="a:b")
    tiers.get_many(make_keys(6))
    stats = tiers.stats()
    assert (stats.entries, stats.hits, stats.misses) == (5, 5, 1)
    assert [tier.entries for tier in stats.tiers] == [2, 5]
    assert stats.labels["a:b"].entries == 5


def test_savings_are_recorded_in_the_tier_that_keeps_them(tmp_path):
    store = GuardedStore(TieredCache([MemoryCache(), DiskCache(tmp_path)]), label="a:b")
    store.cache.put_many(make_items(5), label="a:b")
    store.read(make_keys(5))
    assert store.cache.stats().labels["a:b"].tokens_saved == 35


def test_clear_and_close_reach_every_tier(tmp_path):
    tiers = TieredCache([MemoryCache(), DiskCache(tmp_path)])
    tiers.put_many(make_items(5))
    tiers.clear()
    assert not tiers.get_many(make_keys(5))
    tiers.close()
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["cache.db"]


def test_blocking_is_whether_any_tier_blocks(tmp_path):
    assert not TieredCache([MemoryCache()]).blocking
    assert TieredCache([MemoryCache(), DiskCache(tmp_path)]).blocking


def test_a_copy_opens_the_same_places(tmp_path):
    tiers = TieredCache([MemoryCache(), DiskCache(tmp_path)], ttl=10**9)
    tiers.put_many(make_items(3))
    copy = pickle.loads(pickle.dumps(tiers))  # noqa: S301 - our own bytes
    assert copy.ttl == 10**9
    assert hits_of(copy, make_keys(3)) == truth(3)


class Unreachable(MemoryCache):
    """Takes nothing until it is `there`."""

    there = False

    def put_many(self, items, *, label=""):
        if not self.there:
            raise OSError("unreachable")
        super().put_many(items, label=label)


def test_what_waits_for_a_tier_is_still_written_when_another_embedder_shares_the_tiers():
    far = Unreachable()
    tiers = TieredCache([MemoryCache(), far])
    with one_warning():
        GuardedStore(tiers, shared=True).write(make_keys(1), make_vectors(1), [1], [1])
    far.there = True
    GuardedStore(tiers, shared=True)
    tiers.close()
    assert hits_of(far, make_keys(1)) == truth(1)
