"""A stand-in for `llama_index.embeddings.nvidia.NVIDIAEmbedding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Unpack

from llama_index.core.callbacks import CallbackManager
from pydantic import Field, PrivateAttr

from embedbridge._frameworks.keywords import CLIENT, Ours, environment
from embedbridge._frameworks.nvidia_fields import OFFICIAL, nvidia_options

from .stand_in import LlamaIndexStandIn

__all__ = ["NVIDIAEmbedding"]

DEFAULT_MODEL = "nvidia/nv-embedqa-e5-v5"
"""The original's, of NVIDIA's hosted API."""


class NVIDIAEmbedding(LlamaIndexStandIn):
    """For `llama_index.embeddings.nvidia.NVIDIAEmbedding`: its keywords, attributes, requests and vectors.

    Honoured: model, base_url, nvidia_api_key, api_key, truncate, timeout, max_retries, dimensions, embed_batch_size,
    callback_manager, num_workers; and the variables NVIDIA_API_KEY and NVIDIA_BASE_URL.
    Refused: http_client, async_http_client.
    Three things differ: a query is sent as a query in sync calls too, where version 0.6 of the original sends it as a
    passage, and the first one warns of it; dimensions are sent in async calls too; and a server of one's own is not
    asked for its models, so `model` has to be named there.
    """

    package = "llama-index-embeddings-nvidia"
    provider = "nvidia"
    synonyms: ClassVar[Mapping[str, str]] = {"model": "model_name", "api_key": "nvidia_api_key"}

    model_name: str = ""
    base_url: str = Field(default_factory=lambda: environment("NVIDIA_BASE_URL")() or OFFICIAL)
    truncate: Literal["NONE", "START", "END"] = "NONE"
    timeout: float = Field(default=120, ge=0)
    max_retries: int = Field(default=5, ge=0)
    dimensions: int | None = None
    nvidia_api_key: str | None = Field(default=None, exclude=True, repr=False)
    embed_batch_size: int = Field(default=10, gt=0, le=259)
    http_client: Any = Field(default=None, exclude=True, repr=False)
    async_http_client: Any = Field(default=None, exclude=True, repr=False)

    _warned: bool = PrivateAttr(default=False)

    def __init__(
        self,
        model: str | None = None,
        timeout: float | None = 120,
        max_retries: int | None = 5,
        dimensions: int | None = 0,
        nvidia_api_key: str | None = None,
        api_key: str | None = None,
        embed_batch_size: int = 10,
        callback_manager: CallbackManager | None = None,
        http_client: Any = None,
        async_http_client: Any = None,
        *,
        base_url: str | None = None,
        truncate: Literal["NONE", "START", "END"] | None = None,
        num_workers: int | None = None,
        model_name: str | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__({**locals(), "dimensions": dimensions or None})
        self.__dict__["model_name"] = self.model_name or DEFAULT_MODEL  # as the original

    @property
    def model(self) -> str:
        """The model's name, as the original has it."""
        return self.model_name

    def _begin_query(self) -> None:
        if not self._warned:
            self._warned = True
            self._say(
                f"get_query_embedding sends a query as a query; version 0.6 of {self.package} sends it as a passage, "
                "but for async calls"
            )

    def _translate(self) -> dict[str, Any]:
        self._refuse(CLIENT, "http_client", "async_http_client")
        return nvidia_options(self.model_name or None, self.base_url, self.truncate, usual=DEFAULT_MODEL) | {
            "timeout": self.timeout,
            "max_retries": self.max_retries,
            "dimensions": self.dimensions,
            "api_key": self.nvidia_api_key,
        }
