"""A stand-in for `langchain_mistralai.MistralAIEmbeddings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from pydantic import Field, SecretStr

from embedbridge._frameworks.keywords import CLIENT, Ours, secret
from embedbridge._frameworks.stand_in import StandIn

from .face import LangChainFace

__all__ = ["MistralAIEmbeddings"]

OFFICIAL = "https://api.mistral.ai/v1/"


class MistralAIEmbeddings(StandIn, LangChainFace):
    """For `langchain_mistralai.MistralAIEmbeddings`: its keywords, attributes and vectors.

    Honoured: api_key, mistral_api_key, endpoint, max_retries, timeout, model; and MISTRAL_API_KEY.
    Mapped: a text that is too long is an error (`too_long`), as at the original.
    Idle, with a warning: wait_time, max_concurrent_requests, tokenizer.
    Refused: client, async_client.
    Requests have at most 256 texts, which is what the API takes.
    """

    package = "langchain-mistralai"
    provider = "mistral"
    synonyms: ClassVar[Mapping[str, str]] = {"api_key": "mistral_api_key", "base_url": "endpoint"}

    client: Any = Field(default=None, exclude=True)
    async_client: Any = Field(default=None, exclude=True)
    mistral_api_key: SecretStr | None = secret("MISTRAL_API_KEY")
    endpoint: str = OFFICIAL
    max_retries: int = Field(default=5, ge=0)
    timeout: float = Field(default=120, gt=0)
    wait_time: int = 30
    max_concurrent_requests: int = 64
    tokenizer: Any = Field(default=None, exclude=True)
    model: str = "mistral-embed"

    def __init__(
        self,
        *,
        client: Any = None,
        async_client: Any = None,
        api_key: str | SecretStr | None = None,
        mistral_api_key: str | SecretStr | None = None,
        endpoint: str = OFFICIAL,
        max_retries: int | None = 5,
        timeout: float = 120,
        wait_time: int | None = 30,
        max_concurrent_requests: int = 64,
        tokenizer: Any = None,
        model: str = "mistral-embed",
        base_url: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())

    def _translate(self) -> dict[str, Any]:
        self._refuse(CLIENT, "client", "async_client")
        self._idle("pauses follow the server's Retry-After", "wait_time")
        self._idle("the original does not look at it either; pass concurrency", "max_concurrent_requests")
        self._idle("requests are bounded without it", "tokenizer")
        return {
            "model": f"mistral:{self.model}",
            "api_key": self.mistral_api_key if "mistral_api_key" in self.model_fields_set else None,
            "base_url": self.endpoint if "endpoint" in self.model_fields_set else None,
            "max_retries": self.max_retries,
            "timeout": self.timeout,
            "too_long": "error",
        }
