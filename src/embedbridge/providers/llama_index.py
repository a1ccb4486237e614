"""Any LlamaIndex `BaseEmbedding` as a provider."""

from __future__ import annotations

from collections.abc import Sequence

from embedbridge._core.types import Batch

from ._wrapped import WrappedProvider

__all__ = ["LlamaIndexProvider"]


class LlamaIndexProvider(WrappedProvider):
    """`BridgeEmbedding.wrap(embedding, name="…")`."""

    name = "llama-index"
    package = "llama_index.core"
    extra = "llama-index"
    methods = ("get_text_embedding_batch", "get_query_embedding")

    def coroutines(self, batch: Batch) -> Sequence[str]:
        """Those that a subclass of the interface defines."""
        if batch.route.wire_type == "query":
            return ("_aget_query_embedding",)
        return "_aget_text_embeddings", "_aget_text_embedding"
