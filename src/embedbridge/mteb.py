"""An embedder as a model of the package `mteb`: `mteb.evaluate(MTEBEncoder(embedder), tasks)`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .core.errors import MissingExtraError
from .core.types import InputType, Vectors
from .embedder import Embedder
from .similarity import cosine_similarity

ROLES: dict[str, InputType] = {"query": "query", "document": "document", "passage": "document"}
"""mteb's name for a side of a search → our role."""
SYMMETRIC = ("Classification", "MultilabelClassification", "PairClassification", "STS", "Summarization", "BitextMining")
"""Types of tasks that compare texts with their like. Models that tell them apart have one prefix for all: E5's
`query: `, nomic's `classification: `."""
KINDS: dict[str, InputType] = {"Clustering": "clustering", **dict.fromkeys(SYMMETRIC, "classification")}
"""Type of a task without sides → the role of its texts; those of other types are documents."""


class MTEBEncoder:
    """Encodes with an embedder, each text in the role that the task gives it.

    Takes the batches of mteb 2 and the lists of sentences of mteb 1. Its tasks hold empty texts: give the embedder
    `empty="zero"`.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def encode(self, inputs: Iterable[Any], *, task_metadata: Any = None, prompt_type: Any = None, **_: Any) -> Vectors:
        """Vectors of all texts, shape `(n, dimensions)`, float32."""
        texts: list[str] = []
        for batch in inputs:
            texts += [batch] if isinstance(batch, str) else batch["text"]
        return self.embedder.embed(texts, input_type=role_of(prompt_type, task_metadata)).vectors

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines of every vector with every other, shape `(n, m)`."""
        return cosine_similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines of vectors at the same place, shape `(n,)`."""
        return cosine_similarity(embeddings1, embeddings2, paired=True)

    @property
    def mteb_model_meta(self) -> Any:
        """The name and revision under which mteb stores results: equal exactly for embedders of the same space."""
        try:
            from mteb.models import ModelMeta  # noqa: PLC0415 - only mteb asks for it
        except ImportError:
            raise MissingExtraError("the package 'mteb' is not installed; run: pip install mteb") from None
        space = self.embedder.space
        return ModelMeta.create_empty(
            {
                "name": f"{space.provider}/{space.model.strip('/').replace('/', '__')}",
                "revision": space.fingerprint,
                "embed_dim": self.embedder.describe().dimensions,
                "similarity_fn_name": "cosine",
            }
        )


def role_of(prompt_type: Any, task: Any) -> InputType:
    """The role of a task's texts."""
    side = getattr(prompt_type, "value", prompt_type)
    if side in ROLES:
        return ROLES[side]
    kind = getattr(task, "type", None)
    return KINDS.get(kind or "", "document")
