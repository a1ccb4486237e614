"""A stand-in for `langchain_nvidia_ai_endpoints.NVIDIAEmbeddings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Unpack
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from embedbridge._frameworks.keywords import Ours, environment, secret
from embedbridge._frameworks.nvidia_fields import DEFAULT_MODEL, OFFICIAL, nvidia_options
from embedbridge._frameworks.stand_in import StandIn

from .face import LangChainFace

__all__ = ["NVIDIAEmbeddings"]


class NVIDIAEmbeddings(StandIn, LangChainFace):
    """For `langchain_nvidia_ai_endpoints.NVIDIAEmbeddings`: its keywords, attributes, requests and vectors.

    Honoured: model, base_url, nvidia_api_key, dimensions, max_batch_size, default_headers, verify_ssl; and the
    variables NVIDIA_API_KEY and NVIDIA_BASE_URL.
    Mapped: truncate "NONE" is too_long="error"; "END" and "START" have the server cut, and the report tells of it.
    Idle, with a warning: usage_telemetry_enabled; nothing is reported to anybody.
    Two things differ: a server of one's own is not asked for its models, so `model` has to be named there; and several
    batches go at once.
    """

    package = "langchain-nvidia-ai-endpoints"
    provider = "nvidia"
    synonyms: ClassVar[Mapping[str, str]] = {
        "api_key": "nvidia_api_key",
        "nvidia_base_url": "base_url",
        "trucate": "truncate",  # as the original spells it
    }

    model: str | None = None
    base_url: str | None = Field(default_factory=lambda: environment("NVIDIA_BASE_URL")() or OFFICIAL)
    truncate: Literal["NONE", "START", "END"] = "NONE"
    dimensions: int | None = None
    max_batch_size: int = Field(default=50, ge=1)
    default_headers: dict[str, Any] = Field(default_factory=dict)
    usage_telemetry_enabled: bool | None = Field(default=None, exclude=True, repr=False)
    verify_ssl: bool | str = True
    nvidia_api_key: SecretStr | None = secret("NVIDIA_API_KEY")

    def __init__(
        self,
        *,
        model: str | None = None,
        nvidia_api_key: str | SecretStr | None = None,
        api_key: str | SecretStr | None = None,
        base_url: str | None = None,
        trucate: Literal["NONE", "START", "END"] | None = None,
        dimensions: int | None = None,
        truncate: Literal["NONE", "START", "END"] | None = None,
        max_batch_size: int | None = None,
        default_headers: dict[str, Any] | None = None,
        usage_telemetry_enabled: bool | None = None,
        nvidia_base_url: str | None = None,
        verify_ssl: bool | str | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super().__init__(locals())
        self.__dict__["model"] = self.model or DEFAULT_MODEL  # as the original

    def _translate(self) -> dict[str, Any]:
        self._idle("nothing is reported to anybody", "usage_telemetry_enabled")
        options = nvidia_options(self.model, _with_path(self.base_url), self.truncate, self.default_headers)
        verify = None if self.verify_ssl is True else self.verify_ssl
        return options | {
            "dimensions": self.dimensions,
            "batch_size": self.max_batch_size,
            "api_key": self.nvidia_api_key if "nvidia_api_key" in self.model_fields_set else None,
            "provider_options": options["provider_options"] | {"verify": verify},
        }


def _with_path(url: str | None) -> str | None:
    """As the original: the root of a deployment is the API's with `/v1`."""
    return f"{url.rstrip('/')}/v1" if url and urlsplit(url).path in {"", "/"} else url
