"""A stand-in for `llama_index.embeddings.openai.OpenAIEmbedding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from llama_index.core.callbacks import CallbackManager
from pydantic import Field

from embedbridge._frameworks.keywords import CLIENT, Ours, environment, of_keyword
from embedbridge._frameworks.openai_fields import CREATE, NO_ROLES, request_options
from embedbridge.errors import ConfigurationError

from .stand_in import LlamaIndexStandIn

__all__ = ["OpenAIEmbedding"]

OFFICIAL = "https://api.openai.com/v1"
RETIRED = frozenset({"davinci", "curie", "babbage", "ada"})


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
    synonyms: ClassVar[Mapping[str, str]] = {"model": "model_name", "base_url": "api_base"}

    mode: str = Field(default="text_search", exclude=True, repr=False)
    model_name: str = "text-embedding-ada-002"
    embed_batch_size: int = Field(default=100, gt=0, le=2048)
    dimensions: int | None = None
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)
    api_key: str = Field(default_factory=environment("OPENAI_API_KEY", default=""), exclude=True, repr=False)
    api_base: str | None = Field(default_factory=environment("OPENAI_API_BASE", default=OFFICIAL))
    api_version: str | None = Field(default_factory=environment("OPENAI_API_VERSION", default=""))
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
        self._idle("today's models have one mode", "mode")
        self._idle("connections are kept as long as the embedder", "reuse_client")
        if self.model_name in RETIRED:
            raise ConfigurationError(f"model: OpenAI has switched {self.model_name!r} off; name one of today's models")
        with of_keyword("additional_kwargs"):
            fields = request_options(self.additional_kwargs, self.api_base, default_headers=self.default_headers)
        if self.dimensions is not None:
            fields["dimensions"] = self.dimensions
        return {
            "timeout": self.timeout,
            **fields,
            **NO_ROLES,
            "max_retries": self.max_retries,
            "api_key": self.api_key if "api_key" in self.model_fields_set else None,
            **self._of_place(),
        }

    def _of_place(self) -> dict[str, Any]:
        """Where a request goes."""
        self._idle("only Azure asks for it", "api_version")
        return {"model": f"openai:{self.model_name}", "base_url": self.api_base}

    def _unknown(self, keyword: str) -> ConfigurationError:
        if keyword in {*CREATE, "extra_body"}:
            return ConfigurationError(
                f"{keyword}: the original does not send it; write additional_kwargs={{{keyword!r}: …}}"
            )
        return super()._unknown(keyword)
