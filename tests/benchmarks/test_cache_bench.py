"""Figures of the disk cache: 20,000 vectors of 1536 numbers, warm, against diskcache used a key at a time.

`pytest -m benchmark -s tests/benchmarks/test_cache_bench.py`. What is measured is processor time, the best of several
rounds by turns, so that a busy machine tells the same story; nothing here waits for a disk.
"""

import resource
import sys
import time
from hashlib import blake2b
from zlib import crc32

import diskcache
import numpy as np
import pytest

from embedbridge.cache import DiskCache, GuardedStore

COUNT, WIDTH, BATCH = 20_000, 1536, 500
WRITE_OURS, WRITE_THEIRS = "write: ours, batches of 500", "write: diskcache, key by key"
READ_OURS = "read into one matrix: ours, checksum"
READ_THEIRS = "read into one matrix: diskcache key by key, checksum"
ONE_OURS, ONE_THEIRS = "read one as a vector: ours", "read one as bytes: diskcache"


def make_keys(count):
    return [blake2b(str(number).encode(), digest_size=32).digest() for number in range(count)]


def microseconds(contenders, rounds=6):
    """Per item; a contender is what to run and how many items that is."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, (run, count) in contenders.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], (time.process_time() - start) / count * 1e6)
    return best


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
    values = {key: vector.tobytes() for key, vector in zip(keys, vectors, strict=True)}
    checksums = {key: crc32(value, crc32(key)) for key, value in values.items()}
    few = keys[:2000]

    with diskcache.Cache(str(tmp_path / "raw"), size_limit=2**40) as raw:

        def set_each():
            for key, value in values.items():
                raw.set(key, value)

        def get_each():
            rows = []
            for key in keys:
                value = raw.get(key)
                assert crc32(value, crc32(key)) == checksums[key]
                rows.append(np.frombuffer(value, np.float32))
            return np.stack(rows)

        writes = {WRITE_THEIRS: (set_each, COUNT), WRITE_OURS: (lambda: fill(store, keys, vectors), COUNT)}
        reads = {
            READ_THEIRS: (get_each, COUNT),
            READ_OURS: (lambda: store.read(keys), COUNT),
            "read as bytes: ours": (lambda: store.cache.get_many(keys), COUNT),
            ONE_THEIRS: (lambda: [raw.get(key) for key in few], len(few)),
            "read one as bytes: ours": (lambda: [store.cache.get_many([key]) for key in few], len(few)),
            ONE_OURS: (lambda: [store.read([key]) for key in few], len(few)),
        }
        figures = microseconds(writes, rounds=1) | microseconds(reads)
    table(capsys, f"{COUNT:,} vectors of {WIDTH} numbers, each", figures)
    assert np.array_equal(store.read(keys).vectors, vectors)
    assert figures[READ_OURS] < figures[READ_THEIRS]
    assert 1.5 * figures[WRITE_OURS] < figures[WRITE_THEIRS]
    assert figures[ONE_OURS] < 6 * figures[ONE_THEIRS]


@pytest.mark.benchmark
def test_a_million_entries_are_read_as_fast_as_twenty_thousand(tmp_path, capsys):
    width, many = 256, 1_000_000
    keys = make_keys(many)
    block = np.random.default_rng(0).standard_normal((COUNT, width), dtype=np.float32)
    sample = [keys[row] for row in np.random.default_rng(1).permutation(COUNT)]
    figures = {}
    store = GuardedStore(DiskCache(tmp_path), label="fake:256")
    fill(store, keys[:COUNT], block)
    figures["read, 20,000 entries"] = microseconds({"": (lambda: store.read(sample), COUNT)})[""]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    for at in range(COUNT, many, COUNT):
        fill(store, keys[at : at + COUNT], block)
    figures["write, up to 1,000,000 entries"] = (time.process_time() - start) / (many - COUNT) * 1e6
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sample = [keys[row] for row in np.random.default_rng(2).permutation(many)[:COUNT]]
    figures["read anywhere in 1,000,000 entries"] = microseconds({"": (lambda: store.read(sample), COUNT)})[""]
    near = keys[-COUNT:]
    figures["read 20,000 stored one after another, of 1,000,000"] = microseconds(
        {"": (lambda: store.read(near), COUNT)}
    )[""]
    start = time.process_time()
    stats = store.cache.stats()
    figures["statistics, in all"] = (time.process_time() - start) * 1e6
    store.close()
    table(
        capsys,
        f"vectors of {width} numbers, each; memory grew by {grown:.0f} MiB; {stats.bytes / many:.0f} B each",
        figures,
    )
    assert stats.entries == many
    assert grown < 200
    assert figures["read 20,000 stored one after another, of 1,000,000"] < 2 * figures["read, 20,000 entries"]
    assert figures["read anywhere in 1,000,000 entries"] < 4 * figures["read, 20,000 entries"]
