"""Which class serves which provider name; third parties add theirs under the entry point `embedbridge.providers`."""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NoReturn

from embedbridge._threads.imports import importing
from embedbridge.errors import ConfigurationError, MissingExtraError

from . import _loaded_model  # noqa: F401 - registers what it does at exit before the program does
from .base import BaseProvider, ProviderConfig

__all__ = ["BUILT_IN", "BaseProvider", "ProviderConfig", "canonical_name", "placeholder_key", "provider_class"]

BUILT_IN = {
    "sentence-transformers": "embedbridge.providers.sentence_transformers:SentenceTransformersProvider",
    "openai": "embedbridge.providers.openai:OpenAIProvider",
    "azure": "embedbridge.providers.azure:AzureProvider",
    "voyage": "embedbridge.providers.voyage:VoyageProvider",
    "cohere": "embedbridge.providers.cohere:CohereProvider",
    "gemini": "embedbridge.providers.gemini:GeminiProvider",
    "ollama": "embedbridge.providers.ollama:OllamaProvider",
    "vertex": "embedbridge.providers.vertex:VertexProvider",
    "langchain": "embedbridge.providers.langchain:LangChainProvider",
    "llama-index": "embedbridge.providers.llama_index:LlamaIndexProvider",
    "fake": "embedbridge.providers.fake:FakeProvider",
}
ALIASES = {
    "local": "sentence-transformers",
    "huggingface": "sentence-transformers",
    "azure_openai": "azure",
    "google_genai": "gemini",
    "google_vertexai": "vertex",
    "vertexai": "vertex",
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
        ConfigurationError: no such provider is known (with the nearest names), or a third party's class cannot be one.
        MissingExtraError: a package that it needs is not installed.
    """
    if name not in BUILT_IN:
        return _added(name)
    module, _, attribute = BUILT_IN[name].partition(":")
    try:
        with importing():
            found: type[BaseProvider] = getattr(import_module(module), attribute)
    except ImportError as error:
        command = f'pip install "embedbridge[{EXTRAS.get(name, name)}]"'
        raise MissingExtraError(f"{name!r} needs packages that are not installed; run: {command}") from error
    return found


def placeholder_key(model: str) -> dict[str, str]:
    """The option `api_key` for an embedder of `provider:model` that sends nothing; {} where no server is asked."""
    return {"api_key": "none"} if provider_class(canonical_name(model.partition(":")[0])).asks_server else {}


def _added(name: str) -> type[BaseProvider]:
    """A third party's class, checked as far as it can be before it is made."""
    points = entry_points(group="embedbridge.providers")  # it reads all installed packages, which takes a while
    found = [point for point in points if point.name.lower() == name]
    if not found:
        _unknown(name, sorted({*BUILT_IN, *ALIASES, *(point.name.lower() for point in points)}))
    values = sorted({point.value for point in found})
    if len(values) > 1:
        raise ConfigurationError(f"several installed packages bring a provider {name!r}: {', '.join(values)}; keep one")
    try:
        kind: Any = found[0].load()
    except ImportError as error:
        raise MissingExtraError(f"provider {name!r} ({values[0]}) cannot be imported: {error}") from error
    except Exception as error:  # a module of somebody else's may raise anything
        raise ConfigurationError(f"provider {name!r} ({values[0]}) cannot be loaded: {error!r}") from error
    if not (isinstance(kind, type) and issubclass(kind, BaseProvider)):
        raise ConfigurationError(f"provider {name!r} ({values[0]}) is no class derived from BaseProvider")
    if kind.name.lower() != name:  # its name is part of every cache key
        raise ConfigurationError(f"provider {name!r} ({values[0]}) calls itself {kind.name!r}; write name = {name!r}")
    return kind


def _unknown(name: str, known: list[str]) -> NoReturn:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigurationError(f"unknown provider {name!r}; {hint}known are {', '.join(known)}")
