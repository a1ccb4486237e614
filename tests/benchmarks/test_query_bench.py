"""What a query costs whose vector is in the cache: from memory and from a disk, and what of it is the cache's own.

`pytest -m benchmark tests/benchmarks/test_query_bench.py`
"""

from __future__ import annotations

import gc
import time

import pytest

from embedbridge import Embedder
from embedbridge.cache import DiskCache, MemoryCache

TEXT, TIMES, ROUNDS = "what is the capital of France?", 200, 12


def microseconds(run):
    """Processor time of one run in this thread, the best of several rounds."""
    seconds = []
    for _ in range(ROUNDS):
        begun = time.thread_time()
        for _ in range(TIMES):
            run()
        seconds.append((time.thread_time() - begun) / TIMES)
    return min(seconds) * 1e6


def nothing():
    return None


def thousand_calls():
    for _ in range(1000):
        nothing()


@pytest.mark.benchmark
def test_a_warm_query_costs_little_more_than_its_cache(server, tmp_path, board):
    figures = {}
    for place, cache in (("memory", MemoryCache()), ("disk", DiskCache(tmp_path))):
        with Embedder(
            "openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="sk", cache=cache
        ) as embedder:
            embedder.embed_query(TEXT)
            keys, store = embedder._begin([TEXT], "query", None).keys, embedder._shared.store
            gc.collect()
            figures[f"a query from {place}: ours, all"] = microseconds(lambda: embedder.embed_query(TEXT))
            figures[f"of which the cache, {place}"] = microseconds(lambda: store.read(keys, 1536))  # noqa: B023
    figures["a thousand calls of an empty function"] = microseconds(thousand_calls)
    ours = "a query from memory: ours, all"
    board("a warm query of 1536 numbers", "µs CPU", figures)
    assert server.stats.calls == 2
    assert figures[ours] - figures["of which the cache, memory"] < 3 * figures["a thousand calls of an empty function"]
