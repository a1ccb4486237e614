"""Figures of the disk cache: 20,000 vectors of 1536 numbers, warm, against diskcache used a key at a time and the
frameworks' own caches.

What is measured is processor time, the best of several rounds by turns, so that a busy machine tells the same story;
nothing here waits for a disk.
"""

import gc
import json
import time
from hashlib import blake2b
from zlib import crc32

import diskcache
import numpy as np
import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.stores import InMemoryByteStore
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.storage.kvstore import SimpleKVStore
from pydantic import PrivateAttr

from embedbridge import Embedder
from embedbridge.cache import DiskCache, GuardedStore, MemoryCache
from embedbridge.langchain import BridgeEmbeddings
from support.memory import Peak

COUNT, WIDTH, BATCH = 20_000, 1536, 500
WRITE_OURS, WRITE_THEIRS = "write: ours, batches of 500", "write: diskcache, key by key"
READ_OURS = "read into one matrix: ours, checksum"
READ_THEIRS = "read into one matrix: diskcache key by key, checksum"
BYTES_OURS, ONE_BYTES_OURS = "read as bytes: ours", "read one as bytes: ours"
ONE_OURS, ONE_THEIRS = "read one as a vector: ours", "read one as bytes: diskcache"
ONE_MEMORY = "read one as a vector: ours, from memory"


def make_keys(count):
    return [blake2b(str(number).encode(), digest_size=32).digest() for number in range(count)]


def microseconds(contenders, rounds=6):
    """Per item; a contender is what to run and how many items that is."""
    gc.collect()
    gc.freeze()  # what one contender keeps is not looked through, again and again, on another's account
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, (run, count) in contenders.items():
            start = time.thread_time()
            result = run()
            best[name] = min(best[name], (time.thread_time() - start) / count * 1e6)
            del result  # to free what was given is the caller's time
    return best


def use_each(function, items):
    """Call it for each, and keep nothing, as one query after another does."""
    for item in items:
        function(item)


def fill(store, keys, vectors):
    for at in range(0, len(keys), BATCH):
        part = slice(at, at + BATCH)
        rows = len(keys[part])
        store.write(keys[part], vectors[part], [300] * rows, [-1] * rows)


@pytest.mark.benchmark
def test_disk_cache_against_diskcache_key_by_key(tmp_path, board):
    keys = make_keys(COUNT)
    vectors = np.random.default_rng(0).standard_normal((COUNT, WIDTH), dtype=np.float32)
    store = GuardedStore(DiskCache(tmp_path / "ours"), label="fake:1536")
    values = {key: vector.tobytes() for key, vector in zip(keys, vectors, strict=True)}
    checksums = {key: crc32(value, crc32(key)) for key, value in values.items()}
    few = keys[:2000]
    memory = GuardedStore(MemoryCache(), label="fake:1536")
    fill(memory, few, vectors[: len(few)])

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
            BYTES_OURS: (lambda: store.cache.get_many(keys), COUNT),
            ONE_THEIRS: (lambda: use_each(raw.get, few), len(few)),
            ONE_BYTES_OURS: (lambda: use_each(lambda key: store.cache.get_many([key]), few), len(few)),
            ONE_OURS: (lambda: use_each(lambda key: store.read([key]), few), len(few)),
            ONE_MEMORY: (lambda: use_each(lambda key: memory.read([key]), few), len(few)),
        }
        figures = microseconds(writes, rounds=1) | microseconds(reads)
    title = f"disk cache, {COUNT:,} vectors, {WIDTH} dimensions, each"
    board(title, "µs CPU", {name: figures[name] for name in (READ_OURS, READ_THEIRS, BYTES_OURS)})
    board(title, "µs CPU", {name: figures[name] for name in (WRITE_OURS, WRITE_THEIRS)})
    board(title, "µs CPU", {name: figures[name] for name in (ONE_OURS, ONE_THEIRS, ONE_BYTES_OURS, ONE_MEMORY)})
    assert np.array_equal(store.read(keys).vectors, vectors)
    assert figures[READ_OURS] < figures[READ_THEIRS]
    assert 1.5 * figures[WRITE_OURS] < figures[WRITE_THEIRS]
    assert figures[ONE_OURS] < 6 * figures[ONE_THEIRS]
    assert figures[ONE_MEMORY] < 3 * figures[ONE_THEIRS]


@pytest.mark.benchmark
def test_a_million_entries_are_read_as_fast_as_twenty_thousand(tmp_path, board):
    width, many = 256, 1_000_000
    keys = make_keys(many)
    block = np.random.default_rng(0).standard_normal((COUNT, width), dtype=np.float32)
    sample = [keys[row] for row in np.random.default_rng(1).permutation(COUNT)]
    figures = {}
    store = GuardedStore(DiskCache(tmp_path), label="fake:256")
    fill(store, keys[:COUNT], block)
    figures["read, 20,000 entries"] = microseconds({"": (lambda: store.read(sample), COUNT)})[""]
    start = time.thread_time()
    with Peak() as peak:
        for at in range(COUNT, many, COUNT):
            fill(store, keys[at : at + COUNT], block)
    figures["write, up to 1,000,000 entries"] = (time.thread_time() - start) / (many - COUNT) * 1e6
    sample = [keys[row] for row in np.random.default_rng(2).permutation(many)[:COUNT]]
    figures["read anywhere in 1,000,000 entries"] = microseconds({"": (lambda: store.read(sample), COUNT)})[""]
    near = keys[-COUNT:]
    figures["read 20,000 stored one after another, of 1,000,000"] = microseconds(
        {"": (lambda: store.read(near), COUNT)}
    )[""]
    start = time.thread_time()
    stats = store.cache.stats()
    figures["statistics, in all"] = (time.thread_time() - start) * 1e6
    store.close()
    title = f"disk cache, a million vectors, {width} dimensions, each"
    board(f"{title}; {stats.bytes / many:.0f} B, {peak.growth / 2**20:.0f} MiB of memory more", "µs CPU", figures)
    assert stats.entries == many
    assert peak.growth < 200 << 20
    assert figures["read 20,000 stored one after another, of 1,000,000"] < 1.5 * figures["read, 20,000 entries"]
    assert figures["read anywhere in 1,000,000 entries"] < 3 * figures["read, 20,000 entries"]


class Fixed(Embeddings):
    """Vectors at no cost, so that only the cache is measured."""

    def __init__(self, vectors):
        self.vectors = vectors

    def embed_documents(self, texts):
        return [self.vectors[int(text.partition(" ")[0])] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


class Kept(BaseEmbedding):
    """The same for LlamaIndex, whose base class keeps the cache."""

    _vectors: Fixed = PrivateAttr()

    def _get_query_embedding(self, query):
        return self._vectors.embed_query(query)

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text):
        return self._vectors.embed_query(text)

    def _get_text_embeddings(self, texts):
        return self._vectors.embed_documents(texts)


@pytest.mark.benchmark
def test_warm_reads_through_the_frameworks_against_their_own_caches(tmp_path, board):
    classic = pytest.importorskip("langchain_classic.embeddings")
    storage = pytest.importorskip("langchain_classic.storage")
    texts = [f"{number} {'a chunk of a thousand characters, say ' * 26}" for number in range(COUNT // 4)]
    vectors = np.random.default_rng(0).standard_normal((len(texts), WIDTH), dtype=np.float32).tolist()
    backed = classic.CacheBackedEmbeddings.from_bytes_store

    def theirs(store):
        return backed(Fixed(vectors), store, namespace="a", key_encoder="blake2b")

    ours = BridgeEmbeddings.wrap(Fixed(vectors), name="a", cache=tmp_path / "ours")
    on_disk, in_memory = theirs(storage.LocalFileStore(tmp_path / "theirs")), theirs(InMemoryByteStore())
    llama = Kept(embed_batch_size=1000, embeddings_cache=SimpleKVStore())
    llama._vectors = Fixed(vectors)

    models = {
        "embedbridge, disk": ours.embed_documents,
        "CacheBackedEmbeddings, LocalFileStore": on_disk.embed_documents,
        "CacheBackedEmbeddings, in memory": in_memory.embed_documents,
        "LlamaIndex embeddings_cache, in memory": llama.get_text_embedding_batch,
    }
    for model in models.values():
        model(texts)
    assert ours.embed_documents(texts) == on_disk.embed_documents(texts)
    figures = microseconds({name: (lambda model=model: model(texts), len(texts)) for name, model in models.items()})
    board(f"warm read through the framework, lists of floats, {WIDTH} dimensions, each", "µs CPU", figures)
    numpy = microseconds({"": (lambda: ours.embedder.embed_documents(texts), len(texts))})[""]
    board(
        "the same without lists: Embedder.embed_documents", "µs CPU", {"embedbridge, disk, one array": numpy} | figures
    )

    keys = make_keys(len(texts))
    store, file_store = GuardedStore(DiskCache(tmp_path / "write")), storage.LocalFileStore(tmp_path / "files")
    matrix = np.array(vectors, dtype=np.float32)
    written = microseconds(
        {
            "embedbridge": (lambda: fill(store, keys, matrix), len(keys)),
            "LocalFileStore, JSON as CacheBackedEmbeddings writes it": (
                lambda: write_files(file_store, vectors),
                len(keys),
            ),
        },
        rounds=1,
    )
    board(f"write, {WIDTH} dimensions, each", "µs CPU", written)
    read, disk, memory, _ = figures.values()
    assert disk >= 5 * read
    assert memory >= 4 * read
    assert disk >= 20 * numpy
    fast, slow = written.values()
    assert slow >= 10 * fast


def write_files(store, vectors):
    for at in range(0, len(vectors), BATCH):
        store.mset([(f"a{row}", json.dumps(vectors[row]).encode()) for row in range(at, min(at + BATCH, len(vectors)))])


@pytest.mark.benchmark
def test_one_warm_query(tmp_path, board):
    queries = [f"question {number}" for number in range(500)]
    on_disk, in_memory = (Embedder("fake:1536", cache=cache) for cache in (tmp_path / "disk", "memory"))
    with diskcache.Cache(str(tmp_path / "raw")) as raw:
        for query in queries:
            raw[query] = on_disk.embed_query(query).tobytes()
            in_memory.embed_query(query)
        contenders = {
            "Embedder.embed_query, disk": on_disk.embed_query,
            "Embedder.embed_query, memory": in_memory.embed_query,
            "diskcache get and frombuffer": lambda query: np.frombuffer(raw[query], "f4"),
        }
        runs = {name: (lambda call=call: use_each(call, queries), len(queries)) for name, call in contenders.items()}
        figures = microseconds(runs, rounds=20)
    board("one warm query, 1536 dimensions", "µs CPU", figures)
    disk, _, bare = figures.values()
    assert disk < 20 * bare
