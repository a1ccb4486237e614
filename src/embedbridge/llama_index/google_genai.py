"""A stand-in for `llama_index.embeddings.google_genai.GoogleGenAIEmbedding`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from llama_index.core.callbacks import CallbackManager
from llama_index.core.constants import DEFAULT_EMBED_BATCH_SIZE
from pydantic import Field, field_serializer, field_validator

from embedbridge._frameworks.google_fields import PAUSES, api_options, client_options, plain, untitled
from embedbridge._frameworks.keywords import CLIENT, Ours, environment
from embedbridge._run.roles import title_form
from embedbridge.errors import ConfigurationError

from .stand_in import LlamaIndexStandIn

__all__ = ["GoogleGenAIEmbedding"]

HTTP = {"base_url", "api_version", "headers", "timeout", "client_args", "async_client_args"}
CONFIG = {"output_dimensionality", "auto_truncate", "task_type"}
PLACE = {"credentials", "project", "location"}


class GoogleGenAIEmbedding(LlamaIndexStandIn):
    """For `llama_index.embeddings.google_genai.GoogleGenAIEmbedding`: its keywords, attributes, requests and vectors.

    Honoured: model_name, api_key, vertexai_config, embed_batch_size, callback_manager, num_workers, timeout;
    output_dimensionality of embedding_config; base_url, api_version, headers and timeout of http_options; and
    GOOGLE_API_KEY, GOOGLE_GENAI_USE_VERTEXAI, GOOGLE_CLOUD_PROJECT, GOOGLE_CLOUD_LOCATION.
    Mapped: retries=3 are two retries; auto_truncate=False is too_long="error"; client_args are options of how requests
    travel; async_client_args hold for both kinds of calls, with a warning.
    Idle, with a warning: retry_min_seconds, retry_max_seconds, retry_exponential_base. The original replaces the
    task_type of embedding_config by that of the role, and so is it here.
    Refused: debug_config, and what else embedding_config and http_options may hold.
    """

    package = "llama-index-embeddings-google-genai"
    provider = "gemini"
    synonyms: ClassVar[Mapping[str, str]] = {"model": "model_name"}

    model_name: str = "gemini-embedding-2-preview"
    api_key: str | None = Field(default_factory=environment("GOOGLE_API_KEY"), exclude=True, repr=False)
    embedding_config: Any = None
    vertexai_config: dict[str, Any] | None = None
    http_options: Any = None
    debug_config: Any = Field(default=None, exclude=True, repr=False)
    embed_batch_size: int = Field(default=DEFAULT_EMBED_BATCH_SIZE, gt=0, le=2048)
    retries: int = Field(default=3, ge=1)
    timeout: float = 60
    retry_min_seconds: float = 1
    retry_max_seconds: float = 60
    retry_exponential_base: float = 2

    def __init__(
        self,
        model_name: str = "gemini-embedding-2-preview",
        api_key: str | None = None,
        embedding_config: Any = None,
        vertexai_config: Any = None,
        http_options: Any = None,
        debug_config: Any = None,
        embed_batch_size: int = DEFAULT_EMBED_BATCH_SIZE,
        callback_manager: CallbackManager | None = None,
        retries: int = 3,
        timeout: int = 60,
        retry_min_seconds: float = 1,
        retry_max_seconds: float = 60,
        retry_exponential_base: float = 2,
        *,
        num_workers: int | None = None,
        model: str | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        max_retries: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    @field_validator("embedding_config", "http_options", mode="before")
    @classmethod
    def _as_a_dictionary(cls, config: Any) -> Any:
        """So that headers in it are seen where secrets are left out."""
        if config is None or isinstance(config, Mapping):
            return config
        if not hasattr(config, "model_dump"):
            raise ValueError("write a dictionary, or an object of google.genai.types")
        return plain(config)

    @field_serializer("vertexai_config")
    def _without_credentials(self, config: Mapping[str, Any] | None) -> dict[str, Any] | None:
        return {name: part for name, part in config.items() if name != "credentials"} if config else None

    @classmethod
    def class_name(cls) -> str:
        """That of the original."""
        return "GeminiEmbedding"

    def _translate(self) -> dict[str, Any]:
        self._refuse(CLIENT, "debug_config")
        self._idle(PAUSES, "retry_min_seconds", "retry_max_seconds", "retry_exponential_base")
        config = _of("embedding_config", self.embedding_config, CONFIG)
        http = _of("http_options", self.http_options, HTTP)
        place = _of("vertexai_config", self.vertexai_config, PLACE)
        vertex = self._asks_vertex()
        options = api_options(
            self.model_name.removeprefix("models/"),
            vertex=vertex,
            base_url=http.get("base_url"),
            api_version=http.get("api_version"),
            headers=http.get("headers"),
            dimensions=config.get("output_dimensionality"),
            raw=self._ours.get("normalize") is None,
            **place,
        )
        options["provider_options"] |= self._client_options(http.get("client_args"), http.get("async_client_args"))
        milliseconds = http.get("timeout")
        return options | {
            "api_key": self.api_key if "api_key" in self.model_fields_set and not vertex else None,
            "max_retries": self.retries - 1,
            "timeout": milliseconds / 1000 if milliseconds else self.timeout,
            "too_long": "error" if config.get("auto_truncate") is False else None,
        }

    def _asks_vertex(self) -> bool:
        return self.vertexai_config is not None or bool(os.environ.get("GOOGLE_GENAI_USE_VERTEXAI"))

    def _decided(self) -> dict[str, Any]:
        return {"vertexai_config": {}} if self._asks_vertex() and self.vertexai_config is None else {}

    def _client_options(self, blocking: Any, tasks: Any) -> dict[str, Any]:
        """Options for the arguments of both kinds of clients. Raises `ConfigurationError` where they differ."""
        if blocking and tasks and blocking != tasks:
            raise ConfigurationError(
                "http_options: client_args and async_client_args: both kinds of calls have the same settings here; "
                "write client_args"
            )
        if tasks and not blocking and self.model_fields_set:
            self._say("http_options: async_client_args hold for both kinds of calls here; write client_args")
        return client_options("http_options: client_args", blocking or tasks)

    def _as_sent(self, texts: list[str]) -> list[str]:
        parts = self.embedder._parts  # noqa: SLF001 - our own
        form = "" if "document_prefix" in self._ours else title_form(parts, self.embedder.route("document"))
        return untitled(texts, form)


def _of(keyword: str, given: Any, known: set[str]) -> dict[str, Any]:
    """A configuration's entries. Raises `ConfigurationError` for those that cannot be had."""
    found = plain(given)
    for name in sorted(found.keys() - known):
        raise ConfigurationError(f"{keyword}: {name} is not accepted; known are {', '.join(sorted(known))}")
    return found
