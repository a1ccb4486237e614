"""The local path against what people use today, with real MiniLM on one thread of a processor."""

from __future__ import annotations

import re
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

from embedbridge import Embedder

pytestmark = pytest.mark.benchmark

EACH = 60
ROUNDS = 3


def corpus():
    """Lines, paragraphs and chunks of 1,900 characters out of the standard library's docstrings, mixed."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    docs = [doc for file in files for doc in re.findall(r'"""(.*?)"""', file.read_text("utf-8"), re.DOTALL)]
    lines = [line.strip() for doc in docs for line in doc.splitlines() if 20 < len(line.strip()) < 100]
    paragraphs = [" ".join(part.split()) for doc in docs for part in doc.split("\n\n") if 150 < len(part) < 1200]
    prose = " ".join(" ".join(docs).split())
    chunks = [prose[at : at + 1900] for at in range(0, len(prose) - 1900, 1900)]
    kinds = [kind[:: max(1, len(kind) // EACH)][:EACH] for kind in (lines, paragraphs, chunks)]
    return list(dict.fromkeys(text for texts in zip(*kinds, strict=True) for text in texts))


def test_mixed_lengths_go_as_fast_as_the_model_and_faster_than_the_frameworks(minilm_path, board):
    import torch
    from langchain_huggingface import HuggingFaceEmbeddings
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    from sentence_transformers import SentenceTransformer

    # Threads that wait for each other spin, which on a shared machine measures the neighbours.
    torch.set_num_threads(1)
    path, texts = str(minilm_path), corpus()
    model = SentenceTransformer(path, device="cpu", local_files_only=True)
    ours = Embedder(f"local:{path}", cache=False, provider_options={"device": "cpu"})
    calls = {"ours": ours.embed_documents}
    for size in (8, 16, 32, 64):
        calls[f"encode {size}"] = lambda texts, size=size: model.encode(texts, batch_size=size, show_progress_bar=False)
    calls["LangChain"] = HuggingFaceEmbeddings(model_name=path, model_kwargs={"device": "cpu"}).embed_documents
    calls["LlamaIndex"] = HuggingFaceEmbedding(path, device="cpu").get_text_embedding_batch
    assert np.abs(ours.embed_documents(texts) - model.encode(texts, show_progress_bar=False)).max() < 1e-6
    times = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            begun = time.process_time()
            call(texts)
            times[name].append(time.process_time() - begun)
    least = {name: min(found) for name, found in times.items()}
    ratios = {name: seconds / least["ours"] for name, seconds in least.items()}
    board(
        f"{len(texts)} texts of mixed lengths, MiniLM on one thread, a text",
        "ms CPU",
        {name: seconds / len(texts) * 1000 for name, seconds in least.items()},
    )
    assert min(ratio for name, ratio in ratios.items() if name.startswith("encode")) >= 1.0
    assert ratios["LangChain"] >= 1.0
    assert ratios["LlamaIndex"] >= 1.8
