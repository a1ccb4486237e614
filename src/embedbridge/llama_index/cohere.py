"""A stand-in for `llama_index.embeddings.cohere.CohereEmbedding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from llama_index.core.callbacks import CallbackManager
from pydantic import Field

from embedbridge._frameworks.keywords import CLIENT, Ours, check_float, environment, too_long

from .images import NoImages
from .stand_in import LlamaIndexStandIn

__all__ = ["CohereEmbedding"]


class CohereEmbedding(NoImages, LlamaIndexStandIn):
    """For `llama_index.embeddings.cohere.CohereEmbedding`: its keywords, attributes, requests and vectors.

    Honoured: api_key, cohere_api_key, model_name, input_type (sent with all texts; left out: by role),
    embed_batch_size, callback_manager, base_url, timeout, num_workers, max_retries; and COHERE_API_KEY, CO_API_KEY.
    Mapped: truncate "END" is too_long="truncate", "NONE" is "error".
    Refused: truncate="START", other embedding_type than "float", httpx_client, httpx_async_client; images.
    """

    package = "llama-index-embeddings-cohere"
    provider = "cohere"
    synonyms: ClassVar[Mapping[str, str]] = {"cohere_api_key": "api_key", "model": "model_name"}

    api_key: str = Field(
        default_factory=environment("COHERE_API_KEY", "CO_API_KEY", default=""), exclude=True, repr=False
    )
    model_name: str = "embed-english-v3.0"
    truncate: str = "END"
    input_type: str | None = None
    embedding_type: str = "float"
    embed_batch_size: int = Field(default=10, gt=0, le=96)
    base_url: str | None = None
    timeout: float | None = None
    httpx_client: Any = Field(default=None, exclude=True, repr=False)
    httpx_async_client: Any = Field(default=None, exclude=True, repr=False)
    max_retries: int = Field(default=10, ge=0)

    def __init__(
        self,
        cohere_api_key: str | None = None,
        api_key: str | None = None,
        model_name: str = "embed-english-v3.0",
        truncate: str = "END",
        input_type: str | None = None,
        embedding_type: str = "float",
        embed_batch_size: int = 10,
        callback_manager: CallbackManager | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        httpx_client: Any = None,
        httpx_async_client: Any = None,
        num_workers: int | None = None,
        max_retries: int = 10,
        *,
        model: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _translate(self) -> dict[str, Any]:
        self._refuse(CLIENT, "httpx_client", "httpx_async_client")
        check_float("embedding_type", self.embedding_type)
        return {
            "model": f"cohere:{self.model_name}",
            "too_long": too_long("truncate", self.truncate),
            "api_key": self.api_key or None,
            "max_retries": self.max_retries,
            "timeout": self.timeout,
            "base_url": self.base_url,
            "provider_options": {"input_type": self.input_type},
        }
