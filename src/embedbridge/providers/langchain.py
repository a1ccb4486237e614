"""Any LangChain `Embeddings` as a provider."""

from __future__ import annotations

from ._wrapped import WrappedProvider

__all__ = ["LangChainProvider"]


class LangChainProvider(WrappedProvider):
    """`BridgeEmbeddings.wrap(embeddings, name="…")`."""

    name = "langchain"
    package = "langchain_core"
    extra = "langchain"
    methods = ("embed_documents", "embed_query")
