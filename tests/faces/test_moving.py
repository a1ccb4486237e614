"""The tables of lines before and after: every row is run, and the rest of the app stays as it was."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from embedbridge.langchain import BridgeEmbeddings
from embedbridge.providers.voyage import VoyageProvider

from .conftest import document_vectors, query_vector

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "src/embedbridge" / name / "README.md" for name in ("langchain", "llama_index"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
ROWS = dict(re.findall(r"^\| L[^|]* \| `([^`]+)` \| `([^`]+)` \|$", TEXT, re.MULTILINE))
REST = {
    "OpenAIEmbeddings": 'OpenAIEmbeddings(model="text-embedding-3-small", dimensions=512, chunk_size=500)',
    "AzureOpenAIEmbeddings": 'AzureOpenAIEmbeddings(model="text-embedding-3-small", api_version="2024-10-21")',
    "CohereEmbeddings": 'CohereEmbeddings(model="embed-v4.0", max_retries=2)',
    "OllamaEmbeddings": 'OllamaEmbeddings(model="nomic-embed-text", num_ctx=2048)',
    "HuggingFaceEmbeddings": 'HuggingFaceEmbeddings(model_name=minilm, encode_kwargs={"normalize_embeddings": True})',
    "VoyageAIEmbeddings": 'VoyageAIEmbeddings(model="voyage-3.5", batch_size=100)',
    "OpenAIEmbedding": 'OpenAIEmbedding(model="text-embedding-3-small", embed_batch_size=50)',
    "CohereEmbedding": 'CohereEmbedding(model_name="embed-v4.0", input_type="search_document")',
    "OllamaEmbedding": 'OllamaEmbedding("nomic-embed-text", query_instruction="search_query:")',
    "HuggingFaceEmbedding": "HuggingFaceEmbedding(model_name=minilm)",
    "VoyageEmbedding": 'VoyageEmbedding(model_name="voyage-3.5")',
}
"""The line that makes the object, which no row of the table touches."""
TEXTS = ["Ravens plan ahead.", "Rye needs cold winters."]


@pytest.fixture
def _accounts(server, monkeypatch):
    """Keys and addresses as the environment of an app has them."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url)
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    monkeypatch.setenv("CO_API_URL", server.url)
    # Voyage has no such variable; to lead it here without touching a line there is only this.
    monkeypatch.setattr(VoyageProvider, "official_url", f"{server.url}/voyage/v1")
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "COHERE_API_KEY", "VOYAGE_API_KEY"):
        monkeypatch.setenv(name, "sk-test")


def imports():
    return {before: after for before, after in ROWS.items() if before.startswith("from ")}


def run(line, minilm):
    names = {"minilm": str(minilm)}
    exec(line, names)  # noqa: S102 - a line of our README
    return eval(REST[line.rpartition(" ")[2]], names)  # noqa: S307 - a line of ours


@pytest.mark.usefixtures("_accounts")
@pytest.mark.filterwarnings("ignore:nomic-embed-text was trained with", "ignore:input_type=")
@pytest.mark.parametrize(("before", "after"), imports().items(), ids=lambda line: line.partition("import ")[2])
def test_the_changed_line_gives_an_app_its_vectors(before, after, minilm_path):
    ours = run(after, minilm_path)
    vectors = [*document_vectors(ours, TEXTS), query_vector(ours, TEXTS[0])]
    assert np.isfinite(vectors).all()
    requests = ours.embedder.usage.requests
    assert [*document_vectors(ours, TEXTS), query_vector(ours, TEXTS[0])] == vectors
    assert ours.embedder.usage.requests == requests
    ours.embedder.close()
    module = before.split()[1]
    if "HuggingFace" in before and _installed(module):
        theirs = run(before, minilm_path)
        told = theirs.embed_query if module.startswith("langchain") else theirs.get_query_embedding
        np.testing.assert_allclose(vectors[-1], told(TEXTS[0]), atol=1e-5)


def test_the_line_that_replaces_langchains_cache_keeps_queries_too(cache):
    before, after = next((before, after) for before, after in ROWS.items() if "CacheBacked" in before)
    assert before.startswith("embeddings = ")
    theirs = DeterministicFakeEmbedding(size=8)
    names = {"theirs": theirs, "BridgeEmbeddings": BridgeEmbeddings}
    exec(after, names)  # noqa: S102 - a line of our README
    embeddings = names["embeddings"].model_copy(update={"cache": cache})
    np.testing.assert_allclose(embeddings.embed_documents(TEXTS), theirs.embed_documents(TEXTS), rtol=1e-6)
    assert embeddings.embed_query("who?") == embeddings.embed_query("who?")
    assert embeddings.embedder.usage.requests == 2


def test_the_table_has_a_row_for_every_stand_in():
    assert {line.rpartition(" ")[2] for line in imports()} == set(REST)
    assert len(ROWS) >= 8


def _installed(module):
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True
