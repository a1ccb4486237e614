"""LlamaIndex's face: `BaseEmbedding` over an `Embedder`. Method names and shapes, no decisions."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, Field, PrivateAttr

from .core.errors import MissingExtraError

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
except ImportError as error:
    raise MissingExtraError('LlamaIndex is not installed; run: pip install "embedbridge[llama-index]"') from error

from .embedder import Embedder
from .options import EmbedderOptions

__all__ = ["BridgeEmbedding"]

FRAMEWORK_FIELDS = ("embed_batch_size", "num_workers")


class BridgeEmbedding(EmbedderOptions, BaseEmbedding):
    """LlamaIndex `BaseEmbedding` by any provider: `BridgeEmbedding(model="openai:text-embedding-3-small")`.

    Takes the options of `EmbedderOptions`; raises `ConfigurationError` at construction for wrong ones.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())

    embed_batch_size: int = Field(default=1_000_000, gt=0)
    """Texts that LlamaIndex hands over at once; requests are packed by `batch_size` and the provider's limits."""

    _embedder: Embedder = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Build the core."""
        super().model_post_init(context)
        self.model_name = self.model
        self._embedder = Embedder.from_options(self)

    @classmethod
    def class_name(cls) -> str:
        """Under which LlamaIndex stores it."""
        return "BridgeEmbedding"

    @classmethod
    def of(cls, embedder: Embedder) -> Self:
        """The face of an embedder that exists already; the two share everything."""
        face = cls(**embedder.options.shared())
        face._embedder = embedder
        return face

    @classmethod
    def wrap(cls, embedding: BaseEmbedding, *, name: str, **options: Any) -> Self:
        """Any other LlamaIndex embedding behind our cache, batches and checks; `name` takes part in the cache key."""
        own = {**options.pop("provider_options", {}), "embeddings": embedding}
        return cls(model=f"llama-index:{name}", provider_options=own, **options)

    @property
    def embedder(self) -> Embedder:
        """The core: NumPy methods, reports, estimates."""
        return self._embedder

    def as_langchain(self) -> Any:
        """The same embedder as a LangChain `Embeddings`."""
        return self._embedder.as_langchain()

    def _get_query_embedding(self, query: str) -> Embedding:
        vector: Embedding = self._embedder.embed_query(query).tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> Embedding:
        vector: Embedding = (await self._embedder.aembed_query(query)).tolist()
        return vector

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        vectors: list[Embedding] = self._embedder.embed_documents(texts).tolist()
        return vectors

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        vectors: list[Embedding] = (await self._embedder.aembed_documents(texts)).tolist()
        return vectors

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: getattr(self, name) for name in FRAMEWORK_FIELDS}
        return _rebuild, (type(self), self.portable() | fields)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return type(self)(**self.shared(), **{name: getattr(self, name) for name in FRAMEWORK_FIELDS})


def _rebuild(kind: type[BridgeEmbedding], options: dict[str, Any]) -> BridgeEmbedding:
    return kind(**options)
