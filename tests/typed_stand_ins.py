"""Twelve calls of each of LangChain's stand-ins, as applications write them: type checkers read it, a test runs it."""

from __future__ import annotations

from typing import assert_type

from langchain_core.embeddings import Embeddings
from pydantic import SecretStr

from embedbridge import langchain

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


def of_bedrock(url: str) -> list[Embeddings]:
    kind, titan = langchain.BedrockEmbeddings, "amazon.titan-embed-text-v2:0"
    made = kind(model_id=titan, region_name="us-east-1", endpoint_url=url)
    assert_type(made.model_id, str)
    assert_type(made.dimensions, int | None)
    return [
        made,
        kind(region_name="us-east-1", endpoint_url=url),
        kind(model_id=titan, region_name="us-east-1", endpoint_url=url, dimensions=256, normalize=True),
        kind(model_id=titan, region_name="us-east-1", endpoint_url=url, model_kwargs={"dimensions": 512}),
        kind(model_id="cohere.embed-english-v3", region_name="us-east-1", endpoint_url=url),
        kind(model_id="us.cohere.embed-v4:0", region_name="us-east-1", endpoint_url=url, provider="cohere"),
        kind(region_name="us-east-1", endpoint_url=url, aws_access_key_id="AKID", aws_secret_access_key="s"),  # noqa: S106
        kind(region_name="eu-west-1", endpoint_url=url, model_kwargs={"normalize": False}, model_id=titan),
        kind(model=titan, region_name="us-east-1", base_url=url),
        kind(model_id=titan, region_name="eu-west-1", endpoint_url=url, max_retries=2, timeout=20),
        kind(model_id=titan, region_name="us-east-1", endpoint_url=url, cache="memory", concurrency=4),
        kind(model_id=titan, region_name="us-east-1", endpoint_url=url, too_long="truncate", show_progress=False),
    ]


def of_mistral(url: str) -> list[Embeddings]:
    kind, place = langchain.MistralAIEmbeddings, f"{url}/mistral/v1/"
    made = kind(api_key="k", endpoint=place)
    assert_type(made.model, str)
    assert_type(made.max_retries, int)
    return [
        made,
        kind(model="mistral-embed", api_key="k", endpoint=place),
        kind(model="codestral-embed", api_key="k", endpoint=place),
        kind(mistral_api_key="k", endpoint=place),
        kind(api_key=SecretStr("k"), endpoint=place),
        kind(api_key="k", endpoint=place, max_retries=2),
        kind(api_key="k", endpoint=place, timeout=30),
        kind(api_key="k", base_url=place),
        kind(model="codestral-embed", api_key="k", endpoint=place, dimensions=256),
        kind(api_key="k", endpoint=place, batch_size=16, normalize=True),
        kind(api_key="k", endpoint=place, cache="memory", tokens_per_minute=100_000),
        kind(api_key="k", endpoint=place, too_long="mean", deadline=30),
    ]


def of_google(url: str) -> list[Embeddings]:
    kind, model = langchain.GoogleGenerativeAIEmbeddings, "gemini-embedding-001"
    made = kind(model=model, google_api_key="k", base_url=url)
    assert_type(made.task_type, str | None)
    assert_type(made.embed_documents(["a"], task_type="clustering", titles=None), list[list[float]])
    return [
        made,
        kind(model="models/gemini-embedding-001", google_api_key="k", base_url=url),
        kind(model=model, api_key="k", base_url=url),
        kind(model=model, google_api_key=SecretStr("k"), base_url=url),
        kind(model=model, google_api_key="k", base_url=url, task_type="semantic_similarity"),
        kind(model=model, google_api_key="k", client_options={"api_endpoint": url}),
        kind(model=model, google_api_key="k", base_url=url, request_options={"timeout": 10}),
        kind(model=model, google_api_key="k", base_url=url, output_dimensionality=768),
        kind(model=model, google_api_key="k", base_url=url, additional_headers={"X-Team": "a"}),
        kind(model="gemini-embedding-2", google_api_key="k", base_url=url, query_prefix=None, document_prefix=None),
        kind(model=model, google_api_key="k", base_url=url, cache="memory", normalize=True),
        kind(model=model, google_api_key="k", base_url=url, max_retries=2, timeout=20, batch_size=50),
    ]


def of_nvidia(url: str) -> list[Embeddings]:
    kind, place, model = langchain.NVIDIAEmbeddings, f"{url}/nvidia/v1", "nvidia/llama-nemotron-embed-1b-v2"
    made = kind(model=model, api_key="k", base_url=place)
    assert_type(made.model, str | None)
    assert_type(made.max_batch_size, int)
    return [
        made,
        kind(model="nvidia/nv-embedqa-e5-v5", nvidia_api_key="k", base_url=place),
        kind(model=model, api_key=SecretStr("k"), base_url=place),
        kind(model=model, api_key="k", base_url=place, truncate="END"),
        kind(model=model, api_key="k", base_url=place, truncate="START"),
        kind(model=model, api_key="k", base_url=place, dimensions=512),
        kind(model=model, api_key="k", base_url=place, max_batch_size=16),
        kind(model=model, api_key="k", nvidia_base_url=place),
        kind(model=model, api_key="k", base_url=place, default_headers={"X-Team": "a"}),
        kind(model=model, api_key="k", base_url=place, timeout=20, max_retries=2),
        kind(model=model, api_key="k", base_url=place, cache="memory", normalize=True),
        kind(model=model, api_key="k", base_url=place, requests_per_minute=40),
    ]


def of_jina(url: str) -> list[Embeddings]:
    kind, place, model = langchain.JinaEmbeddings, f"{url}/jina/v1", "jina-embeddings-v2-base-en"
    made = kind(jina_api_key="k", model_name=model, base_url=place)
    assert_type(made.model_name, str)
    return [
        made,
        kind(jina_api_key="k", base_url=place),
        kind(jina_api_key=SecretStr("k"), model_name=model, base_url=place),
        kind(jina_auth_token="k", model_name=model, base_url=place),  # noqa: S106 - opens nothing
        kind(jina_api_key="k", model_name="jina-embeddings-v3", base_url=place),
        kind(jina_api_key="k", model_name="jina-embeddings-v3", base_url=place, dimensions=256),
        kind(api_key="k", model=model, base_url=place),
        kind(jina_api_key="k", model_name=model, base_url=place, timeout=20, max_retries=1),
        kind(jina_api_key="k", model_name=model, base_url=place, batch_size=64),
        kind(jina_api_key="k", model_name=model, base_url=place, normalize=True, show_progress=False),
        kind(jina_api_key="k", model_name=model, base_url=place, cache="memory"),
        kind(jina_api_key="k", model_name=model, base_url=place, too_long="truncate"),
    ]


HOSTED = [
    *(of_openai, of_azure, of_cohere, of_ollama, of_voyage),
    *(of_bedrock, of_mistral, of_google, of_nvidia, of_jina),
]
