"""Golden keys, spaces and stored data, through the public API: what is paid for once is found for years.

`tests/golden.json` has, for each embedder below: the key of one text in each role, and the keys of older releases under
which it is looked for too; the fingerprint of its vector space; its `to_dict`. Whoever changes one of these lets users
pay again, or has their indexes refused. Where that is meant, older entries are read if that is sound, and the changelog
says what is paid again; then the file is written anew: `cd tests && python -m support.golden`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from embedbridge import Embedder, langchain, llama_index
from embedbridge._core.types import INPUT_TYPES
from embedbridge.cache import BaseCache, CacheStats

from .keys import KEYS

FILE = Path(__file__).parents[1] / "golden.json"
FIRST = json.loads(FILE.with_name("golden_1.json").read_text())
"""Keys and spaces as the code of schema 1 made them, by name of the embedder. Never written anew."""
TEXT, LONG = "Grüße, world", "a text of many words "
OPENAI, GATEWAY = "openai:text-embedding-3-small", "https://gateway.example/v1"
AWS = {"AWS_REGION": "us-east-1"}
ONE_TEXT: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    # name of the model, options, environment
    (OPENAI, {}, {}),
    (OPENAI, {"dimensions": 256}, {}),
    (OPENAI, {"normalize": True, "query_prefix": "q: ", "document_prefix": "d: "}, {}),
    (OPENAI, {"provider_options": {"user": "u", "organization": "o", "project": "p", "request_items": 5}}, {}),
    (OPENAI, {}, {"OPENAI_ORG_ID": "o", "OPENAI_CUSTOM_HEADERS": "X-Model: one\nx-api-key: k"}),
    (OPENAI, {}, {"OPENAI_BASE_URL": GATEWAY}),
    (OPENAI, {"base_url": GATEWAY, "provider_options": {"user": "u", "organization": "o", "project": "p"}}, {}),
    (
        "openai:a-model",
        {
            "base_url": GATEWAY,
            "dimensions": 64,
            "provider_options": {
                "body": {"truncate": "END", "nested": {"b": [1, "1", None], "a": True}},
                "query": {"version": "2"},
                "dimensions_field": "width",
                "encoding_format": None,
                "single": True,
                "default_headers": {"X-Model": "one", "Cookie": "c", "X-Asks": "me"},
                "routing_headers": ["x-model"],
                "credential_headers": ["x-asks"],
            },
        },
        {},
    ),
    (
        "openai:a-model",
        {
            "base_url": GATEWAY,
            "provider_options": {
                "role_body": {"query": {"input_type": "query"}, "document": {"input_type": "passage"}}
            },
        },
        {},
    ),
    ("openai:nvidia/nv-embedqa-e5-v5", {"base_url": "https://integrate.api.nvidia.com/v1"}, {}),
    ("openai:jina-embeddings-v3", {"base_url": "https://api.jina.ai/v1", "dimensions": 256}, {}),
    ("openai:mistral-embed", {"base_url": "https://api.mistral.ai/v1"}, {}),
    ("azure:my-deployment", {"base_url": "https://name.openai.azure.com"}, {"OPENAI_API_VERSION": "2024-10-21"}),
    (
        "azure:text-embedding-3-small",
        {
            "provider_options": {
                "azure_endpoint": "https://name.openai.azure.com",
                "azure_deployment": "mine",
                "api_version": "2024-10-21",
                "azure_ad_token": "t",
            },
            "api_key": None,
        },
        {},
    ),
    ("voyage:voyage-4", {}, {}),
    ("voyage:voyage-4", {"dimensions": 512, "too_long": "mean", "provider_options": {"body": {"a": 1}}}, {}),
    ("bedrock:amazon.titan-embed-text-v1", {}, AWS),
    (
        "bedrock:eu.amazon.titan-embed-text-v2:0",
        {"dimensions": 256, "provider_options": {"region": "eu-west-1", "body": {"normalize": False}}},
        {},
    ),
    ("bedrock:amazon.nova-2-multimodal-embeddings-v1:0", {}, AWS),
    (
        "bedrock:amazon.nova-2-multimodal-embeddings-v1:0",
        {"provider_options": {"role_body": {"query": {"embeddingPurpose": "GENERIC_RETRIEVAL"}}}},
        AWS,
    ),
    ("bedrock:cohere.embed-english-v3", {"base_url": GATEWAY}, {}),
    ("bedrock:arn:aws:bedrock:us-east-1:1:inference-profile/us.cohere.embed-v4:0", {"dimensions": 512}, {}),
    (
        "bedrock:cohere.embed-v4:0",
        {"provider_options": {"model_arn": "arn:aws:bedrock:us-east-1:1:application-inference-profile/a"}},
        {},
    ),
    ("cohere:embed-v4.0", {}, {}),
    ("cohere:embed-v4.0", {"dimensions": 512}, {"CO_API_URL": "https://gateway.example"}),
    ("cohere:embed-english-v3.0", {"too_long": "error"}, {}),
    ("mistral:mistral-embed", {}, {}),
    (
        "mistral:codestral-embed",
        {"base_url": "https://gateway.example", "dimensions": 256, "provider_options": {"output_dtype": "int8"}},
        {},
    ),
    ("gemini:gemini-embedding-001", {}, {}),
    ("gemini:models/gemini-embedding-001", {"dimensions": 768, "too_long": "mean"}, {}),
    ("gemini:gemini-embedding-001", {"provider_options": {"task_types": {"query": "CODE_RETRIEVAL_QUERY"}}}, {}),
    ("gemini:gemini-embedding-2", {}, {"GEMINI_API_KEY": "sk-other", "GOOGLE_API_KEY": ""}),
    (
        "gemini:gemini-embedding-2",
        {"provider_options": {"task": "code retrieval"}},
        {"GOOGLE_GEMINI_BASE_URL": GATEWAY},
    ),
    ("ollama:nomic-embed-text", {}, {}),
    ("ollama:all-minilm", {}, {"OLLAMA_HOST": "gpu.example"}),
    (
        "ollama:a-model",
        {
            "base_url": "gpu.example:80",
            "provider_options": {
                "num_ctx": 512,
                "keep_alive": "5m",
                "options": {"num_gpu": 0, "temperature": 0.5},
                "headers": {"x-model": "one"},
            },
        },
        {},
    ),
    ("nvidia:nvidia/llama-nemotron-embed-1b-v2", {}, {}),
    (
        "nvidia:nvidia/llama-nemotron-embed-1b-v2",
        {"dimensions": 512, "provider_options": {"truncate": "START", "default_headers": {"X-Model": "one"}}},
        {"NVIDIA_BASE_URL": "https://nim.example/v1"},
    ),
    ("jina:jina-embeddings-v3", {}, {}),
    ("jina:jina-embeddings-v5-text-small", {"dimensions": 256, "too_long": "mean"}, {}),
    ("tei:BAAI/bge-small-en-v1.5", {}, {}),
    (
        "tei:BAAI/bge-small-en-v1.5",
        {
            "base_url": "http://gpu.example:8080",
            "provider_options": {
                "normalize": False,
                "prompt_name": {"query": "query"},
                "truncation_direction": "Left",
            },
        },
        {},
    ),
    ("vertex:gemini-embedding-001", {}, {}),
    ("vertex:text-embedding-005", {"dimensions": 256}, {"GOOGLE_CLOUD_PROJECT": "mine"}),
    ("vertex:gemini-embedding-2", {"base_url": GATEWAY, "provider_options": {"project": "p", "location": "eu"}}, {}),
    ("fake:8", {}, {}),
    ("fake:8", {"dimensions": 4, "too_long": "mean", "empty": "zero", "provider_options": {"max_tokens": 8}}, {}),
    ("sentence-transformers:./a-folder", {}, {}),
    (
        "local:./a-folder",
        {"normalize": True, "query_prefix": "", "provider_options": {"dtype": "bfloat16", "device": "cpu"}},
        {},
    ),
    ("langchain:theirs", {"provider_options": {"embeddings": "langchain"}}, {}),
    ("llama-index:theirs", {"provider_options": {"embeddings": "llama-index"}}, {}),
]
STAND_INS: dict[str, dict[str, Any]] = {
    "langchain.OpenAIEmbeddings": {"model": "text-embedding-3-large", "dimensions": 1024},
    "langchain.AzureOpenAIEmbeddings": {
        "azure_endpoint": "https://name.openai.azure.com",
        "azure_deployment": "mine",
        "api_version": "2024-10-21",
    },
    "langchain.BedrockEmbeddings": {"model_id": "amazon.titan-embed-text-v2:0", "region_name": "us-east-1"},
    "langchain.CohereEmbeddings": {"model": "embed-v4.0"},
    "langchain.HuggingFaceEmbeddings": {"model_name": "./a-folder", "encode_kwargs": {"normalize_embeddings": True}},
    "langchain.JinaEmbeddings": {"model_name": "jina-embeddings-v2-base-en"},
    "langchain.NVIDIAEmbeddings": {"dimensions": 512, "truncate": "START"},
    "langchain.MistralAIEmbeddings": {"model": "mistral-embed"},
    "langchain.GoogleGenerativeAIEmbeddings": {"model": "gemini-embedding-001", "output_dimensionality": 768},
    "langchain.OllamaEmbeddings": {"model": "all-minilm", "num_ctx": 128},
    "langchain.VoyageAIEmbeddings": {"model": "voyage-4"},
    "llama_index.OpenAIEmbedding": {"model": "text-embedding-3-large", "dimensions": 1024},
    "llama_index.BedrockEmbedding": {"model_name": "cohere.embed-english-v3", "region_name": "us-east-1"},
    "llama_index.CohereEmbedding": {"model_name": "embed-v4.0"},
    "llama_index.HuggingFaceEmbedding": {"model_name": "./a-folder"},
    "llama_index.JinaEmbedding": {"model": "jina-embeddings-v2-base-en", "task": "a-task"},
    "llama_index.NVIDIAEmbedding": {"model": "nvidia/nv-embedqa-e5-v5"},
    "llama_index.MistralAIEmbedding": {"model_name": "mistral-embed"},
    "llama_index.GoogleGenAIEmbedding": {"model_name": "gemini-embedding-001"},
    "llama_index.OllamaEmbedding": {"model_name": "all-minilm"},
    "llama_index.TextEmbeddingsInference": {"model_name": "sentence-transformers/all-MiniLM-L6-v2"},
    "llama_index.VoyageEmbedding": {"model_name": "voyage-4"},
}
WITH_TOKENIZER = {"azure", "langchain", "llama-index", "local", "openai", "sentence-transformers"}
"""Providers that cut by a tokenizer, which a machine may have or not."""
FOLDER = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ],
    "config.json": {"model_type": "bert", "torch_dtype": "float32", "max_position_embeddings": 64},
    "1_Pooling/config.json": {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True},
    "config_sentence_transformers.json": {"prompts": {"query": "Q: ", "document": "D: "}, "default_prompt_name": None},
}


class Asked(BaseCache):
    """A cache that has nothing, and remembers under what keys it was asked."""

    blocking = False

    def __init__(self) -> None:
        self.keys: list[str] = []

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        self.keys += [key.hex() for key in keys]
        return {}

    def hold_width(self, key: bytes, width: int | None, *, label: str) -> None:
        """It holds none; its key is no text's."""

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        raise NotImplementedError

    def stats(self) -> CacheStats:
        return CacheStats()

    def clear(self) -> None:
        """There is nothing."""

    close = clear


@contextlib.contextmanager
def surroundings(variables: Mapping[str, str]) -> Iterator[None]:
    """A folder with a model of files alone, and the environment."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        for name, content in FOLDER.items():
            file = Path(place, "a-folder", name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content))
        for name, value in {**dict.fromkeys(KEYS, "sk-test"), **variables}.items():
            patch.setenv(name, value)
        os.chdir(place)
        try:
            yield
        finally:
            os.chdir(before)


def keys_of(embedder: Embedder, asked: Asked, text: str, role: Any) -> list[str]:
    """The key of a text, and those under which it is looked for besides."""
    asked.keys.clear()
    embedder.estimate([text], input_type=role)
    return [*asked.keys]


def text_of(place: str) -> str:
    """The text whose key stands at a place of the file."""
    return LONG * 10_000 if place.startswith("long") else TEXT


def values_of(embedder: Embedder, asked: Asked) -> dict[str, Any]:
    """All that is golden of one embedder."""
    found: dict[str, Any] = {role: keys_of(embedder, asked, TEXT, role) for role in INPUT_TYPES}
    if embedder.options.too_long != "error" and embedder.options.model.partition(":")[0] not in WITH_TOKENIZER:
        found["long document"] = keys_of(embedder, asked, text_of("long document"), "document")
    stored = llama_index.BridgeEmbedding.of(embedder).to_dict()
    return {"keys": found, "space": embedder.space.fingerprint, "to_dict": stored}


def name_of(model: str, options: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    return " ".join((model, *(json.dumps(each) for each in (options, variables) if each)))


def found_now(model: str, options: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    asked = Asked()
    with surroundings(variables):
        return json.loads(json.dumps(values_of(made_of(model, options, asked), asked)))


def made_of(model: str, options: Mapping[str, Any], cache: Any) -> Embedder:
    own = {**options.get("provider_options", {})}
    if "embeddings" in own:
        own["embeddings"] = theirs(own["embeddings"])
    return Embedder(**{"model": model, "cache": cache, **options, "provider_options": own})


def found_now_of(stand_in: str) -> dict[str, Any]:
    asked, (module, _, name) = Asked(), stand_in.partition(".")
    kind = getattr({"langchain": langchain, "llama_index": llama_index}[module], name)
    with surroundings({}):
        made = kind(**STAND_INS[stand_in], cache=asked)
        stored = {"to_dict": made.to_dict()} if module == "llama_index" else {}
        return json.loads(json.dumps(values_of(made.embedder, asked) | stored))


def theirs(framework: str) -> Any:
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from llama_index.core import MockEmbedding

    return {"langchain": DeterministicFakeEmbedding(size=8), "llama-index": MockEmbedding(8)}[framework]


def kept() -> dict[str, Any]:
    return json.loads(FILE.read_text())


def rewrite() -> None:
    """Write the file anew."""
    found = {name_of(*case): found_now(*case) for case in ONE_TEXT} | {name: found_now_of(name) for name in STAND_INS}
    before = kept() if FILE.exists() else {}
    FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    changed = sorted(name for name in {*before, *found} if before.get(name) != found.get(name))
    sys.stdout.write("\n".join([f"{len(changed)} changed", *changed]) + "\n")


if __name__ == "__main__":
    from .isolation import clean_environment

    clean_environment()
    rewrite()
