"""Both faces over the fake provider, and what they have in common."""

from __future__ import annotations

import pytest

from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding

FACES = (BridgeEmbeddings, BridgeEmbedding)
AS_ORIGINALS = (
    "ignore:.* was trained with",
    "ignore:.* sends a query as",
    "ignore:.* has the task",
    "ignore:.* has no effect",
    "ignore:.* hold for both kinds",
)
"""Warnings of stand-ins that send what their originals do, though the model was trained with something else."""


@pytest.fixture(params=FACES, ids=lambda kind: kind.__name__)
def face(request):
    """Each of the two classes."""
    return request.param


@pytest.fixture
def vendors_keys(monkeypatch):
    """Keys of all vendors in the environment."""
    for name in ("OPENAI", "AZURE_OPENAI", "COHERE", "VOYAGE", "MISTRAL", "GOOGLE", "NVIDIA", "JINA", "JINAAI"):
        monkeypatch.setenv(f"{name}_API_KEY", "k")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "k")


@pytest.fixture
def cache(tmp_path):
    """A directory for a cache."""
    return tmp_path / "cache"


def query_vector(made, text):
    """A query's vector, by the framework's own method."""
    return made.embed_query(text) if hasattr(made, "embed_query") else made.get_query_embedding(text)


async def aquery_vector(made, text):
    """A query's vector, by the framework's own async method."""
    return await (made.aembed_query(text) if hasattr(made, "embed_query") else made.aget_query_embedding(text))


def document_vectors(made, texts):
    """Documents' vectors, by the framework's own method."""
    return made.embed_documents(texts) if hasattr(made, "embed_query") else made.get_text_embedding_batch(texts)
