"""Any LangChain `Embeddings` as a provider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embedbridge._core.types import Batch

from ._wrapped import WrappedProvider

__all__ = ["LangChainProvider"]


class LangChainProvider(WrappedProvider):
    """`BridgeEmbeddings.wrap(embeddings, name="…")`."""

    name = "langchain"
    package = "langchain_core"
    extra = "langchain"
    methods = ("embed_documents", "embed_query")

    def vectors(self, batch: Batch) -> Sequence[Any]:
        """Queries one by one, since the interface knows no other way."""
        if batch.route.wire_type == "query":
            return [self.embeddings.embed_query(text) for text in batch.texts]
        return list(self.embeddings.embed_documents(list(batch.texts)))

    async def avectors(self, batch: Batch) -> Sequence[Any]:
        """The same by the object's own coroutines."""
        if batch.route.wire_type == "query":
            return [await self.embeddings.aembed_query(text) for text in batch.texts]
        return list(await self.embeddings.aembed_documents(list(batch.texts)))

    def coroutines(self, batch: Batch) -> Sequence[str]:
        """The coroutine that embeds the batch's role."""
        return ("aembed_query",) if batch.route.wire_type == "query" else ("aembed_documents",)
