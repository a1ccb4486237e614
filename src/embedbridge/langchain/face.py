"""LangChain's methods over an embedder. Names and shapes, no decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from embedbridge._frameworks.face import Face, alists, lists

if TYPE_CHECKING:
    from embedbridge.llama_index import BridgeEmbedding

__all__ = ["LangChainFace"]


class LangChainFace(Face, Embeddings):
    """LangChain `Embeddings` over `self.embedder`."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One list of floats for each text."""
        return lists(self._asked().embed_documents(texts))

    def embed_query(self, text: str) -> list[float]:
        """The list of floats of one query."""
        vector: list[float] = self._asked().embed_query(text).tolist()
        return vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """One list of floats for each text."""
        return await alists(await self._asked().aembed_documents(texts))

    async def aembed_query(self, text: str) -> list[float]:
        """The list of floats of one query."""
        vector: list[float] = (await self._asked().aembed_query(text)).tolist()
        return vector

    def as_llama_index(self) -> BridgeEmbedding:
        """The same embedder as a LlamaIndex `BaseEmbedding`.

        Returns:
            A `BridgeEmbedding` over the same embedder.
        """
        return self.embedder.as_llama_index()
