"""A stand-in for `llama_index.embeddings.ollama.OllamaEmbedding`."""

from __future__ import annotations

from typing import Any, Self, Unpack

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.callbacks import CallbackManager
from pydantic import Field, SecretStr

from embedbridge._frameworks.keywords import Ours, of_keyword
from embedbridge._frameworks.ollama_fields import client_options

from .stand_in import LlamaIndexStandIn

__all__ = ["OllamaEmbedding"]

HERE = {"http://localhost:11434": "http://127.0.0.1:11434"}
"""The original's default names this machine in another way than ours does."""


class OllamaEmbedding(LlamaIndexStandIn):
    """For `llama_index.embeddings.ollama.OllamaEmbedding`: its keywords, attributes, requests and vectors.

    Honoured: model_name, base_url (OLLAMA_HOST is not looked at), embed_batch_size, ollama_additional_kwargs,
    query_instruction and text_instruction (one blank follows them), callback_manager, keep_alive, num_workers; of
    client_kwargs headers, auth, timeout, verify, proxy, cert, http2 and trust_env. It sends no prefix but instructions.
    Refused: other client_kwargs.
    Outer blanks of a text are kept, where the original strips them.
    """

    package = "llama-index-embeddings-ollama"
    provider = "ollama"
    model_name: str
    base_url: str = "http://localhost:11434"
    embed_batch_size: int = Field(default=10, gt=0, le=2048)
    ollama_additional_kwargs: dict[str, Any] = Field(default_factory=dict)
    query_instruction: str | None = None
    text_instruction: str | None = None
    client_kwargs: dict[str, Any] = Field(default_factory=dict)
    keep_alive: float | str | None = None

    def __init__(
        self,
        model_name: str,
        base_url: str = "http://localhost:11434",
        embed_batch_size: int = 10,
        ollama_additional_kwargs: dict[str, Any] | None = None,
        query_instruction: str | None = None,
        text_instruction: str | None = None,
        callback_manager: CallbackManager | None = None,
        client_kwargs: dict[str, Any] | None = None,
        keep_alive: float | str | None = None,
        *,
        num_workers: int | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
        api_key: str | SecretStr | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _translate(self) -> dict[str, Any]:
        with of_keyword("client_kwargs"):
            found = client_options(self.client_kwargs)
        seconds = self.keep_alive
        if isinstance(seconds, float):
            seconds = int(seconds) if seconds.is_integer() else f"{seconds}s"
        own = {"options": self.ollama_additional_kwargs or None, "keep_alive": seconds}
        return {
            **found,
            "model": f"ollama:{self.model_name}",
            "base_url": HERE.get(self.base_url, self.base_url),
            "query_prefix": instruction(self.query_instruction),
            "document_prefix": instruction(self.text_instruction),
            "provider_options": found["provider_options"] | own,
        }

    def get_general_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        """Vectors of texts without an instruction.

        Args:
            texts: the texts.

        Returns:
            One list of floats for each text.
        """
        return self._without_instruction()._get_text_embeddings(texts)  # noqa: SLF001 - our own

    async def aget_general_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        """`get_general_text_embeddings` as a coroutine.

        Args:
            texts: the texts.

        Returns:
            One list of floats for each text.
        """
        return await self._without_instruction()._aget_text_embeddings(texts)  # noqa: SLF001 - our own

    def get_general_text_embedding(self, texts: str) -> Embedding:
        """The vector of one text without an instruction.

        Args:
            texts: the one text; the name is the original's.

        Returns:
            The list of floats.
        """
        return self.get_general_text_embeddings([texts])[0]

    async def aget_general_text_embedding(self, prompt: str) -> Embedding:
        """`get_general_text_embedding` as a coroutine.

        Args:
            prompt: the text; the name is the original's.

        Returns:
            The list of floats.
        """
        return (await self.aget_general_text_embeddings([prompt]))[0]

    def _without_instruction(self) -> Self:
        """This object, or a copy that puts nothing before texts. Raises `ConfigurationError` where none may be made."""
        if not self.embedder.route("document").prefix:
            return self
        return self._for_call("texts without text_instruction", {"text_instruction": None, "document_prefix": ""})


def instruction(words: str | None) -> str:
    """A prefix: the original sets it apart by one blank."""
    return f"{words.strip()} " if words and words.strip() else ""
