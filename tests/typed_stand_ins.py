"""Twelve calls of each stand-in as applications write them. mypy and pyright read this file, and a test runs it."""

from __future__ import annotations

from typing import assert_type

from langchain_core.embeddings import Embeddings
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from pydantic import SecretStr

from embedbridge import langchain, llama_index

SMALL = "text-embedding-3-small"


def of_openai(url: str) -> list[Embeddings]:
    place = f"{url}/v1"
    made = langchain.OpenAIEmbeddings(model=SMALL, api_key="sk-x", base_url=place)
    assert_type(made.model, str)
    assert_type(made.chunk_size, int)
    assert_type(made.embed_documents(["a"], chunk_size=10, dimensions=256), list[list[float]])
    return [
        made,
        langchain.OpenAIEmbeddings(api_key="sk-x", openai_api_base=place),
        langchain.OpenAIEmbeddings(model=SMALL, openai_api_key="sk-x", base_url=place, dimensions=512),
        langchain.OpenAIEmbeddings(model=SMALL, api_key=SecretStr("sk-x"), base_url=place, chunk_size=64),
        langchain.OpenAIEmbeddings(model=SMALL, api_key="sk-x", base_url=place, timeout=30, max_retries=6),
        langchain.OpenAIEmbeddings(model=SMALL, api_key="sk-x", base_url=place, request_timeout=(5.0, 30.0)),
        langchain.OpenAIEmbeddings(model=SMALL, api_key="sk-x", base_url=place, model_kwargs={"user": "u"}),
        langchain.OpenAIEmbeddings(model=SMALL, api_key="sk-x", base_url=place, default_headers={"X-Team": "a"}),
        langchain.OpenAIEmbeddings(model=SMALL, api_key="sk-x", base_url=place, check_embedding_ctx_length=False),
        langchain.OpenAIEmbeddings(model="my-model", api_key="sk-x", base_url=place, organization="o", skip_empty=True),
        langchain.OpenAIEmbeddings(model=SMALL, api_key="sk-x", base_url=place, cache="memory", query_prefix=None),
        langchain.OpenAIEmbeddings(model=SMALL, api_key="sk-x", base_url=place, observers=[print], deadline=60),
    ]


def of_azure(url: str) -> list[Embeddings]:
    version = "2024-10-21"
    made = langchain.AzureOpenAIEmbeddings(model=SMALL, azure_endpoint=url, api_key="k", api_version=version)
    assert_type(made.azure_endpoint, str | None)
    return [
        made,
        langchain.AzureOpenAIEmbeddings(azure_deployment="mine", azure_endpoint=url, api_key="k"),
        langchain.AzureOpenAIEmbeddings(model=SMALL, azure_endpoint=url, openai_api_key="k"),
        langchain.AzureOpenAIEmbeddings(model=SMALL, azure_endpoint=url, api_key=SecretStr("k"), chunk_size=16),
        langchain.AzureOpenAIEmbeddings(model=SMALL, azure_endpoint=url, azure_ad_token="t"),  # noqa: S106 - opens nothing
        langchain.AzureOpenAIEmbeddings(model=SMALL, azure_endpoint=url, azure_ad_token_provider=lambda: "t"),
        langchain.AzureOpenAIEmbeddings(model=SMALL, azure_endpoint=url, api_key="k", dimensions=256),
        langchain.AzureOpenAIEmbeddings(model=SMALL, azure_endpoint=url, api_key="k", openai_api_version=version),
        langchain.AzureOpenAIEmbeddings(model=SMALL, azure_endpoint=url, api_key="k", max_retries=3, timeout=9.5),
        langchain.AzureOpenAIEmbeddings(model=SMALL, azure_endpoint=url, api_key="k", default_query={"a": "b"}),
        langchain.AzureOpenAIEmbeddings(deployment="mine", model=SMALL, azure_endpoint=url, api_key="k"),
        langchain.AzureOpenAIEmbeddings(model=SMALL, azure_endpoint=url, api_key="k", cache=False, concurrency=2),
    ]


def of_cohere(url: str) -> list[Embeddings]:
    model = "embed-v4.0"
    made = langchain.CohereEmbeddings(model=model, cohere_api_key="k", base_url=url)
    assert_type(made.cohere_api_key, SecretStr | None)
    return [
        made,
        langchain.CohereEmbeddings(model="embed-english-v3.0", cohere_api_key="k", base_url=url, dimensions=None),
        langchain.CohereEmbeddings(model=model, cohere_api_key=SecretStr("k"), base_url=url),
        langchain.CohereEmbeddings(model=model, cohere_api_key="k", base_url=url, truncate="END"),
        langchain.CohereEmbeddings(model=model, cohere_api_key="k", base_url=url, truncate="NONE"),
        langchain.CohereEmbeddings(model=model, cohere_api_key="k", base_url=url, max_retries=5),
        langchain.CohereEmbeddings(model=model, cohere_api_key="k", base_url=url, request_timeout=20),
        langchain.CohereEmbeddings(model=model, cohere_api_key="k", base_url=url, embedding_types=["float"]),
        langchain.CohereEmbeddings(model=model, api_key="k", base_url=url, timeout=20.0),
        langchain.CohereEmbeddings(model=model, cohere_api_key="k", base_url=url, cache="memory"),
        langchain.CohereEmbeddings(model=model, cohere_api_key="k", base_url=url, batch_size=48, normalize=True),
        langchain.CohereEmbeddings(model=model, cohere_api_key="k", base_url=url, requests_per_minute=1000),
    ]


def of_ollama(url: str) -> list[Embeddings]:
    made = langchain.OllamaEmbeddings(model="nomic-embed-text", base_url=url)
    assert_type(made.num_ctx, int | None)
    return [
        made,
        langchain.OllamaEmbeddings(model="nomic-embed-text", base_url=url, num_ctx=256),
        langchain.OllamaEmbeddings(model="nomic-embed-text", base_url=url, keep_alive=60),
        langchain.OllamaEmbeddings(model="nomic-embed-text", base_url=url, client_kwargs={"timeout": 30}),
        langchain.OllamaEmbeddings(model="nomic-embed-text", base_url=url, client_kwargs={"headers": {"X-Team": "a"}}),
        langchain.OllamaEmbeddings(model="nomic-embed-text", base_url=url, num_gpu=0, num_thread=2),
        langchain.OllamaEmbeddings(model="nomic-embed-text", base_url=url, temperature=0.0, stop=["x"]),
        langchain.OllamaEmbeddings(model="my-model", base_url=url, dimensions=128),
        langchain.OllamaEmbeddings(model="my-model", base_url=url, query_prefix="ask: ", document_prefix="text: "),
        langchain.OllamaEmbeddings(model="nomic-embed-text", base_url=url, cache="memory", max_retries=1),
        langchain.OllamaEmbeddings(model="nomic-embed-text", base_url=url, sync_client_kwargs={"timeout": 3}, top_k=1),
        langchain.OllamaEmbeddings(model="nomic-embed-text", base_url=url, normalize=True, too_long="error"),
    ]


def of_voyage(url: str) -> list[Embeddings]:
    place, model = f"{url}/voyage/v1", "voyage-3.5"
    made = langchain.VoyageAIEmbeddings(model=model, api_key="k", base_url=place)
    assert_type(made.batch_size, int | None)
    return [
        made,
        langchain.VoyageAIEmbeddings(model=model, voyage_api_key="k", base_url=place),
        langchain.VoyageAIEmbeddings(model=model, voyage_api_key=SecretStr("k"), base_url=place, batch_size=72),
        langchain.VoyageAIEmbeddings(model=model, api_key="k", base_url=place, output_dimension=256),
        langchain.VoyageAIEmbeddings(model=model, api_key="k", base_url=place, truncation=False),
        langchain.VoyageAIEmbeddings(model=model, api_key="k", base_url=place, show_progress_bar=False),
        langchain.VoyageAIEmbeddings(model="voyage-4", api_key="k", base_url=place),
        langchain.VoyageAIEmbeddings(model=model, api_key="k", base_url=place, dimensions=512),
        langchain.VoyageAIEmbeddings(model=model, api_key="k", base_url=place, timeout=30, max_retries=1),
        langchain.VoyageAIEmbeddings(model=model, api_key="k", base_url=place, cache=["memory"]),
        langchain.VoyageAIEmbeddings(model=model, api_key="k", base_url=place, tokens_per_minute=1e6),
        langchain.VoyageAIEmbeddings(model=model, api_key="k", base_url=place, empty="zero"),
    ]


def of_hugging_face(folder: str) -> list[Embeddings]:
    made = langchain.HuggingFaceEmbeddings(model_name=folder)
    assert_type(made.model_name, str)
    unit = {"normalize_embeddings": True}
    return [
        made,
        langchain.HuggingFaceEmbeddings(model=folder),
        langchain.HuggingFaceEmbeddings(model_name=folder, encode_kwargs=unit),
        langchain.HuggingFaceEmbeddings(model_name=folder, model_kwargs={"device": "cpu"}, encode_kwargs=unit),
        langchain.HuggingFaceEmbeddings(model_name=folder, encode_kwargs={"batch_size": 8}),
        langchain.HuggingFaceEmbeddings(model_name=folder, encode_kwargs={"prompt": "text: "}),
        langchain.HuggingFaceEmbeddings(model_name=folder, query_encode_kwargs={"prompt": "ask: "}),
        langchain.HuggingFaceEmbeddings(model_name=folder, show_progress=False, multi_process=False),
        langchain.HuggingFaceEmbeddings(model_name=folder, encode_kwargs={**unit, "truncate_dim": 128}),
        langchain.HuggingFaceEmbeddings(model_name=folder, query_prefix="query: ", document_prefix="passage: "),
        langchain.HuggingFaceEmbeddings(model_name=folder, cache="memory", normalize=True),
        langchain.HuggingFaceEmbeddings(model_name=folder, provider_options={"device": "cpu"}, batch_size=4),
    ]


def of_openai_in_llama_index(url: str) -> list[BaseEmbedding]:
    place = f"{url}/v1"
    made = llama_index.OpenAIEmbedding(model=SMALL, api_key="sk-x", api_base=place)
    assert_type(made.api_key, str)
    return [
        made,
        llama_index.OpenAIEmbedding("text_search", SMALL, 50, api_key="sk-x", api_base=place),
        llama_index.OpenAIEmbedding(model=SMALL, embed_batch_size=42, api_key="sk-x", api_base=place),
        llama_index.OpenAIEmbedding(model=SMALL, dimensions=512, api_key="sk-x", api_base=place),
        llama_index.OpenAIEmbedding(api_key="sk-x", api_base=place),
        llama_index.OpenAIEmbedding(model_name="my-model", api_key="sk-x", api_base=place),
        llama_index.OpenAIEmbedding(model=SMALL, api_key="sk-x", api_base=place, additional_kwargs={"user": "u"}),
        llama_index.OpenAIEmbedding(model=SMALL, api_key="sk-x", api_base=place, max_retries=3, timeout=30.0),
        llama_index.OpenAIEmbedding(model=SMALL, api_key="sk-x", api_base=place, default_headers={"X-Team": "a"}),
        llama_index.OpenAIEmbedding(model=SMALL, api_key="sk-x", api_base=place, num_workers=4),
        llama_index.OpenAIEmbedding(
            SMALL and "similarity", SMALL, callback_manager=CallbackManager([]), api_base=place
        ),
        llama_index.OpenAIEmbedding(model=SMALL, api_key="sk-x", api_base=place, cache="memory", concurrency=2),
    ]


def of_azure_in_llama_index(url: str) -> list[BaseEmbedding]:
    version = "2024-10-21"
    kind = llama_index.AzureOpenAIEmbedding
    made = kind(model=SMALL, deployment_name="mine", api_key="k", azure_endpoint=url, api_version=version)
    assert_type(made.azure_deployment, str | None)
    return [
        made,
        kind(model=SMALL, azure_deployment="mine", api_key="k", azure_endpoint=url, api_version=version),
        kind(azure_deployment="mine", api_key="k", azure_endpoint=url, api_version=version),
        kind(model=SMALL, api_key="k", azure_endpoint=url, api_version=version, embed_batch_size=16),
        kind(model=SMALL, api_key="k", azure_endpoint=url, api_version=version, dimensions=256),
        kind("text_search", SMALL, 10, None, None, "k", version, None, url, "mine"),
        kind(
            model=SMALL, azure_endpoint=url, api_version=version, use_azure_ad=True, azure_ad_token_provider=lambda: "t"
        ),
        kind(model=SMALL, api_key="k", azure_endpoint=url, api_version=version, max_retries=2, reuse_client=True),
        kind(model=SMALL, api_key="k", azure_endpoint=url, api_version=version, additional_kwargs={"user": "u"}),
        kind(model=SMALL, api_key="k", azure_endpoint=url, api_version=version, num_workers=2),
        kind(model=SMALL, api_key="k", azure_endpoint=url, api_version=version, timeout=30.0),
        kind(model=SMALL, api_key="k", azure_endpoint=url, api_version=version, cache=False, deadline=30),
    ]


def of_cohere_in_llama_index(url: str) -> list[BaseEmbedding]:
    model = "embed-v4.0"
    kind = llama_index.CohereEmbedding
    made = kind(api_key="k", model_name=model, base_url=url)
    assert_type(made.input_type, str | None)
    return [
        made,
        kind("k", None, model, base_url=url),
        kind(cohere_api_key="k", model_name=model, base_url=url),
        kind(api_key="k", base_url=url),
        kind(api_key="k", model_name=model, input_type="search_query", base_url=url),
        kind(api_key="k", model_name=model, input_type="search_document", embedding_type="float", base_url=url),
        kind(api_key="k", model_name=model, truncate="NONE", base_url=url),
        kind(api_key="k", model_name=model, embed_batch_size=96, base_url=url),
        kind(api_key="k", model_name=model, timeout=20.0, max_retries=3, base_url=url),
        kind(api_key="k", model_name=model, num_workers=2, base_url=url),
        kind(api_key="k", model_name=model, dimensions=256, base_url=url),
        kind(api_key="k", model_name=model, cache="memory", base_url=url),
    ]


def of_ollama_in_llama_index(url: str) -> list[BaseEmbedding]:
    kind = llama_index.OllamaEmbedding
    made = kind(model_name="nomic-embed-text", base_url=url)
    assert_type(made.query_instruction, str | None)
    return [
        made,
        kind("nomic-embed-text", url),
        kind("nomic-embed-text", url, 32),
        kind(model_name="nomic-embed-text", base_url=url, ollama_additional_kwargs={"num_gpu": 0}),
        kind(model_name="nomic-embed-text", base_url=url, query_instruction="ask:", text_instruction="text:"),
        kind(model_name="nomic-embed-text", base_url=url, keep_alive="5m"),
        kind(model_name="nomic-embed-text", base_url=url, keep_alive=60.0),
        kind(model_name="nomic-embed-text", base_url=url, client_kwargs={"timeout": 30.0}),
        kind(model_name="nomic-embed-text", base_url=url, callback_manager=CallbackManager([])),
        kind(model_name="nomic-embed-text", base_url=url, embed_batch_size=64, num_workers=2),
        kind(model_name="my-model", base_url=url, query_prefix="q: "),
        kind(model_name="nomic-embed-text", base_url=url, cache="memory", timeout=20),
    ]


def of_voyage_in_llama_index(url: str) -> list[BaseEmbedding]:
    place, model = f"{url}/voyage/v1", "voyage-3.5"
    kind = llama_index.VoyageEmbedding
    made = kind(model_name=model, voyage_api_key="k", base_url=place)
    assert_type(made.truncation, bool | None)
    return [
        made,
        kind(model, "k", base_url=place),
        kind(model, "k", 64, base_url=place),
        kind(model_name=model, voyage_api_key="k", truncation=True, base_url=place),
        kind(model_name=model, voyage_api_key="k", output_dimension=256, base_url=place),
        kind(model_name=model, voyage_api_key="k", output_dtype="float", base_url=place),
        kind(model_name="voyage-4", voyage_api_key="k", base_url=place),
        kind(model_name=model, voyage_api_key="k", callback_manager=CallbackManager([]), base_url=place),
        kind(model_name=model, voyage_api_key="k", num_workers=2, base_url=place),
        kind(model_name=model, api_key="k", timeout=20, max_retries=1, base_url=place),
        kind(model_name=model, voyage_api_key="k", cache="memory", base_url=place),
        kind(model_name=model, voyage_api_key="k", max_cost=1.0, base_url=place),
    ]


def of_hugging_face_in_llama_index(folder: str) -> list[BaseEmbedding]:
    kind = llama_index.HuggingFaceEmbedding
    made = kind(model_name=folder)
    assert_type(made.normalize, bool)
    return [
        made,
        kind(folder),
        kind(model_name=folder, device="cpu"),
        kind(model_name=folder, query_instruction="ask: ", text_instruction="text: "),
        kind(model_name=folder, normalize=False),
        kind(model_name=folder, embed_batch_size=32),
        kind(model_name=folder, trust_remote_code=False, backend="torch"),
        kind(model_name=folder, truncate_dim=128),
        kind(model_name=folder, show_progress_bar=False, callback_manager=CallbackManager([])),
        kind(model_name=folder, model_kwargs={"torch_dtype": "float32"}),
        kind(model_name=folder, cache="memory", too_long="mean"),
        kind(model_name=folder, query_prefix="query: ", num_workers=2),
    ]


HOSTED = [of_openai, of_azure, of_cohere, of_ollama, of_voyage]
HOSTED_IN_LLAMA_INDEX = [
    of_openai_in_llama_index,
    of_azure_in_llama_index,
    of_cohere_in_llama_index,
    of_ollama_in_llama_index,
    of_voyage_in_llama_index,
]
