"""A stand-in for `langchain_openai.AzureOpenAIEmbeddings`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Unpack

from pydantic import Field, SecretStr, WithJsonSchema

from embedbridge._frameworks.azure_fields import credential, resource
from embedbridge._frameworks.keywords import Ours, environment, secret

from .openai import OpenAIEmbeddings

__all__ = ["AzureOpenAIEmbeddings"]

ADDRESSES = "addresses are always checked"


class AzureOpenAIEmbeddings(OpenAIEmbeddings):
    """For `langchain_openai.AzureOpenAIEmbeddings`: its keywords, attributes, requests and vectors.

    As `OpenAIEmbeddings`, and honoured besides: azure_endpoint, azure_deployment, api_version, azure_ad_token,
    azure_ad_token_provider, azure_ad_async_token_provider; and the variables AZURE_OPENAI_ENDPOINT,
    AZURE_OPENAI_API_KEY before OPENAI_API_KEY, AZURE_OPENAI_AD_TOKEN and OPENAI_API_VERSION. A token stands before a
    key, and a function for async calls before the other one.
    Mapped: without a model's name, requests name the deployment in its place.
    Idle, with a warning: validate_base_url=False, openai_api_type.
    """

    synonyms: ClassVar[Mapping[str, str]] = {**OpenAIEmbeddings.synonyms, "azure_deployment": "deployment"}
    provider = "azure"

    azure_endpoint: str | None = Field(default_factory=environment("AZURE_OPENAI_ENDPOINT"))
    deployment: str | None = None
    openai_api_key: SecretStr | Callable[[], Any] | None = secret("AZURE_OPENAI_API_KEY", "OPENAI_API_KEY")
    openai_api_version: str | None = Field(default_factory=environment("OPENAI_API_VERSION", default="2023-05-15"))
    azure_ad_token: SecretStr | None = secret("AZURE_OPENAI_AD_TOKEN")
    azure_ad_token_provider: Annotated[Callable[[], str], WithJsonSchema({"type": "string"})] | None = Field(
        default=None, exclude=True, repr=False
    )
    azure_ad_async_token_provider: (
        Annotated[Callable[[], Awaitable[str]], WithJsonSchema({"type": "string"})] | None
    ) = Field(default=None, exclude=True, repr=False)
    openai_api_type: str | None = Field(default_factory=environment("OPENAI_API_TYPE", default="azure"))
    validate_base_url: bool = True
    chunk_size: int = Field(default=2048, ge=1)

    def __init__(
        self,
        *,
        client: Any = None,
        async_client: Any = None,
        model: str = "text-embedding-ada-002",
        dimensions: int | None = None,
        azure_deployment: str | None = None,
        deployment: str | None = None,
        api_version: str | None = None,
        openai_api_version: str | None = None,
        base_url: str | None = None,
        openai_api_base: str | None = None,
        openai_api_type: str | None = None,
        openai_proxy: str | None = None,
        embedding_ctx_length: int = 8191,
        api_key: str | SecretStr | None = None,
        openai_api_key: str | SecretStr | None = None,
        organization: str | None = None,
        openai_organization: str | None = None,
        allowed_special: Literal["all"] | set[str] | None = None,
        disallowed_special: Literal["all"] | set[str] | Sequence[str] | None = None,
        chunk_size: int = 2048,
        max_retries: int = 2,
        timeout: float | tuple[float, float] | Any | None = None,
        request_timeout: float | tuple[float, float] | Any | None = None,
        headers: Any = None,
        tiktoken_enabled: bool = True,
        tiktoken_model_name: str | None = None,
        show_progress_bar: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        skip_empty: bool = False,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        retry_min_seconds: int = 4,
        retry_max_seconds: int = 20,
        http_client: Any = None,
        http_async_client: Any = None,
        check_embedding_ctx_length: bool = True,
        azure_endpoint: str | None = None,
        azure_ad_token: str | SecretStr | None = None,
        azure_ad_token_provider: Callable[[], str] | None = None,
        azure_ad_async_token_provider: Callable[[], Awaitable[str]] | None = None,
        validate_base_url: bool = True,
        model_name: str | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super(OpenAIEmbeddings, self).__init__(locals())

    def _translate(self) -> dict[str, Any]:
        self._idle(ADDRESSES, "validate_base_url")
        self._idle("a key or a token says it all", "openai_api_type")
        found = super()._translate()
        own = found.pop("provider_options") | resource(self.azure_endpoint, self.deployment, self.openai_api_version)
        key = self.openai_api_key if "openai_api_key" in self.model_fields_set else None
        tokens = (self.azure_ad_token_provider, self.azure_ad_async_token_provider)
        return {**found, "api_key": None, **credential(own, self.azure_ad_token, tokens, key)}

    def _of_place(self) -> dict[str, Any]:
        named = self.model if "model" in self.model_fields_set or not self.deployment else self.deployment
        return {"model": f"azure:{named}", "base_url": self.openai_api_base}
