"""`Embeddings` of which the options are the fields."""

from __future__ import annotations

from embedbridge._frameworks.face import Bridge

from .face import LangChainFace

__all__ = ["BridgeEmbeddings"]


class BridgeEmbeddings(Bridge, LangChainFace):
    """LangChain `Embeddings` by any provider: `BridgeEmbeddings(model="openai:text-embedding-3-small")`.

    Takes the options of `EmbedderOptions`; raises `ConfigurationError` at construction for wrong ones.
    """

    framework = "langchain"
