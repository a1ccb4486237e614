"""A stand-in for `langchain_ollama.OllamaEmbeddings`."""

from __future__ import annotations

from typing import Any, Unpack

from pydantic import Field, SecretStr

from embedbridge._frameworks.keywords import Ours, of_keyword
from embedbridge._frameworks.ollama_fields import client_options
from embedbridge._frameworks.openai_fields import NO_ROLES
from embedbridge._frameworks.stand_in import StandIn
from embedbridge.errors import ConfigurationError

from .face import LangChainFace

__all__ = ["OllamaEmbeddings"]

PARAMETERS = (
    *("mirostat", "mirostat_eta", "mirostat_tau", "num_gpu", "num_thread", "repeat_last_n", "repeat_penalty"),
    *("temperature", "stop", "tfs_z", "top_k", "top_p"),
)


class OllamaEmbeddings(StandIn, LangChainFace):
    """For `langchain_ollama.OllamaEmbeddings`: its keywords, attributes, requests and vectors. It sends no prefix.

    Honoured: model, dimensions, base_url, num_ctx, keep_alive, and all other parameters of a Modelfile; of
    client_kwargs headers, auth, timeout, verify, proxy, cert, http2 and trust_env.
    Mapped, with a warning: sync_client_kwargs and async_client_kwargs hold for both kinds of calls.
    Idle, with a warning: validate_model_on_init.
    Refused: other client_kwargs; sync_client_kwargs and async_client_kwargs that differ.
    """

    package = "langchain-ollama"
    provider = "ollama"

    model: str
    dimensions: int | None = Field(default=None, ge=1)
    validate_model_on_init: bool = False
    base_url: str | None = None
    client_kwargs: dict[str, Any] | None = Field(default_factory=dict)
    async_client_kwargs: dict[str, Any] | None = Field(default_factory=dict)
    sync_client_kwargs: dict[str, Any] | None = Field(default_factory=dict)
    mirostat: int | None = None
    mirostat_eta: float | None = None
    mirostat_tau: float | None = None
    num_ctx: int | None = None
    num_gpu: int | None = None
    keep_alive: int | None = None
    num_thread: int | None = None
    repeat_last_n: int | None = None
    repeat_penalty: float | None = None
    temperature: float | None = None
    stop: list[str] | None = None
    tfs_z: float | None = None
    top_k: int | None = None
    top_p: float | None = None

    def __init__(
        self,
        *,
        model: str,
        dimensions: int | None = None,
        validate_model_on_init: bool = False,
        base_url: str | None = None,
        client_kwargs: dict[str, Any] | None = None,
        async_client_kwargs: dict[str, Any] | None = None,
        sync_client_kwargs: dict[str, Any] | None = None,
        mirostat: int | None = None,
        mirostat_eta: float | None = None,
        mirostat_tau: float | None = None,
        num_ctx: int | None = None,
        num_gpu: int | None = None,
        keep_alive: int | None = None,
        num_thread: int | None = None,
        repeat_last_n: int | None = None,
        repeat_penalty: float | None = None,
        temperature: float | None = None,
        stop: list[str] | None = None,
        tfs_z: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
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
        missing = "nothing is sent at construction; a model that is missing is named by the first call"
        self._idle(missing, "validate_model_on_init")
        blocking = {**(self.client_kwargs or {}), **(self.sync_client_kwargs or {})}
        tasks = {**(self.client_kwargs or {}), **(self.async_client_kwargs or {})}
        if self.sync_client_kwargs and self.async_client_kwargs and blocking != tasks:
            raise ConfigurationError(
                "sync_client_kwargs and async_client_kwargs: both kinds of calls have the same settings here; write "
                "client_kwargs"
            )
        if bool(self.sync_client_kwargs) != bool(self.async_client_kwargs) and self.model_fields_set:
            given = "sync_client_kwargs" if self.sync_client_kwargs else "async_client_kwargs"
            self._say(f"{given} hold for both kinds of calls here; write client_kwargs")
        with of_keyword(next(filter(self._given, ("sync_client_kwargs", "async_client_kwargs")), "client_kwargs")):
            found = client_options({**tasks, **blocking})
        own = found["provider_options"] | {"num_ctx": self.num_ctx, "keep_alive": self.keep_alive}
        parameters = {name: getattr(self, name) for name in PARAMETERS if getattr(self, name) is not None}
        return {
            **NO_ROLES,
            **found,
            "model": f"ollama:{self.model}",
            "dimensions": self.dimensions,
            "base_url": self.base_url,
            "provider_options": own | ({"options": parameters} if parameters else {}),
        }
