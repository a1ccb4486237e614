"""Which class serves which provider name; third parties add theirs under the entry point `embedbridge.providers`."""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import entry_points
from typing import NoReturn

from embedbridge.core.errors import ConfigurationError, MissingExtraError

from .base import BaseProvider, ProviderConfig

__all__ = ["BUILT_IN", "BaseProvider", "ProviderConfig", "canonical_name", "provider_class"]

BUILT_IN = {
    "sentence-transformers": "embedbridge.providers.sentence_transformers:SentenceTransformersProvider",
    "openai": "embedbridge.providers.openai:OpenAIProvider",
    "azure": "embedbridge.providers.openai:AzureProvider",
    "voyage": "embedbridge.providers.voyage:VoyageProvider",
    "cohere": "embedbridge.providers.cohere:CohereProvider",
    "ollama": "embedbridge.providers.ollama:OllamaProvider",
    "langchain": "embedbridge.providers.langchain:LangChainProvider",
    "llama-index": "embedbridge.providers.llama_index:LlamaIndexProvider",
    "fake": "embedbridge.providers.fake:FakeProvider",
}
ALIASES = {
    "local": "sentence-transformers",
    "huggingface": "sentence-transformers",
    "azure_openai": "azure",
    "voyageai": "voyage",
    "llama_index": "llama-index",
}

EXTRAS = {"azure": "openai", "sentence-transformers": "local"}
"""Extras that are not called like their provider."""


def canonical_name(name: str) -> str:
    """The provider's own name for whatever a user calls it."""
    return ALIASES.get(name.strip().lower(), name.strip().lower())


def provider_class(name: str) -> type[BaseProvider]:
    """The class behind a canonical name.

    Raises:
        ConfigurationError: no such provider is known; with the nearest names.
        MissingExtraError: a package that it needs is not installed.
    """
    target = BUILT_IN.get(name)
    if target is None:  # reading every installed package's entry points takes a while
        added = {point.name: point.value for point in entry_points(group="embedbridge.providers")}
        target = added.get(name) or _unknown(name, [*BUILT_IN, *added, *ALIASES])
    module, _, attribute = target.partition(":")
    try:
        found: type[BaseProvider] = getattr(import_module(module), attribute)
    except ImportError as error:
        if name not in BUILT_IN:  # its package is not ours, so no extra of ours installs what it needs
            raise MissingExtraError(f"{name!r} cannot be imported from {module!r}: {error}") from error
        command = f'pip install "embedbridge[{EXTRAS.get(name, name)}]"'
        raise MissingExtraError(f"{name!r} needs packages that are not installed; run: {command}") from error
    return found


def _unknown(name: str, known: list[str]) -> NoReturn:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigurationError(f"unknown provider {name!r}; {hint}known are {', '.join(sorted(known))}")
