"""OpenAI's models on Azure: a deployment under a resource's own address, with a key or a token."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from embedbridge._core.types import Identity, Limits
from embedbridge.errors import ConfigurationError

from ._key_functions import KeyFunction
from ._urls import check_url, endpoint
from .base import ProviderConfig
from .openai import MOST_TEXTS, MOST_TOKENS, OpenAIOptions, OpenAIProvider

__all__ = ["AzureOptions", "AzureProvider"]

TEXT_TOKENS = 8191
"""Of one text, for all of OpenAI's models."""


class AzureOptions(OpenAIOptions):
    """Options that only Azure has."""

    from_environment = frozenset({"azure_ad_token"})
    unset_if_empty = frozenset({"api_version"})
    aside = frozenset({"azure_endpoint", "azure_ad_token_provider"})

    azure_endpoint: str | None = None
    """The resource's address, `https://NAME.openai.azure.com`; None: `base_url`, then AZURE_OPENAI_ENDPOINT."""
    azure_deployment: str | None = None
    """None: named like the model."""
    api_version: str | None = None
    """None or "": OPENAI_API_VERSION."""
    azure_ad_token: SecretStr | None = None
    """In place of a key; None: AZURE_OPENAI_AD_TOKEN, unless there is a key."""
    azure_ad_token_provider: KeyFunction | None = None
    """In place of a key; asked for every request, and only awaited in async calls."""


class AzureProvider(OpenAIProvider):
    """`azure:DEPLOYMENT`, with a key or with a token of Microsoft Entra."""

    name = "azure"
    key_variables = ("AZURE_OPENAI_API_KEY",)
    options_type = AzureOptions
    batch_api = None
    no_batch_api = "Azure lists no embedding model among those of its batch API; embed as usual, or by 'openai:'"
    clients = ("AzureOpenAI", "AsyncAzureOpenAI")
    where_to_look = (
        "check base_url (the resource's address, https://NAME.openai.azure.com), the deployment and api_version"
    )
    key_header = "api-key"
    own_query: ClassVar[Mapping[str, str]] = {"api-version": "provider_options={'api_version': …}"}

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self._version = self.options.api_version or os.environ.get("OPENAI_API_VERSION")
        if not self._version:
            raise ConfigurationError(
                "'azure' needs the API's version: set the environment variable OPENAI_API_VERSION, or pass "
                "provider_options={'api_version': '2024-10-21'}"
            )

    def find_url(self) -> str:
        """The resource's address."""
        given = self.options.azure_endpoint or self.config.base_url or os.environ.get("AZURE_OPENAI_ENDPOINT")
        if not given:
            raise ConfigurationError(
                "'azure' needs the resource's address: set the environment variable AZURE_OPENAI_ENDPOINT, or pass "
                "provider_options={'azure_endpoint': 'https://NAME.openai.azure.com'}"
            )
        address = check_url(given).rstrip("/").removesuffix("/openai")
        if "/openai/" in urlsplit(address).path:
            raise ConfigurationError(
                "azure_endpoint is the resource's address alone, as https://NAME.openai.azure.com, and not "
                f"{endpoint(address)}; what ends in /openai/v1 is a base_url for 'openai:'"
            )
        return address

    def choose_key(self) -> SecretStr | None:
        """The key or token; None where a function gives tokens. Raises `ConfigurationError` for none and several."""
        own, token = self.options, os.environ.get("AZURE_OPENAI_AD_TOKEN")
        if own.api_key_provider is not None:
            raise ConfigurationError("api_key_provider: at 'azure' a function is azure_ad_token_provider")
        given = {
            "api_key": self.config.api_key,
            "azure_ad_token": own.azure_ad_token,
            "azure_ad_token_provider": own.azure_ad_token_provider,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) > 1:
            raise ConfigurationError(f"pass one of {', '.join(given)}, not several")
        if not given:
            given = {"azure_ad_token": SecretStr(token)} if token else {"api_key": self.find_key()}
        (self._credential,) = given.items()
        return None if own.azure_ad_token_provider else self._credential[1]

    def key_giver(self) -> KeyFunction | None:
        """That of tokens."""
        give: KeyFunction | None = self.options.azure_ad_token_provider
        return give

    def owned_headers(self) -> Collection[str]:
        """Besides, that of the credential: the SDK sets it for each request."""
        name = "api-key" if self._credential[0] == "api_key" else "authorization"
        return {name, *super().owned_headers()}

    def details(self) -> dict[str, Any]:
        """The API's version, and the deployment where it is not called like its model."""
        own, deployment = super().details() | {"api-version": self._version}, self.options.azure_deployment
        return own if deployment in {None, self.model} else own | {"deployment": deployment}

    def stored_options(self) -> dict[str, Any]:
        """As of OpenAI's; the API's version may come from the environment."""
        return super().stored_options() | {"api_version": self._version}

    def former_details(self, identity: Identity) -> tuple[tuple[str, ...], bool]:
        """Releases before named the deployment, and wrote it otherwise."""
        (kept, whole), deployment = super().former_details(identity), self.details().get("deployment")
        return kept if deployment is None else (*kept, f"deployment={deployment}"), whole

    @property
    def limits(self) -> Limits:
        """Those of OpenAI's models: a deployment is one of them, whatever it is called."""
        items = 1 if self.options.single else self.options.request_items or MOST_TEXTS
        return Limits(items=items, tokens=MOST_TOKENS, text_tokens=self.options.text_tokens or TEXT_TOKENS)

    def _is_openai_model(self) -> bool:
        return True

    def credential(self) -> dict[str, str]:
        """A key has a header of its own; what a function gives is asked for each request."""
        kind, secret = self._credential[0], self.secret()
        return {"api_key": {"api-key": secret}, "azure_ad_token": {"authorization": f"Bearer {secret}"}}.get(kind, {})

    def place(self) -> dict[str, Any]:
        """Gives the SDK exactly one credential, so that it takes no other from the environment."""
        name, value = self._credential
        return {
            name: self.secret() or value,
            "azure_endpoint": self.url,
            "azure_deployment": self.options.azure_deployment or self.model,
            "api_version": self._version,
        }
