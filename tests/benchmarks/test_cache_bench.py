"""Figures of the disk cache: 20,000 vectors of 1536 numbers, warm, against diskcache used a key at a time.

`pytest -m benchmark -s tests/benchmarks/test_cache_bench.py`. Times are the best of several rounds; the ratios that are
asserted leave room for a busy machine.
"""

import resource
import sys
import time
from hashlib import blake2b

import diskcache
import numpy as np
import pytest

from embedbridge.cache import DiskCache, GuardedStore

COUNT, WIDTH, BATCH = 20_000, 1536, 500


def make_keys(count):
    return [blake2b(str(number).encode(), digest_size=32).digest() for number in range(count)]


def microseconds(run, count, rounds=5):
    """Per item, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best / count * 1e6


def table(capsys, title, figures):
    with capsys.disabled():
        lines = [f"  {name:<58} {figure:>9.1f} µs" for name, figure in figures.items()]
        sys.stdout.write("\n".join(["", title, *lines, ""]))


def fill(store, keys, vectors):
    for at in range(0, len(keys), BATCH):
        part = slice(at, at + BATCH)
        rows = len(keys[part])
        store.write(keys[part], vectors[part], [300] * rows, [-1] * rows)


@pytest.mark.benchmark
def test_disk_cache_against_diskcache_key_by_key(tmp_path, capsys):
    keys = make_keys(COUNT)
    vectors = np.random.default_rng(0).standard_normal((COUNT, WIDTH), dtype=np.float32)
    store = GuardedStore(DiskCache(tmp_path / "ours"), label="fake:1536")
    figures = {"write: ours, batches of 500": microseconds(lambda: fill(store, keys, vectors), COUNT, 1)}
    values = dict(zip(keys, (vector.tobytes() for vector in vectors), strict=True))

    with diskcache.Cache(str(tmp_path / "raw"), size_limit=2**40) as raw:

        def set_each():
            for key, value in values.items():
                raw.set(key, value)

        def get_each():
            rows = [np.frombuffer(raw.get(key), np.float32) for key in keys]
            return np.stack(rows)

        figures["write: diskcache, key by key"] = microseconds(set_each, COUNT, 1)
        figures["read into one matrix: diskcache, key by key, no checksum"] = microseconds(get_each, COUNT)
        figures["read one: diskcache"] = microseconds(lambda: [raw.get(key) for key in keys[:2000]], 2000)
    figures["read into one matrix: ours, all at once, checksum"] = microseconds(lambda: store.read(keys), COUNT)
    figures["read bytes: ours"] = microseconds(lambda: store.cache.get_many(keys), COUNT)
    figures["read one: ours, bytes"] = microseconds(lambda: [store.cache.get_many([key]) for key in keys[:2000]], 2000)
    figures["read one: ours, vector"] = microseconds(lambda: [store.read([key]) for key in keys[:2000]], 2000)
    table(capsys, f"{COUNT:,} vectors of {WIDTH} numbers, each", figures)
    assert np.array_equal(store.read(keys).vectors, vectors)
    ours, theirs = "ours, all at once, checksum", "diskcache, key by key, no checksum"
    assert figures[f"read into one matrix: {ours}"] * 1.3 < figures[f"read into one matrix: {theirs}"]
    assert figures["write: ours, batches of 500"] * 1.5 < figures["write: diskcache, key by key"]
    assert figures["read one: ours, vector"] < 5 * figures["read one: diskcache"]


@pytest.mark.benchmark
def test_a_million_entries_are_read_as_fast_as_twenty_thousand(tmp_path, capsys):
    width, many = 256, 1_000_000
    keys = make_keys(many)
    block = np.random.default_rng(0).standard_normal((COUNT, width), dtype=np.float32)
    sample = [keys[row] for row in np.random.default_rng(1).permutation(COUNT)]
    figures = {}
    store = GuardedStore(DiskCache(tmp_path), label="fake:256")
    fill(store, keys[:COUNT], block)
    figures["read, 20,000 entries"] = microseconds(lambda: store.read(sample), COUNT)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    for at in range(COUNT, many, COUNT):
        fill(store, keys[at : at + COUNT], block)
    figures["write, up to 1,000,000 entries"] = (time.perf_counter() - start) / (many - COUNT) * 1e6
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sample = [keys[row] for row in np.random.default_rng(2).permutation(many)[:COUNT]]
    figures["read anywhere in 1,000,000 entries"] = microseconds(lambda: store.read(sample), COUNT)
    near = [keys[row] for row in np.random.default_rng(3).permutation(COUNT) + many - COUNT]
    figures["read 20,000 stored one after another, of 1,000,000"] = microseconds(lambda: store.read(near), COUNT)
    start = time.perf_counter()
    stats = store.cache.stats()
    figures["statistics, in all"] = (time.perf_counter() - start) * 1e6
    store.close()
    table(
        capsys,
        f"vectors of {width} numbers, each; memory grew by {grown:.0f} MiB; {stats.bytes / many:.0f} B each",
        figures,
    )
    assert stats.entries == many
    assert grown < 200
    assert figures["read anywhere in 1,000,000 entries"] < 3 * figures["read, 20,000 entries"]
