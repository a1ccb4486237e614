"""`init_embeddings` with the signature of LangChain's own, whose list of providers has no public door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.embeddings import Embeddings

from embedbridge._core.prepare import check_word
from embedbridge.errors import ConfigurationError

from .aws import BedrockEmbeddings
from .azure import AzureOpenAIEmbeddings
from .bridge import BridgeEmbeddings
from .cohere import CohereEmbeddings
from .google_genai import GoogleGenerativeAIEmbeddings
from .huggingface import HuggingFaceEmbeddings
from .mistralai import MistralAIEmbeddings
from .ollama import OllamaEmbeddings
from .openai import OpenAIEmbeddings

__all__ = ["init_embeddings"]

OURS = "embedbridge"
STAND_INS: dict[str, Callable[..., Embeddings]] = {
    "azure_openai": AzureOpenAIEmbeddings,
    "bedrock": BedrockEmbeddings,
    "cohere": CohereEmbeddings,
    "google_genai": GoogleGenerativeAIEmbeddings,
    "huggingface": HuggingFaceEmbeddings,
    "mistralai": MistralAIEmbeddings,
    "ollama": OllamaEmbeddings,
    "openai": OpenAIEmbeddings,
}
"""LangChain's name of a provider → our class with its keywords."""


def init_embeddings(model: str, *, provider: str | None = None, **kwargs: Any) -> Embeddings:
    """Embeddings by name, as of `langchain.embeddings.init_embeddings`: only the import changes.

    Args:
        model: `provider:model` in LangChain's words or ours, or `embedbridge:provider:model`; or a bare name.
        provider: of a bare name.
        **kwargs: of the class: the original's keywords for azure_openai, bedrock, cohere, google_genai, huggingface,
            mistralai, ollama and openai; the options of `BridgeEmbeddings` for all other providers, and after
            `embedbridge:`.

    Returns:
        A stand-in, or `BridgeEmbeddings`.

    Raises:
        ConfigurationError: there is no provider, or a keyword is wrong.
    """
    check_word("model", model)
    if provider is not None:
        check_word("provider", provider)
    named = model if provider is None else f"{provider}:{model}"
    first, colon, rest = named.partition(":")
    if not (colon and first.strip() and rest.strip()):
        raise ConfigurationError(f"model={model!r}: write 'provider:model', or give provider= too")
    kind = STAND_INS.get(first.strip().lower())
    if kind is not None:
        return kind(model=rest, **kwargs)
    return BridgeEmbeddings(model=rest if first == OURS else named, **kwargs)
