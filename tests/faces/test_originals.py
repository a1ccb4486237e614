"""The originals themselves beside their stand-ins, where they are installed: the same call, the same vectors."""

from __future__ import annotations

import gc
import importlib

import numpy as np
import pytest

import embedbridge.langchain
import embedbridge.llama_index

from .conftest import document_vectors, query_vector

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]  # the originals' own warnings are not ours to mend

TEXTS = ["Ravens plan ahead.", "Rye needs cold winters.", "The Danube flows into the Black Sea."]
HOSTED = {"api_key": "sk-test"}
AWS = {"region_name": "us-east-1", "aws_access_key_id": "AKID", "aws_secret_access_key": "secret"}
SETUPS = [
    # langchain-openai would ask the network for a vocabulary, unless it is told to send text
    ("langchain_openai:OpenAIEmbeddings", {"base_url": "{url}/v1", "check_embedding_ctx_length": False, **HOSTED}),
    (
        "langchain_openai:OpenAIEmbeddings",
        {
            "model": "text-embedding-3-small",
            "dimensions": 256,
            "openai_api_base": "{url}/v1",
            "openai_api_key": "sk-test",
            "check_embedding_ctx_length": False,
        },
    ),
    (
        "langchain_openai:AzureOpenAIEmbeddings",
        {"model": "text-embedding-3-small", "azure_endpoint": "{url}", "check_embedding_ctx_length": False, **HOSTED},
    ),
    ("langchain_aws:BedrockEmbeddings", {"endpoint_url": "{url}", **AWS}),
    (
        "langchain_aws:BedrockEmbeddings",
        {"model_id": "amazon.titan-embed-text-v2:0", "dimensions": 256, "normalize": True, **AWS},
    ),
    ("langchain_aws:BedrockEmbeddings", {"model_id": "amazon.nova-2-multimodal-embeddings-v1:0", **AWS}),
    ("langchain_aws:BedrockEmbeddings", {"model_id": "us.cohere.embed-v4:0", "dimensions": 512, **AWS}),
    (
        "langchain_mistralai:MistralAIEmbeddings",
        {"endpoint": "{url}/mistral/v1/", "api_key": "sk-test"},
    ),
    (
        "langchain_cohere:CohereEmbeddings",
        {"model": "embed-v4.0", "base_url": "{url}", "cohere_api_key": "sk-test"},
    ),
    (
        "langchain_google_genai:GoogleGenerativeAIEmbeddings",
        {"model": "gemini-embedding-001", "base_url": "{url}", "transport": "rest", "google_api_key": "sk-test"},
    ),
    (
        "langchain_google_genai:GoogleGenerativeAIEmbeddings",
        {"model": "models/gemini-embedding-001", "base_url": "{url}", "transport": "rest", "google_api_key": "sk-test"}
        | {"task_type": "semantic_similarity"},
    ),
    (
        "langchain_google_genai:GoogleGenerativeAIEmbeddings",
        {"model": "gemini-embedding-2", "base_url": "{url}", "transport": "rest", "google_api_key": "sk-test"},
    ),
    ("langchain_ollama:OllamaEmbeddings", {"model": "nomic-embed-text", "base_url": "{url}"}),
    ("langchain_huggingface:HuggingFaceEmbeddings", {"model_name": "{minilm}"}),
    ("langchain_huggingface:HuggingFaceEmbeddings", {"model": "{e5}", "encode_kwargs": {"normalize_embeddings": True}}),
    (
        "langchain_huggingface:HuggingFaceEmbeddings",
        {
            "model": "{e5}",
            "encode_kwargs": {"prompt_name": "document"},
            "query_encode_kwargs": {"prompt_name": "query"},
        },
    ),
    ("llama_index.embeddings.openai:OpenAIEmbedding", {"api_base": "{url}/v1", **HOSTED}),
    (
        "llama_index.embeddings.openai:OpenAIEmbedding",
        {"model": "text-embedding-3-small", "dimensions": 256, "api_base": "{url}/v1", **HOSTED},
    ),
    ("llama_index.embeddings.bedrock:BedrockEmbedding", AWS),
    (
        "llama_index.embeddings.bedrock:BedrockEmbedding",
        {
            "model_name": "amazon.titan-embed-text-v2:0",
            "additional_kwargs": {"dimensions": 256, "normalize": False},
            **AWS,
        },
    ),
    ("llama_index.embeddings.bedrock:BedrockEmbedding", {"model_name": "cohere.embed-english-v3", **AWS}),
    ("llama_index.embeddings.cohere:CohereEmbedding", {"model_name": "embed-v4.0", "base_url": "{url}", **HOSTED}),
    (
        "llama_index.embeddings.google_genai:GoogleGenAIEmbedding",
        {"model_name": "gemini-embedding-001", "http_options": {"base_url": "{url}"}, **HOSTED}
        | {"embedding_config": {"output_dimensionality": 256}},
    ),
    (
        "llama_index.embeddings.google_genai:GoogleGenAIEmbedding",
        {"model_name": "gemini-embedding-2", "http_options": {"base_url": "{url}"}, **HOSTED},
    ),
    (
        "llama_index.embeddings.ollama:OllamaEmbedding",
        {"model_name": "nomic-embed-text", "base_url": "{url}", "query_instruction": "search_query:"},
    ),
    ("llama_index.embeddings.huggingface:HuggingFaceEmbedding", {"model_name": "{minilm}"}),
    ("llama_index.embeddings.huggingface:HuggingFaceEmbedding", {"model_name": "{e5}", "query_instruction": "query: "}),
]


def _filled(value, places):
    if isinstance(value, str):
        return value.format(**places)
    return {key: _filled(part, places) for key, part in value.items()} if isinstance(value, dict) else value


@pytest.fixture(autouse=True)
def _bedrock(server, monkeypatch):
    """Where both look for it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)


@pytest.mark.parametrize(
    ("original", "keywords"), SETUPS, ids=[f"{name.partition(':')[2]}-{at}" for at, (name, _) in enumerate(SETUPS)]
)
def test_a_stand_in_gives_the_vectors_of_its_original(original, keywords, server, minilm_path, e5_path):
    module, _, name = original.partition(":")
    pytest.importorskip(module, reason=f"needs {module}")
    keywords = _filled(keywords, {"url": server.url, "minilm": minilm_path, "e5": e5_path})
    theirs = getattr(importlib.import_module(module), name)(**keywords)
    face = embedbridge.langchain if module.startswith("langchain") else embedbridge.llama_index
    ours = getattr(face, name)(cache=False, **keywords)
    by_theirs = theirs.embed_documents if face is embedbridge.langchain else theirs.get_text_embedding_batch
    ask_theirs = theirs.embed_query if face is embedbridge.langchain else theirs.get_query_embedding
    np.testing.assert_allclose(document_vectors(ours, TEXTS), by_theirs(TEXTS), atol=1e-5)
    np.testing.assert_allclose(query_vector(ours, TEXTS[0]), ask_theirs(TEXTS[0]), atol=1e-5)
    ours.embedder.close()
    del theirs, by_theirs, ask_theirs
    gc.collect()  # some leave a connection open, which is to be told of here and not in another test
