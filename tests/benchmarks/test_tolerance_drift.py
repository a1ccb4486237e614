"""Whether an index of which one half comes from a replica within the tolerance finds less than one of a single origin.

`pytest -m long -s tests/benchmarks/test_tolerance_drift.py`; a minute on two quiet cores. The notebooks' part of
SciFact is searched, or the whole where `EMBEDBRIDGE_SCIFACT` names its folder. Query vectors come from the original.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from embedbridge._core.proof import TOLERANCE
from embedbridge.collection import Collection, judge
from embedbridge.evaluation import overlap, paired_bootstrap
from embedbridge.similarity import top_k
from support.replicas import apart, embedding, loaded

PART = Path(__file__).parents[2] / "notebooks" / "data"
DRAWS = 20
"""Times that chance moves the vectors."""


def moved(vectors, directions):
    """The vectors, each turned towards a direction until 1 - cosine is the tolerance."""
    sideways = directions - (directions * vectors).sum(axis=1, keepdims=True) * vectors
    sideways /= np.linalg.norm(sideways, axis=1, keepdims=True)
    near = 1 - TOLERANCE
    return (near * vectors + np.sqrt(1 - near**2) * sideways).astype(np.float32)


def replicas(vectors, half_precision):
    """Names and vectors of replicas: a real one, and two kinds that are as far apart as the tolerance lets them be."""
    yield "bfloat16", half_precision
    for seed in range(DRAWS):
        random = np.random.default_rng(seed)
        yield f"at the tolerance, by chance, {seed}", moved(vectors, random.standard_normal(vectors.shape))
        one = random.standard_normal(vectors.shape[1])
        yield f"at the tolerance, all in one direction, {seed}", moved(vectors, np.broadcast_to(one, vectors.shape))
    yield (
        "at the tolerance, all towards their mean",
        moved(vectors, np.broadcast_to(vectors.mean(axis=0), vectors.shape)),
    )


@pytest.mark.long
def test_an_index_of_two_replicas_within_the_tolerance_finds_as_much_as_one_of_a_single_origin(minilm_path):
    collection = Collection.load(os.environ.get("EMBEDBRIDGE_SCIFACT") or PART)
    texts, asked = list(collection.documents.values()), list(collection.queries.values())
    original = embedding(loaded(minilm_path))
    documents, queries = original(texts), original(asked)
    pure, found = judge(collection, documents, queries).ndcg, top_k(queries, documents, k=10).indices.tolist()
    print(f"\n{len(texts)} documents, {len(asked)} queries, nDCG@10 {pure.mean():.4f}")
    means, shared = [], []
    for name, replica in replicas(documents, embedding(loaded(minilm_path, "bfloat16"))(texts)):
        mixed = documents.copy()
        mixed[::2] = replica[::2]
        gap = paired_bootstrap(judge(collection, mixed, queries).ndcg, pure)
        shared.append(overlap(top_k(queries, mixed, k=10).indices.tolist(), found).mean())
        means.append(gap.mean)
        print(f"{name:45}{apart(replica, documents).max():9.1e}  {gap}  {shared[-1]:.3f} of ten")
        assert gap.low <= 0 <= gap.high, f"{name}: {gap}"
    print(f"nDCG@10 {min(means):+.4f} to {max(means):+.4f}, {min(shared):.3f} of ten at least")
    assert max(map(abs, means)) < 0.01
