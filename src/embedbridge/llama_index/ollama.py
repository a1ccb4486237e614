"""A stand-in for `llama_index.embeddings.ollama.OllamaEmbedding`."""

from __future__ import annotations

from typing import Any, Unpack

from llama_index.core.callbacks import CallbackManager
from pydantic import Field, SecretStr

from embedbridge._frameworks.keywords import Ours
from embedbridge._frameworks.ollama_fields import client_options
from embedbridge._frameworks.stand_in import of_keyword

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


def instruction(words: str | None) -> str:
    """A prefix: the original sets it apart by one blank."""
    return f"{words.strip()} " if words and words.strip() else ""
