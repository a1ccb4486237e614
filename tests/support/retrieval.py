"""SciFact asked with an embedder, whose vectors are kept in `.cache/scifact` and come from there the next time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedbridge import Embedder
from embedbridge.evaluation import ndcg
from embedbridge.similarity import top_k

from .build import CACHE
from .scifact import SciFact

VECTORS = CACHE / "scifact"
BGE = "Represent this sentence for searching relevant passages: "


def asked(scifact: SciFact) -> list[str]:
    """Ids of the queries that have judgements, in a fixed order."""
    return sorted(scifact.relevant)


def judge(scifact: SciFact, ranked: list[list[str]]) -> npt.NDArray[np.float64]:
    """nDCG@10 of each query in `asked`."""
    return ndcg(ranked, [scifact.relevant[query] for query in asked(scifact)])


def retrieve(
    scifact: SciFact, model: str | Path, *, document: str | None, query: str | None
) -> npt.NDArray[np.float64]:
    """nDCG@10 of each query by exact search, with these prefixes; None: whatever the model needs."""
    names = list(scifact.documents)
    with Embedder(f"local:{model}", cache=VECTORS, document_prefix=document, query_prefix=query) as embedder:
        documents = np.concatenate([part.vectors for part in embedder.stream(scifact.documents.values())])
        queries = embedder.embed([scifact.queries[name] for name in asked(scifact)], input_type="query").vectors
    found = top_k(queries, documents, k=10).indices
    return judge(scifact, [[names[row] for row in rows] for rows in found.tolist()])
