"""The hosted providers as the fault server plays them: how to reach each, and what it must answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge.testing import FaultServer

KEY = "sk-0123456789abcdef-nobody-may-see-this"


@dataclass(frozen=True, slots=True)
class Api:
    """One provider.

    Attributes:
        path: what `base_url` has after the server's address.
        items: texts in one request.
        tokens: tokens in one request.
        text_tokens: tokens of one text.
        role: the request's own name for a document, "" where it has none.
        prefix: put before a document by us.
        numbered: the answer's vectors have an index.
        named: the request names its model.
    """

    name: str
    model: str
    dialect: str
    items: int
    tokens: int
    text_tokens: int
    path: str = ""
    role: str = ""
    prefix: str = ""
    numbered: bool = False
    named: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def embedder(self, server: FaultServer, **options: Any) -> Embedder:
        """An embedder that asks the server, with the provider's own settings."""
        own = {**self.options, **options.pop("provider_options", {})}
        usual = {"base_url": server.url + self.path, "api_key": KEY, "cache": False}
        return Embedder(f"{self.name}:{self.model}", provider_options=own, **usual | options)

    def sent(self, text: str) -> str:
        """A document as it travels."""
        return self.prefix + text

    def vectors(self, server: FaultServer, texts: Iterable[str]) -> np.ndarray:
        """What the documents' vectors must be."""
        return self.vectors_as_sent(server, [self.sent(text) for text in texts])

    def vectors_as_sent(self, server: FaultServer, items: list[str]) -> np.ndarray:
        """What vectors must be, prefixes being there already."""
        model = self.model if self.named else ""
        return server.vectors(items, dialect=self.dialect, model=model, input_type=self.role)


OPENAI = Api("openai", "text-embedding-3-small", "openai", 2048, 300_000, 8191, path="/v1", numbered=True)
AZURE = Api(
    "azure",
    "text-embedding-3-small",
    "openai",
    2048,
    300_000,
    8191,
    numbered=True,
    options={"api_version": "2024-10-21"},
)
VOYAGE = Api("voyage", "voyage-3", "voyage", 1000, 120_000, 32_000, path="/voyage/v1", role="document", numbered=True)
BEDROCK = Api(
    "bedrock",
    "cohere.embed-v4:0",
    "bedrock",
    96,
    128_000,
    128_000,
    role="search_document",
    options={"region": "us-east-1"},
)
COHERE = Api("cohere", "embed-v4.0", "cohere", 96, 128_000, 128_000, role="search_document")
MISTRAL = Api("mistral", "mistral-embed", "mistral", 256, 16_000, 8192, path="/mistral/v1", numbered=True)
OLLAMA = Api("ollama", "nomic-embed-text", "ollama", 64, 32_768, 2048, prefix="search_document: ")
NVIDIA = Api(
    "nvidia",
    "nvidia/llama-nemotron-embed-1b-v2",
    "nvidia",
    50,
    102_400,
    8192,
    path="/nvidia/v1",
    role="passage",
    numbered=True,
)
JINA = Api(
    "jina",
    "jina-embeddings-v3",
    "jina",
    512,
    65_536,
    8192,
    path="/jina/v1",
    role="retrieval.passage",
    numbered=True,
)
TEI = Api("tei", "BAAI/bge-small-en-v1.5", "tei", 32, 65_536, 512, path="/tei", named=False)
GEMINI = Api("gemini", "gemini-embedding-001", "gemini", 100, 1_000_000, 2048, role="RETRIEVAL_DOCUMENT")
VERTEX = Api("vertex", "text-embedding-005", "vertex", 250, 20_000, 2048, role="RETRIEVAL_DOCUMENT")

APIS = (OPENAI, AZURE, VOYAGE, BEDROCK, COHERE, GEMINI, JINA, MISTRAL, NVIDIA, OLLAMA, TEI, VERTEX)
ALIKE = (AZURE, JINA, MISTRAL, NVIDIA, TEI, VERTEX, VOYAGE)
"""Those that the client of another asks, which is OpenAI's SDK, or our own, which asks Gemini."""
ASYNC = {"cohere", "gemini", "jina", "llama-index", "tei", "voyage"}
"""Names of those that are asked in the async way where one way is enough; the others are asked in the sync one."""

each_client = pytest.mark.parametrize(
    "api", [pytest.param(api, marks=pytest.mark.slow if api in ALIKE else ()) for api in APIS], ids=str
)
"""For what the client decides and not the API: those that are alike show it again in the slow tests."""


def is_shown_by_another(api: Api, mode: str) -> bool:
    """Whether a test of an API in a mode shows what others show: OpenAI is asked in both ways, the others in one."""
    return api is not OPENAI and mode != ("async" if api.name in ASYNC else "sync")
