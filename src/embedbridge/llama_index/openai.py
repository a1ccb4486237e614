"""A stand-in for `llama_index.embeddings.openai.OpenAIEmbedding`."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Unpack

from llama_index.core.callbacks import CallbackManager
from pydantic import Field

from embedbridge._frameworks.keywords import Ours
from embedbridge._frameworks.openai_fields import NO_ROLES, request_options
from embedbridge._frameworks.stand_in import CLIENT, environment
from embedbridge.errors import ConfigurationError

from .stand_in import LlamaIndexStandIn

__all__ = ["OpenAIEmbedding"]

OFFICIAL = "https://api.openai.com/v1"
RETIRED = frozenset({"davinci", "curie", "babbage", "ada"})
ELSEWHERE = ("user", "encoding_format", "extra_headers", "extra_query", "extra_body")
"""Keywords of the SDK that the original swallows."""


class OpenAIEmbedding(LlamaIndexStandIn):
    """For `llama_index.embeddings.openai.OpenAIEmbedding`: its keywords, attributes, requests and vectors.

    Honoured: model, model_name, embed_batch_size, dimensions, additional_kwargs, api_key, api_base, max_retries,
    timeout, default_headers, callback_manager, num_workers; and the variables OPENAI_API_KEY and OPENAI_API_BASE,
    while OPENAI_BASE_URL is not looked at.
    Idle, with a warning: api_version, reuse_client=False, mode.
    Refused: http_client, async_http_client, and the models of 2022, which OpenAI has switched off.
    Two things differ: newlines and outer blanks of a text are kept, and a missing key is told of at once.
    """

    package = "llama-index-embeddings-openai"
    provider = "openai"
    synonyms: ClassVar = {"model": "model_name", "base_url": "api_base"}

    mode: str = Field(default="text_search", exclude=True, repr=False)
    model_name: str = "text-embedding-ada-002"
    embed_batch_size: int = Field(default=100, gt=0, le=2048)
    dimensions: int | None = None
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)
    api_key: str = Field(default_factory=lambda: os.environ.get("OPENAI_API_KEY", ""), exclude=True, repr=False)
    api_base: str | None = Field(default_factory=lambda: environment("OPENAI_API_BASE")() or OFFICIAL)
    api_version: str | None = Field(default_factory=lambda: environment("OPENAI_API_VERSION")() or "")
    max_retries: int = Field(default=10, ge=0)
    timeout: float = Field(default=60.0, ge=0)
    default_headers: dict[str, Any] | None = None
    reuse_client: bool = True
    http_client: Any = Field(default=None, exclude=True, repr=False)
    async_http_client: Any = Field(default=None, exclude=True, repr=False)

    def __init__(
        self,
        mode: str = "text_search",
        model: str = "text-embedding-ada-002",
        embed_batch_size: int = 100,
        dimensions: int | None = None,
        additional_kwargs: dict[str, Any] | None = None,
        api_key: str | None = None,
        api_base: str | None = None,
        api_version: str | None = None,
        max_retries: int = 10,
        timeout: float = 60.0,
        reuse_client: bool = True,
        callback_manager: CallbackManager | None = None,
        default_headers: dict[str, str] | None = None,
        http_client: Any = None,
        async_http_client: Any = None,
        num_workers: int | None = None,
        *,
        model_name: str | None = None,
        base_url: str | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _translate(self) -> dict[str, Any]:
        self._refuse(CLIENT, "http_client", "async_http_client")
        self._idle("only Azure asks for it", "api_version")
        self._idle("today's models have one mode", "mode")
        self._idle("connections are kept as long as the embedder", "reuse_client")
        if self.model_name in RETIRED:
            raise ConfigurationError(f"model: OpenAI has switched {self.model_name!r} off; name one of today's models")
        official = self.api_base == OFFICIAL and not os.environ.get("OPENAI_BASE_URL")
        fields = request_options(self.additional_kwargs, default_headers=self.default_headers)
        if self.dimensions is not None:
            fields["dimensions"] = self.dimensions
        return {
            "timeout": self.timeout,
            **fields,
            **NO_ROLES,
            "model": f"openai:{self.model_name}",
            "max_retries": self.max_retries,
            "api_key": self.api_key if "api_key" in self.model_fields_set else None,
            "base_url": None if official else self.api_base,
        }
