"""Twelve calls of each of LlamaIndex's stand-ins, as applications write them: type checkers read it, a test runs it."""

from __future__ import annotations

from typing import assert_type

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager

from embedbridge import llama_index

SMALL = "text-embedding-3-small"


def of_openai(url: str) -> list[BaseEmbedding]:
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


def of_azure(url: str) -> list[BaseEmbedding]:
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


def of_cohere(url: str) -> list[BaseEmbedding]:
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


def of_ollama(url: str) -> list[BaseEmbedding]:
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


def of_voyage(url: str) -> list[BaseEmbedding]:
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


def of_hugging_face(folder: str) -> list[BaseEmbedding]:
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


def of_bedrock(url: str) -> list[BaseEmbedding]:
    kind, titan = llama_index.BedrockEmbedding, "amazon.titan-embed-text-v2:0"
    made = kind(model_name=titan, region_name="us-east-1", base_url=url)
    assert_type(made.model_name, str)
    return [
        made,
        kind(titan, region_name="us-east-1", base_url=url),
        kind(region_name="us-east-1", base_url=url),
        kind(titan, None, "AKID", "secret", None, "us-east-1", base_url=url),
        kind(model_name="cohere.embed-english-v3", region_name="us-east-1", base_url=url),
        kind(model_name=titan, region_name="us-east-1", base_url=url, additional_kwargs={"dimensions": 256}),
        kind(model_name=titan, region_name="us-east-1", base_url=url, max_retries=3, timeout=20.0),
        kind(model_name=titan, region_name="us-east-1", base_url=url, embed_batch_size=4),
        kind(model_name=titan, region_name="us-east-1", base_url=url, callback_manager=CallbackManager([])),
        kind(model=titan, region_name="eu-west-1", base_url=url, num_workers=2),
        kind(model_name=titan, region_name="us-east-1", base_url=url, dimensions=512, normalize=True),
        kind(model_name=titan, region_name="us-east-1", base_url=url, cache="memory", concurrency=2),
    ]


def of_mistral(url: str) -> list[BaseEmbedding]:
    kind, place = llama_index.MistralAIEmbedding, f"{url}/mistral/v1"
    made = kind(model_name="mistral-embed", api_key="k", base_url=place)
    assert_type(made.api_key, str)
    return [
        made,
        kind("mistral-embed", "k", base_url=place),
        kind("mistral-embed", "k", 32, base_url=place),
        kind(api_key="k", base_url=place),
        kind(model_name="codestral-embed", api_key="k", base_url=place),
        kind(api_key="k", embed_batch_size=16, base_url=place),
        kind(api_key="k", callback_manager=CallbackManager([]), base_url=place),
        kind(api_key="k", num_workers=2, base_url=place),
        kind(model="codestral-embed", api_key="k", dimensions=256, base_url=place),
        kind(api_key="k", timeout=20, max_retries=2, base_url=place),
        kind(api_key="k", cache="memory", base_url=place),
        kind(api_key="k", too_long="mean", normalize=True, base_url=place),
    ]


def of_google(url: str) -> list[BaseEmbedding]:
    kind, model = llama_index.GoogleGenAIEmbedding, "gemini-embedding-001"
    there = {"base_url": url}
    made = kind(model_name=model, api_key="k", http_options=there)
    assert_type(made.retries, int)
    assert_type(made.model_name, str)
    return [
        made,
        kind(model, "k", http_options=there),
        kind(model, "k", {"output_dimensionality": 256}, http_options=there),
        kind(model_name=model, api_key="k", http_options=there, embed_batch_size=50),
        kind(model_name=model, api_key="k", http_options={**there, "timeout": 20_000}),
        kind(model_name=model, api_key="k", http_options={**there, "headers": {"X-Team": "a"}}),
        kind(model_name=model, api_key="k", http_options=there, retries=2, timeout=20),
        kind(model_name=model, api_key="k", http_options=there, callback_manager=CallbackManager([])),
        kind(model_name=f"models/{model}", api_key="k", http_options=there),
        kind(api_key="k", http_options=there, query_prefix=None, document_prefix=None),
        kind(model=model, api_key="k", base_url=url, num_workers=2),
        kind(model_name=model, api_key="k", http_options=there, cache="memory", normalize=True),
    ]


def of_nvidia(url: str) -> list[BaseEmbedding]:
    kind, place, model = llama_index.NVIDIAEmbedding, f"{url}/nvidia/v1", "nvidia/nv-embedqa-e5-v5"
    made = kind(model=model, api_key="k", base_url=place)
    assert_type(made.model, str)
    assert_type(made.timeout, float)
    return [
        made,
        kind(model, nvidia_api_key="k", base_url=place),
        kind(model, 30.0, 2, api_key="k", base_url=place),
        kind(model=model, api_key="k", base_url=place, truncate="END"),
        kind(model=model, api_key="k", base_url=place, truncate="START"),
        kind(model="nvidia/llama-nemotron-embed-1b-v2", api_key="k", base_url=place, dimensions=512),
        kind(model=model, api_key="k", base_url=place, embed_batch_size=50),
        kind(model=model, api_key="k", base_url=place, callback_manager=CallbackManager([])),
        kind(model_name=model, api_key="k", base_url=place, num_workers=2),
        kind(model=model, api_key="k", base_url=place, normalize=True),
        kind(model=model, api_key="k", base_url=place, cache="memory"),
        kind(model=model, api_key="k", base_url=place, deadline=60, show_progress=False),
    ]


def of_jina(url: str) -> list[BaseEmbedding]:
    kind, place, model = llama_index.JinaEmbedding, f"{url}/jina/v1", "jina-embeddings-v3"
    made = kind(model=model, api_key="k", base_url=place)
    assert_type(made.task, str | None)
    return [
        made,
        kind(model, 16, "k", base_url=place),
        kind(api_key="k", base_url=place),
        kind(model=model, api_key="k", task="text-matching", base_url=place),
        kind(model=model, api_key="k", task="retrieval.passage", dimensions=256, base_url=place),
        kind(model=model, api_key="k", encoding_queries="float", encoding_documents="float", base_url=place),
        kind(model=model, api_key="k", late_chunking=False, base_url=place),
        kind(model="jina-embeddings-v2-base-en", api_key="k", base_url=place),
        kind(model_name=model, api_key="k", callback_manager=CallbackManager([]), base_url=place),
        kind(model=model, api_key="k", num_workers=2, timeout=20, base_url=place),
        kind(model=model, api_key="k", cache="memory", base_url=place),
        kind(model=model, api_key="k", too_long="truncate", normalize=True, base_url=place),
    ]


def of_text_embeddings_inference(url: str) -> list[BaseEmbedding]:
    kind, place, model = llama_index.TextEmbeddingsInference, f"{url}/tei", "BAAI/bge-small-en-v1.5"
    made = kind(model_name=model, base_url=place)
    assert_type(made.truncate_text, bool)
    return [
        made,
        kind(model, place),
        kind(model, place, "", "Represent this sentence:"),
        kind(model_name=model, base_url=place, query_instruction="", text_instruction=""),
        kind(model_name=model, base_url=place, embed_batch_size=32),
        kind(model_name=model, base_url=place, timeout=20.0),
        kind(model_name=model, base_url=place, truncate_text=False),
        kind(model_name=model, base_url=place, auth_token="hf_token"),  # noqa: S106 - opens nothing
        kind(model_name=model, base_url=place, callback_manager=CallbackManager([])),
        kind(model_name=model, base_url=place, endpoint="/embed", num_workers=2),
        kind(model_name=model, base_url=place, query_prefix=None, max_retries=2),
        kind(model_name=model, base_url=place, cache="memory", normalize=True),
    ]


HOSTED = [
    *(of_openai, of_azure, of_cohere, of_ollama, of_voyage, of_bedrock),
    *(of_mistral, of_google, of_nvidia, of_jina, of_text_embeddings_inference),
]
