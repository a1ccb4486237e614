"""One RAG chain over every provider: only the model's name differs, and it finds the same documents."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from embedbridge.langchain import BridgeEmbeddings

from .test_chains import FACTS, QUESTIONS, chain

KEY = "not-a-real-key"
BEDROCK = {
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "{url}",
    "AWS_REGION": "us-east-1",
    "AWS_BEARER_TOKEN_BEDROCK": KEY,
}


@dataclass(frozen=True)
class Swap:
    """A model's name, the engine behind its API, and what an operator sets outside of the program.

    A name with points is an attribute, for APIs whose address no variable says.
    """

    model: str
    engine: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    alone: bool = False
    """The API takes one text a request."""

    def __str__(self):
        return self.model.partition("{")[0]


VOYAGE = "embedbridge.providers.voyage.VoyageProvider.official_url"
MISTRAL = "embedbridge.providers.mistral.MistralProvider.official_url"
AZURE = {"AZURE_OPENAI_ENDPOINT": "{url}", "AZURE_OPENAI_API_KEY": KEY, "OPENAI_API_VERSION": "2024-10-21"}
SWAPS = (
    Swap("local:{minilm_path}"),
    Swap("openai:minilm", "llama_server", {"OPENAI_BASE_URL": "{url}/v1"}),
    Swap("azure:e5", "e5_server", AZURE),
    Swap("voyage:multilingual-e5-small", "e5_server", {VOYAGE: "{url}/voyage/v1", "VOYAGE_API_KEY": KEY}),
    Swap("bedrock:amazon.titan-embed-text-e5", "e5_server", BEDROCK, alone=True),
    Swap("bedrock:amazon.nova-e5", "e5_server", BEDROCK, alone=True),
    Swap("bedrock:cohere.embed-e5", "e5_server", BEDROCK),
    Swap("cohere:multilingual-e5-small", "e5_server", {"CO_API_URL": "{url}", "CO_API_KEY": KEY}),
    Swap("gemini:e5", "e5_server", {"GOOGLE_GEMINI_BASE_URL": "{url}", "GOOGLE_API_KEY": KEY}),
    Swap("vertex:text-embedding-e5", "e5_server", {"GOOGLE_VERTEX_BASE_URL": "{url}", "GOOGLE_API_KEY": KEY}),
    Swap("nvidia:e5", "e5_server", {"NVIDIA_BASE_URL": "{url}/nvidia/v1", "NVIDIA_API_KEY": KEY}),
    Swap("mistral:e5", "e5_server", {MISTRAL: "{url}/mistral/v1", "MISTRAL_API_KEY": KEY}),
    Swap("ollama:all-minilm", "ollama_server", {"OLLAMA_HOST": "{url}"}),
)


@pytest.mark.parametrize("swap", SWAPS, ids=str)
async def test_a_chain_finds_the_right_documents_whatever_its_model(swap, request, monkeypatch, minilm_path):
    url = request.getfixturevalue(swap.engine).url if swap.engine else ""
    for name, value in swap.settings.items():
        change = monkeypatch.setattr if "." in name else monkeypatch.setenv
        change(name, value.format(url=url))
    embeddings = BridgeEmbeddings(model=swap.model.format(minilm_path=minilm_path))
    answers = chain(embeddings)
    for question, fact in QUESTIONS.items():
        expected = f"{fact}\n\n{question}"
        assert answers.invoke(question) == await answers.ainvoke(question) == expected
    documents = len(FACTS) if swap.alone else 1
    assert embeddings.embedder.usage.requests == documents + len(QUESTIONS)  # each question once
    embeddings.embedder.close()
    await embeddings.embedder.aclose()
