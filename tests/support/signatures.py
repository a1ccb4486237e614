"""What the constructors of the frameworks' own integrations take, to be kept as data beside the tests that need it.

Run with those packages installed, it prints that data anew.
"""

from __future__ import annotations

import inspect
import json
import sys
from importlib import import_module, metadata
from typing import Any

ORIGINALS = {
    "langchain_openai:OpenAIEmbeddings": "langchain-openai",
    "langchain_openai:AzureOpenAIEmbeddings": "langchain-openai",
    "langchain_aws:BedrockEmbeddings": "langchain-aws",
    "langchain_cohere:CohereEmbeddings": "langchain-cohere",
    "langchain_mistralai:MistralAIEmbeddings": "langchain-mistralai",
    "langchain_google_genai:GoogleGenerativeAIEmbeddings": "langchain-google-genai",
    "langchain_ollama:OllamaEmbeddings": "langchain-ollama",
    "langchain_huggingface:HuggingFaceEmbeddings": "langchain-huggingface",
    "langchain_voyageai:VoyageAIEmbeddings": "langchain-voyageai",
    "llama_index.embeddings.openai:OpenAIEmbedding": "llama-index-embeddings-openai",
    "llama_index.embeddings.azure_openai:AzureOpenAIEmbedding": "llama-index-embeddings-azure-openai",
    "llama_index.embeddings.bedrock:BedrockEmbedding": "llama-index-embeddings-bedrock",
    "llama_index.embeddings.cohere:CohereEmbedding": "llama-index-embeddings-cohere",
    "llama_index.embeddings.mistralai:MistralAIEmbedding": "llama-index-embeddings-mistralai",
    "llama_index.embeddings.google_genai:GoogleGenAIEmbedding": "llama-index-embeddings-google-genai",
    "llama_index.embeddings.ollama:OllamaEmbedding": "llama-index-embeddings-ollama",
    "llama_index.embeddings.huggingface:HuggingFaceEmbedding": "llama-index-embeddings-huggingface",
    "llama_index.embeddings.voyageai:VoyageEmbedding": "llama-index-embeddings-voyageai",
}
"""Class → the package it comes from."""
REQUIRED = "<required>"


def signature(name: str) -> dict[str, Any]:
    """Every keyword of an original, aliases too, with its default. ImportError where its package is not installed."""
    module, _, kind = name.partition(":")
    original = getattr(import_module(module), kind)
    if module.startswith("llama_index"):
        parameters = list(inspect.signature(original.__init__).parameters.values())[1:]
        return {part.name: _plain(part.default) for part in parameters if part.kind is not part.VAR_KEYWORD}
    found = {}
    for field, info in original.model_fields.items():
        for keyword in dict.fromkeys((info.alias or field, field)):
            found[keyword] = REQUIRED if info.is_required() else _plain(info.default)
    return found


def _plain(default: Any) -> Any:
    """A default as JSON holds it; what a factory makes depends on the environment and counts as None."""
    if default is inspect.Parameter.empty:
        return REQUIRED
    default = getattr(default, "value", default)
    return default if isinstance(default, str | int | float | list | dict) else None


if __name__ == "__main__":
    pinned = {
        name: {
            "package": package,
            "version": metadata.version(package),
            "keywords": signature(name),
        }
        for name, package in ORIGINALS.items()
    }
    json.dump(pinned, sys.stdout, indent=1)
    print()  # noqa: T201 - a file ends with a newline
