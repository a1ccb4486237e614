"""The grid of arguments that goes to each original and to its stand-in, and where they may differ, with the reason.

`GRID` has values for each keyword of an original; a keyword of a newer original that is not there is told of by name.
"""

from __future__ import annotations

import importlib
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import embedbridge.langchain
import embedbridge.llama_index
from embedbridge import ConfigurationError

TEXTS = ["Ravens plan ahead.", "Rye needs cold winters.", "The Danube flows into the Black Sea."]
QUERY = "Who plans?"
UNREAD = {"encoding_format", "embedding_types"}
"""Fields that say only how numbers travel."""
HEADERS = {"openai-organization", "x-team", "authorization", "api-key"}
MIXES = 6
LARGE = "text-embedding-3-large"
"""Vectors that a server works out for it depend on the model's name and on the width."""


@dataclass(frozen=True)
class Case:
    """One original: where it is, how both are made, and values of its keywords."""

    original: str
    base: dict[str, Any]
    grid: dict[str, list[Any]]
    ours: dict[str, Any] = field(default_factory=dict)
    """What only ours is told, to be led to the server."""
    idle: frozenset[str] = frozenset()
    """Keywords that are not in the grid, because they concern neither requests nor vectors."""


OPENAI = {
    "model": [LARGE, "a-model"],
    "dimensions": [8, 256],
    "base_url": [],
    "openai_api_base": [],
    "api_key": ["sk-other"],
    "openai_api_key": ["sk-other"],
    "organization": ["org"],
    "openai_organization": ["org"],
    "chunk_size": [1, 2],
    "max_retries": [0],
    "timeout": [5.0],
    "request_timeout": [5.0, (5.0, 6.0)],
    "model_kwargs": [{"user": "u"}, {"extra_body": {"truncate": "END"}}, {"extra_headers": {"X-Team": "b"}}],
    "default_headers": [{"X-Team": "a"}],
    "default_query": [{"v": "1"}],
    "embedding_ctx_length": [512],
    "allowed_special": ["all"],
    "disallowed_special": ["all"],
    "tiktoken_model_name": [LARGE],
    "headers": [{"X-Team": "c"}],
    "retry_min_seconds": [1],
    "retry_max_seconds": [1],
    "deployment": ["mine"],
    "api_version": ["2024-02-01"],
    "openai_api_version": ["2024-02-01"],
    "openai_api_type": ["openai"],
    "http_client": [object()],
    "http_async_client": [object()],
}
NEVER = {
    "check_embedding_ctx_length",
    "client",
    "async_client",
    "skip_empty",
    "show_progress_bar",
    "openai_proxy",
    "tiktoken_enabled",
}
LLAMA = {"callback_manager", "num_workers", "reuse_client", "mode"}
AWS = {"region_name": "us-east-1", "aws_access_key_id": "AKID", "aws_secret_access_key": "secret"}
CASES = [
    Case(
        "langchain_openai:OpenAIEmbeddings",
        {
            "model": "text-embedding-3-small",
            "api_key": "sk-x",
            "base_url": "{url}/v1",
            "check_embedding_ctx_length": False,
        },
        OPENAI,
        idle=frozenset(NEVER),
    ),
    Case(
        "langchain_openai:AzureOpenAIEmbeddings",
        {
            "model": "text-embedding-3-small",
            "api_key": "sk-x",
            "azure_endpoint": "{url}",
            "check_embedding_ctx_length": False,
        },
        OPENAI
        | {
            "azure_endpoint": [],
            "azure_deployment": ["mine"],
            "azure_ad_token": ["token"],
            "azure_ad_token_provider": [lambda: "given"],
            "azure_ad_async_token_provider": [],
            "openai_api_type": ["azure"],
        },
        idle=frozenset({*NEVER, "validate_base_url"}),
    ),
    Case(
        "langchain_aws:BedrockEmbeddings",
        {"model_id": "amazon.titan-embed-text-v2:0", "endpoint_url": "{url}", **AWS},
        {
            "model_id": [
                "amazon.titan-embed-text-v1",
                "us.cohere.embed-v4:0",
                "amazon.nova-2-multimodal-embeddings-v1:0",
            ],
            "region_name": ["eu-west-1"],
            "credentials_profile_name": ["nobody"],
            "model_kwargs": [{"normalize": False}, {"dimensions": 256}],
            "provider": ["amazon", "cohere"],
            "endpoint_url": [],
            "normalize": [True],
            "dimensions": [256],
            "config": [object()],
        },
        idle=frozenset({"client", "aws_session_token"}),
    ),
    Case(
        "langchain_mistralai:MistralAIEmbeddings",
        {"api_key": "k", "endpoint": "{url}/mistral/v1/"},
        {
            "model": ["codestral-embed"],
            "api_key": ["other"],
            "mistral_api_key": ["other"],
            "endpoint": [],
            "max_retries": [1],
            "timeout": [5],
            "wait_time": [1],
            "max_concurrent_requests": [1],
        },
        idle=frozenset({"client", "async_client", "tokenizer"}),
    ),
    Case(
        "langchain_cohere:CohereEmbeddings",
        {"model": "embed-v4.0", "cohere_api_key": "k", "base_url": "{url}"},
        {
            "model": ["embed-english-v3.0"],
            "truncate": ["END", "NONE", "START"],
            "cohere_api_key": ["other"],
            "embedding_types": [["int8"]],
            "max_retries": [1],
            "request_timeout": [5.0],
            "user_agent": ["me"],
            "base_url": [],
        },
        idle=frozenset({"client", "async_client"}),
    ),
    Case(
        "langchain_ollama:OllamaEmbeddings",
        {"model": "a-model", "base_url": "{url}"},
        {
            "model": ["another"],
            "dimensions": [8],
            "base_url": [],
            "client_kwargs": [{"headers": {"X-Team": "a"}}, {"timeout": 5}, {"trust_env": False}, {"verify": False}],
            "async_client_kwargs": [{"headers": {"X-Team": "a"}}],
            "sync_client_kwargs": [{"headers": {"X-Team": "a"}}],
            "num_ctx": [512],
            "keep_alive": [60],
            "stop": [["x"]],
            **{name: [1] for name in ("mirostat", "num_gpu", "num_thread", "repeat_last_n", "top_k")},
            **{
                name: [0.5]
                for name in ("mirostat_eta", "mirostat_tau", "repeat_penalty", "temperature", "tfs_z", "top_p")
            },
        },
        idle=frozenset({"validate_model_on_init"}),
    ),
    Case(
        "langchain_voyageai:VoyageAIEmbeddings",
        {"model": "voyage-3.5", "api_key": "k", "base_url": "{url}/voyage/v1"},
        {
            "model": ["voyage-4", "voyage-context-3"],
            "batch_size": [1, 2],
            "output_dimension": [256],
            "truncation": [False],
            "api_key": ["other"],
            "voyage_api_key": ["other"],
            "base_url": [],
        },
        idle=frozenset({"show_progress_bar"}),
    ),
    Case(
        "langchain_huggingface:HuggingFaceEmbeddings",
        {"model_name": "{tiny}"},
        {
            "model": [],
            "model_name": ["{prompted}"],
            "model_kwargs": [
                {"device": "cpu"},
                {"prompts": {"a": "one: "}, "default_prompt_name": "a"},
                {"model_kwargs": {"torch_dtype": "float16"}},
                {"token": "t"},
            ],
            "encode_kwargs": [
                {"normalize_embeddings": True},
                {"normalize_embeddings": True, "truncate_dim": 8},
                {"truncate_dim": 8},
                {"batch_size": 1},
                {"prompt": "text: "},
                {"prompt_name": "query"},
                {"prompt_name": "nowhere"},
                {"precision": "ubinary"},
            ],
            "query_encode_kwargs": [{"prompt": "ask: "}, {"prompt_name": "query"}, {"normalize_embeddings": True}],
            "cache_folder": ["/nowhere"],
        },
        idle=frozenset({"multi_process", "show_progress"}),
    ),
    Case(
        "llama_index.embeddings.openai:OpenAIEmbedding",
        {"model": "text-embedding-3-small", "api_key": "sk-x", "api_base": "{url}/v1"},
        {
            "model": [LARGE, "davinci"],
            "embed_batch_size": [1, 2],
            "dimensions": [8],
            "additional_kwargs": [{"user": "u"}, {"extra_headers": {"X-Team": "b"}}],
            "api_key": ["sk-other"],
            "api_base": [],
            "api_version": ["2024-02-01"],
            "max_retries": [1],
            "timeout": [5.0],
            "default_headers": [{"X-Team": "a"}],
            "http_client": [object()],
            "async_http_client": [object()],
        },
        idle=frozenset(LLAMA),
    ),
    Case(
        "llama_index.embeddings.azure_openai:AzureOpenAIEmbedding",
        {
            "model": "text-embedding-3-small",
            "api_key": "sk-x",
            "azure_endpoint": "{url}",
            "api_version": "2024-10-21",
            "azure_deployment": "text-embedding-3-small",
        },
        {
            "model": [LARGE],
            "embed_batch_size": [1, 2],
            "dimensions": [8],
            "additional_kwargs": [{"user": "u"}],
            "api_key": ["sk-other"],
            "api_base": [],
            "api_version": ["2024-02-01"],
            "azure_endpoint": [],
            "azure_deployment": ["mine"],
            "deployment_name": [],
            "azure_ad_token_provider": [],
            "use_azure_ad": [],
            "max_retries": [1],
            "http_client": [object()],
            "async_http_client": [object()],
        },
        idle=frozenset(LLAMA),
    ),
    Case(
        "llama_index.embeddings.bedrock:BedrockEmbedding",
        {"model_name": "amazon.titan-embed-text-v2:0", **AWS},
        {
            "model_name": ["amazon.titan-embed-text-v1", "cohere.embed-english-v3"],
            "profile_name": ["nobody"],
            "region_name": ["eu-west-1"],
            "additional_kwargs": [{"dimensions": 256}, {"normalize": False}, {"dimensions": 512, "normalize": True}],
            "max_retries": [1],
            "timeout": [5.0],
            "application_inference_profile_arn": ["arn:aws:bedrock:us-east-1:1:application-inference-profile/a"],
            "botocore_session": [object()],
            "botocore_config": [object()],
            "system_prompt": ["be brief"],
        },
        idle=frozenset(
            {
                *LLAMA,
                *("aws_session_token", "client", "messages_to_prompt", "completion_to_prompt"),
                *("pydantic_program_mode", "output_parser"),
            }
        ),
    ),
    Case(
        "llama_index.embeddings.cohere:CohereEmbedding",
        {"model_name": "embed-v4.0", "api_key": "k", "base_url": "{url}"},
        {
            "cohere_api_key": ["other"],
            "api_key": ["other"],
            "model_name": ["embed-english-v3.0"],
            "truncate": ["END", "NONE", "START"],
            "input_type": ["search_query", "clustering"],
            "embedding_type": ["int8"],
            "embed_batch_size": [1, 2],
            "base_url": [],
            "timeout": [5.0],
            "max_retries": [1],
            "httpx_client": [object()],
            "httpx_async_client": [object()],
        },
        idle=frozenset(LLAMA),
    ),
    Case(
        "llama_index.embeddings.ollama:OllamaEmbedding",
        {"model_name": "a-model", "base_url": "{url}"},
        {
            "model_name": ["another"],
            "base_url": [],
            "embed_batch_size": [1, 2],
            "ollama_additional_kwargs": [{"num_gpu": 0}],
            "query_instruction": ["ask:", " ask: ", ""],
            "text_instruction": ["text:"],
            "client_kwargs": [{"headers": {"X-Team": "a"}}, {"verify": False}],
            "keep_alive": [60.0, 1.5, "5m"],
        },
        idle=frozenset(LLAMA),
    ),
    Case(
        "llama_index.embeddings.voyageai:VoyageEmbedding",
        {"model_name": "voyage-3.5", "voyage_api_key": "k"},
        {
            "model_name": ["voyage-4"],
            "voyage_api_key": ["other"],
            "embed_batch_size": [1, 2],
            "truncation": [False, True],
            "output_dtype": ["float", "int8"],
            "output_dimension": [256],
        },
        ours={"base_url": "{url}/voyage/v1"},
        idle=frozenset(LLAMA),
    ),
    Case(
        "llama_index.embeddings.huggingface:HuggingFaceEmbedding",
        {"model_name": "{tiny}"},
        {
            "model_name": ["{prompted}"],
            "max_length": [8],
            "query_instruction": ["ask: ", ""],
            "text_instruction": ["text: "],
            "normalize": [False],
            "embed_batch_size": [1],
            "cache_folder": ["/nowhere"],
            "device": ["cpu"],
            "trust_remote_code": [],
        },
        idle=frozenset(
            {
                *LLAMA,
                "tokenizer_name",
                "pooling",
                "model",
                "tokenizer",
                "parallel_process",
                "target_devices",
                "show_progress_bar",
            }
        ),
    ),
]

OTHER_CLIENT = "a client of the user's own, which the original takes: refused, because answers would not be bounded"
START = "the beginning of a long text would be cut off: refused, because no other API does it"
FLOAT32 = "vectors are of float32: refused"
DIFFERENT: dict[str, dict[str, str]] = {
    "OpenAIEmbeddings": {},
    "AzureOpenAIEmbeddings": {},
    "BedrockEmbeddings": {},
    "MistralAIEmbeddings": {},
    "BedrockEmbedding": {},
    "CohereEmbeddings": {"truncate='START'": START, "embedding_types": FLOAT32},
    "OllamaEmbeddings": {"async_client_kwargs": "one client's settings hold for both kinds of calls"},
    "VoyageAIEmbeddings": {
        "model='voyage-context-3'": "it embeds a document's chunks together, by another API: refused"
    },
    "HuggingFaceEmbeddings": {
        "model_kwargs={'token': 't'}": "a token is the variable HF_TOKEN: refused",
        "encode_kwargs={'precision': 'ubinary'}": FLOAT32,
        "encode_kwargs={'truncate_dim': 8}": "vectors that are cut have unit length here: refused without normalising",
        "query_encode_kwargs={'normalize_embeddings': True}": "normalising holds for both roles: refused",
        "cache_folder": "models lie where the hub keeps them: refused",
    },
    "OpenAIEmbedding": {"model='davinci'": "OpenAI has switched it off: refused", "async_http_client": OTHER_CLIENT},
    "AzureOpenAIEmbedding": {"async_http_client": OTHER_CLIENT},
    "CohereEmbedding": {
        "truncate='START'": START,
        "embedding_type": FLOAT32,
        "httpx_async_client": OTHER_CLIENT,
    },
    "OllamaEmbedding": {"keep_alive=1.5": "the same seconds are written as '1.5s'"},
    "VoyageEmbedding": {"output_dtype='int8'": FLOAT32},
    "HuggingFaceEmbedding": {
        "max_length": "texts are cut where the model's own limit is: refused",
        "cache_folder": "models lie where the hub keeps them: refused",
    },
}
"""Stand-in → a keyword, or one value of it, that is answered otherwise → why.

Besides, everywhere: texts are sent as text, where OpenAI's original sends token ids of a vocabulary that it downloads;
ours says in words what an API does by default (`truncate`), asks Ollama to refuse what it would cut, sets num_batch
with num_ctx, and asks Cohere by version 2 of its API.
"""


def kinds(case: Case) -> tuple[Any, Any]:
    """The original and ours. ImportError where the original is not installed."""
    module, _, name = case.original.partition(":")
    face = embedbridge.langchain if module.startswith("langchain") else embedbridge.llama_index
    return getattr(importlib.import_module(module), name), getattr(face, name)


def changes(case: Case, same: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Nothing, each value by itself, and mixes of those that are answered as by the original.

    Args:
        case: whose grid.
        same: a second name of a keyword → its first.
    """
    yield {}
    for keyword, values in case.grid.items():
        yield from ({keyword: value} for value in values)
    chance = random.Random(case.original)
    plain = [{keyword: value} for keyword, values in case.grid.items() for value in values]
    plain = [change for change in plain if not reason(case, change)]
    for _ in range(MIXES if len(plain) > 1 else 0):
        mixed = {
            same.get(key, key): (key, part)
            for one in chance.sample(plain, len(plain) // 2)
            for key, part in one.items()
        }
        yield dict(mixed.values())


def reason(case: Case, change: Mapping[str, Any]) -> str | None:
    """Why a change is answered otherwise; None where it is not listed."""
    listed = DIFFERENT[case.original.partition(":")[2]]
    names = [name for keyword, value in change.items() for name in (keyword, f"{keyword}={value!r}") if name in listed]
    return listed[names[0]] if names else None


def filled(value: Any, places: dict[str, str]) -> Any:
    """Places put where `{…}` stands."""
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace(f"{{{name}}}", place)
        return value
    return {key: filled(part, places) for key, part in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True)
class Answer:
    """What came of one combination."""

    error: str
    requests: list[Any]
    vectors: Any

    def told(self) -> str:
        """In a line."""
        return self.error or f"{self.requests} {np.shape(self.vectors)}"

    def equals(self, other: Answer) -> bool:
        """Requests and vectors; or both an error."""
        if self.error or other.error:
            return bool(self.error and other.error)
        alike = np.shape(self.vectors) == np.shape(other.vectors)
        return alike and self.requests == other.requests and np.allclose(self.vectors, other.vectors, atol=2e-5)


def answer(make: Callable[[], Any], server: Any) -> Answer:
    """Make an object, embed with it, and tell what was sent and what came."""
    server.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = make()
            documents = getattr(made, "embed_documents", None) or made.get_text_embedding_batch
            query = getattr(made, "embed_query", None) or made.get_query_embedding
            vectors = [*documents(TEXTS), query(QUERY)]
        except (ConfigurationError, Exception) as error:
            return Answer(f"{type(error).__name__}: {error}"[:160], [], None)
    return Answer("", sorted(map(told, server.requests), key=repr), np.array(vectors))


def told(one: Any) -> tuple[Any, ...]:
    """A request, without how numbers travel and what says nothing."""
    fields = {name: value for name, value in one.payload.items() if name not in UNREAD}
    text = fields.pop("input", None) or fields.pop("texts", None)
    fields["texts"] = [text] if isinstance(text, str) else text
    headers = {name.lower(): value for name, value in one.headers.items()}
    if one.dialect == "bedrock":  # a signature is of a moment; `NONE` is what it does by default
        del headers["authorization"]
        fields = {name: value for name, value in fields.items() if (name, value) != ("truncate", "NONE")}
    path = one.path.replace("/v1/embed", "/v2/embed") if one.path == "/v1/embed" else one.path
    return path, dict(one.query), said(fields), {name: headers[name] for name in sorted(HEADERS & set(headers))}


def said(value: Any) -> Any:
    """Fields that say more than an API does by default, in order."""
    if not isinstance(value, dict):
        return value
    found = {name: said(value[name]) for name in sorted(value) if name != "num_batch"}
    usual = {("truncate", "END"), ("truncate", False), ("truncation", True), ("output_dtype", "float")}
    return {
        name: part
        for name, part in found.items()
        if part not in (None, {}, []) and not (isinstance(part, str | bool) and (name, part) in usual)
    }
