"""Figures of preparing: routing, length check and keys of 100,000 chunks of 1,000 characters, without a tokenizer.

`pytest -m benchmark tests/benchmarks/test_prepare_bench.py`; the promise is 10 µs a text.
"""

from __future__ import annotations

import time
from hashlib import blake2b

import pytest

from embedbridge import Embedder
from embedbridge._core import flow
from embedbridge._core.prepare import check_texts
from embedbridge._core.tokens import ByteCounter

CHUNKS, LENGTH, ROUNDS = 100_000, 1_000, 5
PROSE = "The quick brown fox jumps over the lazy dog, and nobody has asked it why it does so every single time. "
SCRIPTS = {
    "English": PROSE,
    "German": PROSE.replace("o", "ö").replace("u", "ü"),
    "Chinese": "检索增强生成需要好的向量表示" * 8,
}


def chunks_of(script):
    book = script * (LENGTH // len(script) + 2)
    return [f"{number:06}{book[number % len(script) :][: LENGTH - 6]}" for number in range(CHUNKS)]


def best(run):
    """Microseconds a text, the best of several rounds."""
    seconds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return min(seconds) / CHUNKS * 1e6


@pytest.mark.benchmark
@pytest.mark.parametrize("script", SCRIPTS)
def test_preparing_costs_little_more_than_hashing(script, monkeypatch, board):
    monkeypatch.setattr(ByteCounter, "spans", None)  # whoever counts tokens fails
    texts = chunks_of(SCRIPTS[script])
    embedder = Embedder("fake:8", cache=False, document_prefix="passage: ", provider_options={"max_tokens": 8 * LENGTH})

    def prepare():
        job = embedder._begin(check_texts(texts), "document", None)
        assert next(flow.fit(job, range(CHUNKS)), None) is None

    def hash_only():
        for text in texts:
            blake2b(text.encode(), digest_size=32).digest()

    ours, bare = best(prepare), best(hash_only)
    board(
        f"routing, length check and key, a chunk of {LENGTH} characters, {script}",
        "µs",
        {"prepare": ours, "encode and hash": bare},
    )
    assert ours <= 5 * bare
