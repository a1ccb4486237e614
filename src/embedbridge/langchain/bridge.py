"""`Embeddings` over an `Embedder`. Method names and shapes, no decisions."""

from __future__ import annotations

from typing import Any

from langchain_core.embeddings import Embeddings

from embedbridge._frameworks.face import Face, alists, lists

__all__ = ["BridgeEmbeddings"]


class BridgeEmbeddings(Face, Embeddings):
    """LangChain `Embeddings` by any provider: `BridgeEmbeddings(model="openai:text-embedding-3-small")`.

    Takes the options of `EmbedderOptions`; raises `ConfigurationError` at construction for wrong ones.
    """

    framework = "langchain"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One list of floats for each text."""
        return lists(self.embedder.embed_documents(texts))

    def embed_query(self, text: str) -> list[float]:
        """The list of floats of one query."""
        vector: list[float] = self.embedder.embed_query(text).tolist()
        return vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """One list of floats for each text."""
        return await alists(await self.embedder.aembed_documents(texts))

    async def aembed_query(self, text: str) -> list[float]:
        """The list of floats of one query."""
        vector: list[float] = (await self.embedder.aembed_query(text)).tolist()
        return vector

    def as_llama_index(self) -> Any:
        """The same embedder as a LlamaIndex `BaseEmbedding`.

        Returns:
            A `BridgeEmbedding` over the same embedder.
        """
        return self.embedder.as_llama_index()
