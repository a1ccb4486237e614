"""A stand-in for `llama_index.embeddings.azure_openai.AzureOpenAIEmbedding`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Unpack

from llama_index.core.callbacks import CallbackManager
from pydantic import Field, WithJsonSchema

from embedbridge._frameworks.azure_fields import credential, resource
from embedbridge._frameworks.keywords import Ours, environment
from embedbridge.errors import ConfigurationError

from .openai import OpenAIEmbedding

__all__ = ["AzureOpenAIEmbedding"]

IDENTITY = (
    "give azure_ad_token_provider too, such as azure.identity.get_bearer_token_provider(DefaultAzureCredential(), "
    "'https://cognitiveservices.azure.com/.default')"
)


class AzureOpenAIEmbedding(OpenAIEmbedding):
    """For `llama_index.embeddings.azure_openai.AzureOpenAIEmbedding`: its keywords, attributes, requests and vectors.

    As `OpenAIEmbedding`, and honoured besides: azure_endpoint, azure_deployment, deployment_name, api_version,
    azure_ad_token_provider; and the variables AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY before OPENAI_API_KEY, and
    OPENAI_API_VERSION.
    Mapped: without a model's name, requests name the deployment in its place.
    Refused: use_azure_ad without a function for tokens.
    """

    package = "llama-index-embeddings-azure-openai"
    provider = "azure"
    synonyms: ClassVar[Mapping[str, str]] = {**OpenAIEmbedding.synonyms, "deployment_name": "azure_deployment"}

    embed_batch_size: int = Field(default=10, gt=0, le=2048)
    api_key: str = Field(
        default_factory=environment("AZURE_OPENAI_API_KEY", "OPENAI_API_KEY", default=""), exclude=True, repr=False
    )
    api_base: str | None = None
    api_version: str | None = Field(default_factory=environment("OPENAI_API_VERSION"))
    azure_endpoint: str | None = Field(default_factory=environment("AZURE_OPENAI_ENDPOINT"))
    azure_deployment: str | None = None
    azure_ad_token_provider: Annotated[Callable[[], str], WithJsonSchema({"type": "string"})] | None = Field(
        default=None, exclude=True, repr=False
    )
    use_azure_ad: bool = False

    def __init__(
        self,
        mode: str = "text_search",
        model: str = "text-embedding-ada-002",
        embed_batch_size: int = 10,
        dimensions: int | None = None,
        additional_kwargs: dict[str, Any] | None = None,
        api_key: str | None = None,
        api_version: str | None = None,
        api_base: str | None = None,
        azure_endpoint: str | None = None,
        azure_deployment: str | None = None,
        azure_ad_token_provider: Callable[[], str] | None = None,
        use_azure_ad: bool = False,
        deployment_name: str | None = None,
        max_retries: int = 10,
        reuse_client: bool = True,
        callback_manager: CallbackManager | None = None,
        num_workers: int | None = None,
        http_client: Any = None,
        async_http_client: Any = None,
        *,
        timeout: float = 60.0,
        default_headers: dict[str, str] | None = None,
        model_name: str | None = None,
        base_url: str | None = None,
        normalize: bool | None = None,
        batch_size: int | None = None,
        show_progress: bool | None = None,
        **ours: Unpack[Ours],
    ) -> None:
        super(OpenAIEmbedding, self).__init__(locals())

    def _translate(self) -> dict[str, Any]:
        if self.use_azure_ad and self.azure_ad_token_provider is None:
            raise ConfigurationError(f"use_azure_ad: {IDENTITY}")
        found = super()._translate()
        own = found.pop("provider_options") | resource(self.azure_endpoint, self.azure_deployment, self.api_version)
        key = self.api_key if "api_key" in self.model_fields_set else None
        return {**found, "api_key": None, **credential(own, None, (self.azure_ad_token_provider, None), key)}

    def _of_place(self) -> dict[str, Any]:
        named = self.model_name if "model_name" in self.model_fields_set or not self.azure_deployment else None
        return {"model": f"azure:{named or self.azure_deployment}", "base_url": self.api_base}
