"""Which class serves which provider name, and all that an author of a provider needs; README.md shows how to write one.

Third parties add theirs under the entry point `embedbridge.providers`.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from embedbridge._core.servers import Inquiry, Server
from embedbridge._core.tokens import Bound, ByteCounter, Counter
from embedbridge._core.types import Batch, Identity, InputType, Limits, Reply, Route
from embedbridge._core.words import short_name
from embedbridge._threads.imports import importing
from embedbridge.catalogue import ModelCard, hosts
from embedbridge.errors import ConfigurationError, MissingExtraError, RequestFailed

from . import _loaded_model  # noqa: F401 - registers what it does at exit before the program does
from .base import BaseProvider, NoOptions, ProviderConfig

if TYPE_CHECKING:
    from ._transport import TransportOptions
    from .hosted import HostedProvider, rough_counter

__all__ = [
    "BUILT_IN",
    "BaseProvider",
    "Batch",
    "Bound",
    "ByteCounter",
    "Counter",
    "HostedProvider",
    "Identity",
    "InputType",
    "Inquiry",
    "Limits",
    "ModelCard",
    "NoOptions",
    "ProviderConfig",
    "Reply",
    "RequestFailed",
    "Route",
    "Server",
    "TransportOptions",
    "canonical_name",
    "placeholder_key",
    "provider_class",
    "register",
    "rough_counter",
]

ProviderClass = TypeVar("ProviderClass", bound=type[BaseProvider])
_LATER = {"HostedProvider": ".hosted", "TransportOptions": "._transport", "rough_counter": ".hosted"}
"""What is imported once somebody asks for it, so that `import embedbridge` stays quick → its module."""

BUILT_IN = {
    "sentence-transformers": "embedbridge.providers.sentence_transformers:SentenceTransformersProvider",
    "openai": "embedbridge.providers.openai:OpenAIProvider",
    "azure": "embedbridge.providers.azure:AzureProvider",
    "voyage": "embedbridge.providers.voyage:VoyageProvider",
    "bedrock": "embedbridge.providers.bedrock:BedrockProvider",
    "cohere": "embedbridge.providers.cohere:CohereProvider",
    "mistral": "embedbridge.providers.mistral:MistralProvider",
    "ollama": "embedbridge.providers.ollama:OllamaProvider",
    "nvidia": "embedbridge.providers.nvidia:NvidiaProvider",
    "jina": "embedbridge.providers.jina:JinaProvider",
    "tei": "embedbridge.providers.tei:TeiProvider",
    "gemini": "embedbridge.providers.gemini:GeminiProvider",
    "vertex": "embedbridge.providers.vertex:VertexProvider",
    "langchain": "embedbridge.providers.langchain:LangChainProvider",
    "llama-index": "embedbridge.providers.llama_index:LlamaIndexProvider",
    "fake": "embedbridge.providers.fake:FakeProvider",
}
"""Canonical name → module and class of each provider that comes with embedbridge."""
ALIASES = {
    "local": "sentence-transformers",
    "huggingface": "sentence-transformers",
    "aws": "bedrock",
    "azure_openai": "azure",
    "mistralai": "mistral",
    "google_genai": "gemini",
    "google_vertexai": "vertex",
    "vertexai": "vertex",
    "voyageai": "voyage",
    "jinaai": "jina",
    "llama_index": "llama-index",
}

WRAPPED = {"langchain", "llama-index"}
"""Providers that only `wrap` makes, of an object."""
_REGISTERED: dict[str, type[BaseProvider]] = {}
"""Name → a class that the program has registered."""
EXTRAS = {"azure": "openai", "sentence-transformers": "local"}
"""Extras that are not called like their provider."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name], __name__), name)


def canonical_name(name: str) -> str:
    """The provider's own name, for whatever a user calls it.

    Args:
        name: as it stands before the colon, or an alias of it, in any case.

    Returns:
        The name in lower case; one that is not known comes back as it is.
    """
    return ALIASES.get(name.strip().lower(), name.strip().lower())


def provider_class(name: str) -> type[BaseProvider]:
    """The class behind a canonical name.

    Args:
        name: from `canonical_name`.

    Returns:
        A class that an embedder makes with a `ProviderConfig`.

    Raises:
        ConfigurationError: no such provider is known (with the nearest names), or a third party's class cannot be one.
        MissingExtraError: a package that it needs is not installed.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name not in BUILT_IN:
        return _added(name)
    module, _, attribute = BUILT_IN[name].partition(":")
    try:
        with importing():
            found: type[BaseProvider] = getattr(import_module(module), attribute)
    except ImportError as error:
        command = f'pip install "embedbridge[{EXTRAS.get(name, name)}]"'
        raise MissingExtraError(
            f"{short_name(name)!r} needs packages that are not installed; run: {command}"
        ) from error
    return found


def register(kind: ProviderClass) -> ProviderClass:
    """Make a provider's class known to this process, as an entry point of a package does for all of them.

    Args:
        kind: the class; `kind.name` is what stands before the colon. It may be defined anew, as in a notebook.

    Returns:
        The class, so that this can decorate it.

    Raises:
        ConfigurationError: it is no class of a provider, its name is taken, or the name cannot stand before a colon.
    """
    if not (isinstance(kind, type) and issubclass(kind, BaseProvider)):
        raise ConfigurationError(f"register takes a class derived from BaseProvider, not {kind!r}")
    name = getattr(kind, "name", "")
    if not name or name != canonical_name(name) or ":" in name:
        raise ConfigurationError(f"{kind.__qualname__}.name is {name!r}; write one in lower case, without a colon")
    known = _REGISTERED.get(name)
    another = known is not None and (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__)
    if name in BUILT_IN or another:
        raise ConfigurationError(f"there is a provider {name!r} already; give {kind.__qualname__} another name")
    _REGISTERED[name] = kind
    return kind


def placeholder_key(model: str) -> dict[str, Any]:
    """A key for an embedder that sends nothing.

    Args:
        model: `provider:model`.

    Returns:
        The option `api_key`; {} where no server is asked.
    """
    return {"api_key": "none"} if provider_class(canonical_name(model.partition(":")[0])).asks_server else {}


def _added(name: str) -> type[BaseProvider]:
    """A third party's class, checked as far as it can be before it is made."""
    from importlib.metadata import entry_points

    points = entry_points(group="embedbridge.providers")  # it reads all installed packages, which takes a while
    found = [point for point in points if point.name.lower() == name]
    if not found:
        _unknown(name, {*BUILT_IN, *_REGISTERED, *(point.name.lower() for point in points)} - WRAPPED)
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


def _unknown(name: str, known: set[str]) -> NoReturn:
    host = next((host for host in hosts() if host.name == name), None)
    if host is not None:
        raise ConfigurationError(
            f"{host.title} has no provider of its own here, because it speaks OpenAI's API: write 'openai:MODEL' with "
            f"base_url={host.url!r}"
        )
    names = sorted(known | set(ALIASES))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.7) or [one for one in names if name in one.split("_")]
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigurationError(f"unknown provider {name!r}; {hint}known are {', '.join(sorted(map(short_name, known)))}")
