"""LangChain's own suites, for every provider: over loopback servers, and with a real model."""

from __future__ import annotations

import os

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from embedbridge._frameworks.openai_fields import NO_ROLES
from embedbridge.langchain import (
    AzureOpenAIEmbeddings,
    BedrockEmbeddings,
    BridgeEmbeddings,
    CohereEmbeddings,
    GoogleGenerativeAIEmbeddings,
    HuggingFaceEmbeddings,
    MistralAIEmbeddings,
    OllamaEmbeddings,
    OpenAIEmbeddings,
    VoyageAIEmbeddings,
)
from embedbridge.testing import FaultServer

pytestmark = pytest.mark.torch
KEY = "sk-test-env"
WRAPPED = {"embeddings": DeterministicFakeEmbedding(size=8)}
SUBJECTS = {
    "fake": (BridgeEmbeddings, {"model": "fake:8"}, None),
    "local": (BridgeEmbeddings, {"model": "local:all-MiniLM-L6-v2"}, None),
    "wrapped": (BridgeEmbeddings, {"model": "langchain:theirs", "provider_options": WRAPPED}, None),
    "openai": (BridgeEmbeddings, {"model": "openai:text-embedding-3-small", "base_url": "{url}/v1"}, "OPENAI_API_KEY"),
    "azure": (
        BridgeEmbeddings,
        {
            "model": "azure:text-embedding-3-small",
            "base_url": "{url}",
            "provider_options": {"api_version": "2024-10-21"},
        },
        "AZURE_OPENAI_API_KEY",
    ),
    "voyage": (BridgeEmbeddings, {"model": "voyage:voyage-3.5", "base_url": "{url}/voyage/v1"}, "VOYAGE_API_KEY"),
    "bedrock": (
        BridgeEmbeddings,
        {"model": "bedrock:cohere.embed-v4:0", "base_url": "{url}", "provider_options": {"region": "us-east-1"}},
        "AWS_BEARER_TOKEN_BEDROCK",
    ),
    "bedrock one by one": (
        BridgeEmbeddings,
        {
            "model": "bedrock:amazon.nova-2-multimodal-embeddings-v1:0",
            "base_url": "{url}",
            "provider_options": {"region": "us-east-1"},
        },
        "AWS_BEARER_TOKEN_BEDROCK",
    ),
    "mistral": (BridgeEmbeddings, {"model": "mistral:mistral-embed", "base_url": "{url}/mistral"}, "MISTRAL_API_KEY"),
    "cohere": (BridgeEmbeddings, {"model": "cohere:embed-v4.0", "base_url": "{url}"}, "COHERE_API_KEY"),
    "gemini": (BridgeEmbeddings, {"model": "gemini:gemini-embedding-001", "base_url": "{url}"}, "GEMINI_API_KEY"),
    "vertex": (BridgeEmbeddings, {"model": "vertex:gemini-embedding-001", "base_url": "{url}"}, "GOOGLE_API_KEY"),
    "ollama": (BridgeEmbeddings, {"model": "ollama:nomic-embed-text", "base_url": "{url}"}, None),
    "nvidia": (
        BridgeEmbeddings,
        {"model": "nvidia:nvidia/nv-embedqa-e5-v5", "base_url": "{url}/nvidia/v1"},
        "NVIDIA_API_KEY",
    ),
    "jina": (BridgeEmbeddings, {"model": "jina:jina-embeddings-v3", "base_url": "{url}/jina/v1"}, "JINA_API_KEY"),
    "tei": (BridgeEmbeddings, {"model": "tei:BAAI/bge-small-en-v1.5", "base_url": "{url}/tei"}, None),
    "OpenAIEmbeddings": (OpenAIEmbeddings, {"base_url": "{url}/v1"}, "OPENAI_API_KEY"),
    "AzureOpenAIEmbeddings": (AzureOpenAIEmbeddings, {"azure_endpoint": "{url}"}, "AZURE_OPENAI_API_KEY"),
    "VoyageAIEmbeddings": (
        VoyageAIEmbeddings,
        {"model": "voyage-3.5", "base_url": "{url}/voyage/v1"},
        "VOYAGE_API_KEY",
    ),
    "BedrockEmbeddings": (
        BedrockEmbeddings,
        {"endpoint_url": "{url}", "region_name": "us-east-1"},
        "AWS_BEARER_TOKEN_BEDROCK",
    ),
    "MistralAIEmbeddings": (MistralAIEmbeddings, {"endpoint": "{url}/mistral/v1"}, "MISTRAL_API_KEY"),
    "CohereEmbeddings": (CohereEmbeddings, {"model": "embed-v4.0", "base_url": "{url}"}, "COHERE_API_KEY"),
    "GoogleGenerativeAIEmbeddings": (
        GoogleGenerativeAIEmbeddings,
        {"model": "gemini-embedding-001", "base_url": "{url}"},
        "GOOGLE_API_KEY",
    ),
    "OllamaEmbeddings": (OllamaEmbeddings, {"model": "nomic-embed-text", "base_url": "{url}", **NO_ROLES}, None),
    "HuggingFaceEmbeddings": (HuggingFaceEmbeddings, {"model_name": "all-MiniLM-L6-v2"}, None),
}
"""Class, its arguments, and the variable that its key is taken from."""


@pytest.fixture(scope="module")
def url():
    with FaultServer(api_keys=[KEY]) as server:
        yield server.url


def suites(name):
    """Two classes of tests for one subject, as LangChain wants them: one of its bases each."""

    class Subject:
        @pytest.fixture(autouse=True)
        def _served(self, url, monkeypatch):
            kind, options, variable = SUBJECTS[name]
            self.kind, self.variable = kind, variable
            self.options = {
                key: value.format(url=url) if isinstance(value, str) else value for key, value in options.items()
            }
            if variable:
                monkeypatch.setenv(variable, KEY)

        @pytest.fixture
        async def model(self):
            model = self.kind(**self.embedding_model_params)
            yield model
            await model.embedder.aclose()

        @property
        def embeddings_class(self):
            return self.kind

        @property
        def embedding_model_params(self):
            return {"cache": False} | self.options

    class TestUnit(Subject, EmbeddingsUnitTests):
        @property
        def init_from_env_params(self):
            if self.variable is None:
                return {"PATH": os.environ["PATH"]}, self.embedding_model_params, {}
            if self.kind is BedrockEmbeddings:  # which has no attribute for such a key, and takes it all the same
                return {self.variable: "sk-other"}, self.embedding_model_params, {}
            name = {"AZURE": "openai_api_key"}.get(
                vendor := self.variable.partition("_")[0], f"{vendor.lower()}_api_key"
            )
            name = "api_key" if self.kind is BridgeEmbeddings else name
            return {self.variable: "sk-other"}, self.embedding_model_params, {name: "sk-other"}

    class TestIntegration(Subject, EmbeddingsIntegrationTests):
        pass

    return TestUnit, TestIntegration


for _name in SUBJECTS:
    for _kind, _suite in zip(("Unit", "Integration"), suites(_name), strict=True):
        _title = f"Test{_kind}_{_name}"
        _suite.__name__ = _suite.__qualname__ = _title
        globals()[_title] = _suite
