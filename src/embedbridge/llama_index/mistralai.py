"""A stand-in for `llama_index.embeddings.mistralai.MistralAIEmbedding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from llama_index.core.callbacks import CallbackManager
from pydantic import Field

from embedbridge._frameworks.keywords import Ours, environment

from .stand_in import LlamaIndexStandIn

__all__ = ["MistralAIEmbedding"]


class MistralAIEmbedding(LlamaIndexStandIn):
    """For `llama_index.embeddings.mistralai.MistralAIEmbedding`: its keywords, attributes and vectors.

    Honoured: model_name, api_key, embed_batch_size, callback_manager, num_workers; and MISTRAL_API_KEY.
    Mapped: a text that is too long is an error (`too_long`), as at the original.
    The async methods work, which the original's do not.
    """

    package = "llama-index-embeddings-mistralai"
    provider = "mistral"
    synonyms: ClassVar[Mapping[str, str]] = {"model": "model_name"}

    model_name: str = "mistral-embed"
    api_key: str = Field(default_factory=environment("MISTRAL_API_KEY", default=""), exclude=True, repr=False)
    embed_batch_size: int = Field(default=10, gt=0, le=2048)

    def __init__(
        self,
        model_name: str = "mistral-embed",
        api_key: str | None = None,
        embed_batch_size: int = 10,
        callback_manager: CallbackManager | None = None,
        *,
        model: str | None = None,
        num_workers: int | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _translate(self) -> dict[str, Any]:
        return {
            "model": f"mistral:{self.model_name}",
            "api_key": self.api_key if "api_key" in self.model_fields_set else None,
            "too_long": "error",
        }
