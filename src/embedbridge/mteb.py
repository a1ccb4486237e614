"""An embedder as a model of the package `mteb`: `mteb.evaluate(MTEBEncoder(embedder), tasks)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._core.prepare import check_container
from ._core.types import InputType, Vectors
from ._threads.telling import warn
from .embedder import Embedder
from .errors import ConfigurationError, InvalidInputError, MissingExtraError
from .similarity import cosine_similarity

__all__ = ["MTEBEncoder", "role_of"]

ROLES: dict[str, InputType] = {"query": "query", "document": "document", "passage": "document"}
"""mteb's name for a side of a search → our role."""
SYMMETRIC = ("Classification", "MultilabelClassification", "PairClassification", "STS", "Summarization", "BitextMining")
"""Types of tasks that compare texts with their like. Models that tell them apart have one prefix for all: E5's
`query: `, nomic's `classification: `."""
KINDS: dict[str, InputType] = {"Clustering": "clustering", **dict.fromkeys(SYMMETRIC, "classification")}
"""Type of a task without sides → the role of its texts; those of other types are documents."""

IDLE: dict[str, Any] = {
    **dict.fromkeys(("hf_split", "hf_subset", "task_name", "batch_size", "show_progress_bar", "num_proc")),
    "convert_to_numpy": True,
    "convert_to_tensor": False,
    "precision": "float32",
    "output_value": "sentence_embedding",
}
"""Keywords of `encode` that change no vector: all values of those with None, one of the others."""


class MTEBEncoder:
    """Encodes with an embedder, each text in the role that the task gives it.

    Takes the batches of mteb 2 and the lists of sentences of mteb 1. Its tasks hold empty texts: give the embedder
    `empty="zero"`.

    Args:
        embedder: what encodes. Tasks of mteb hold empty texts: give it `empty="zero"`.

    Raises:
        ConfigurationError: `embedder` is no `Embedder`.
    """

    def __init__(self, embedder: Embedder) -> None:
        if not isinstance(embedder, Embedder):
            raise ConfigurationError(
                f"embedder is {type(embedder).__name__}; give an Embedder, which a LangChain or LlamaIndex object of "
                "ours has as its .embedder"
            )
        self.embedder = embedder

    def encode(
        self, inputs: Iterable[Any], *, task_metadata: Any = None, prompt_type: Any = None, **keywords: Any
    ) -> Vectors:
        """The vectors of all texts.

        Args:
            inputs: batches as mteb 2 gives them, or the sentences of mteb 1.
            task_metadata: mteb's description of the task; its type decides the role where the task has no sides.
            prompt_type: the side of a search; None: the task has none.
            **keywords: mteb's other keywords; those that would change a vector are warned of.

        Returns:
            Shape `(n, dimensions)`, float32.

        Raises:
            InvalidInputError: the inputs are no texts, or `prompt_type` is no side of a search.
        """
        _warn_of(keywords)
        check_container(inputs)
        texts: list[str] = []
        for batch in inputs:
            texts += [batch] if isinstance(batch, str) else _texts_of(batch)
        return self.embedder.embed(texts, input_type=role_of(prompt_type, task_metadata)).vectors

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines of every vector with every other.

        Args:
            embeddings1: `(n, d)`.
            embeddings2: `(m, d)`.

        Returns:
            Shape `(n, m)`, float32.
        """
        return cosine_similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines of vectors at the same place.

        Args:
            embeddings1: `(n, d)`.
            embeddings2: `(n, d)`.

        Returns:
            Shape `(n,)`, float32.
        """
        return cosine_similarity(embeddings1, embeddings2, paired=True)

    @property
    def mteb_model_meta(self) -> Any:
        """The name and revision under which mteb stores results: equal exactly for embedders of the same space."""
        try:
            from mteb.models import ModelMeta
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
    """The role of a task's texts.

    Args:
        prompt_type: mteb's side of a search, or None.
        task: mteb's description of the task, or None.

    Returns:
        One of the four roles.

    Raises:
        InvalidInputError: the side of a search is not known.
    """
    side, kind = getattr(prompt_type, "value", prompt_type), getattr(task, "type", None)
    if side is None:
        return KINDS.get(kind, "document") if isinstance(kind, str) else "document"
    if not isinstance(side, str) or side not in ROLES:
        raise InvalidInputError(f"prompt_type={side!r} is not known; use one of {', '.join(ROLES)}, or None")
    return ROLES[side]


def _texts_of(batch: Any) -> list[str]:
    if not isinstance(batch, Mapping) or "text" not in batch:
        held = f"a dict of {', '.join(map(repr, batch))}" if isinstance(batch, Mapping) else type(batch).__name__
        raise InvalidInputError(f"a batch is {held}; only texts can be embedded: a dict with a list of them as 'text'")
    check_container(batch["text"])
    return list(batch["text"])


def _warn_of(keywords: dict[str, Any]) -> None:
    named = {name: value for name, value in keywords.items() if value is not None and value is not False}
    ignored = [name for name, value in named.items() if name not in IDLE or IDLE[name] not in {None, value}]
    if ignored:
        warn(f"encode: {', '.join(ignored)} has no effect; give the embedder its options instead", stacklevel=3)
