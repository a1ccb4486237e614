"""LangChain's face: `Embeddings` over an `Embedder`. Method names and shapes, no decisions."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, PrivateAttr

from .core.errors import MissingExtraError

try:
    from langchain_core.embeddings import Embeddings
except ImportError as error:
    raise MissingExtraError('LangChain is not installed; run: pip install "embedbridge[langchain]"') from error

from .embedder import Embedder
from .options import EmbedderOptions

__all__ = ["BridgeEmbeddings"]


class BridgeEmbeddings(EmbedderOptions, Embeddings):
    """LangChain `Embeddings` by any provider: `BridgeEmbeddings(model="openai:text-embedding-3-small")`.

    Takes the options of `EmbedderOptions`; raises `ConfigurationError` at construction for wrong ones.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())

    _embedder: Embedder = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Build the core."""
        self._embedder = Embedder.from_options(self)

    @classmethod
    def of(cls, embedder: Embedder) -> Self:
        """The face of an embedder that exists already; the two share everything."""
        face = cls(**embedder.options.shared())
        face._embedder = embedder
        return face

    @classmethod
    def wrap(cls, embeddings: Embeddings, *, name: str, **options: Any) -> Self:
        """Any other LangChain embeddings behind our cache, batches and checks; `name` takes part in the cache key."""
        own = {**options.pop("provider_options", {}), "embeddings": embeddings}
        return cls(model=f"langchain:{name}", provider_options=own, **options)

    @property
    def embedder(self) -> Embedder:
        """The core: NumPy methods, reports, estimates."""
        return self._embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One list of floats for each text."""
        vectors: list[list[float]] = self._embedder.embed_documents(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The list of floats of one query."""
        vector: list[float] = self._embedder.embed_query(text).tolist()
        return vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """One list of floats for each text."""
        vectors: list[list[float]] = (await self._embedder.aembed_documents(texts)).tolist()
        return vectors

    async def aembed_query(self, text: str) -> list[float]:
        """The list of floats of one query."""
        vector: list[float] = (await self._embedder.aembed_query(text)).tolist()
        return vector

    def as_llama_index(self) -> Any:
        """The same embedder as a LlamaIndex `BaseEmbedding`."""
        return self._embedder.as_llama_index()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.portable())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return type(self)(**self.shared())


def _rebuild(kind: type[BridgeEmbeddings], options: dict[str, Any]) -> BridgeEmbeddings:
    return kind(**options)
