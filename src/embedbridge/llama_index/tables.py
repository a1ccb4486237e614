"""What the keywords of LlamaIndex's integrations of openai, cohere, ollama, huggingface and voyageai mean here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedbridge._frameworks.originals import (
    CLIENT,
    FLOAT,
    NO_PREFIX,
    OLLAMA_CLIENT,
    SENT,
    SENTENCE_TRANSFORMER,
    SERVER_TRUNCATION,
    Original,
    refuse,
    request_fields,
)
from embedbridge._threads.telling import warn

EVENT = 1_000_000
"""Texts that one event tells of, unless the user says otherwise."""


def _batch(size: Any) -> Mapping[str, Any]:
    """Texts of a request, and of an event, as in the originals; our own default is no limit for requests."""
    return {"embed_batch_size": size} | ({} if size == EVENT else {"batch_size": size})


_SHARED = {"embed_batch_size": _batch}

OPENAI = Original(
    "llama-index-embeddings-openai",
    "openai",
    model="text-embedding-ada-002",
    positional=("mode", "model"),
    renamed={
        "model_name": "model",
        "base_url": "base_url",
        "api_base": "base_url",
        "default_headers": "provider_options.default_headers",
        "max_retries": "max_retries",
        "timeout": "timeout",
    },
    converted=_SHARED | {"additional_kwargs": request_fields},
    idle={
        "mode": "today's models have one mode",
        "api_version": "only Azure asks for it",
        "reuse_client": "connections are kept as long as the embedder",
    },
    refused={"http_client": CLIENT, "async_http_client": CLIENT}
    | {name: f"the original does not send it; write additional_kwargs={{{name!r}: …}}" for name in sorted(SENT)},
    unset={"mode": "text_search", "reuse_client": True},
    environment={"base_url": ("OPENAI_API_BASE",)},
)

_ROLE = refuse(
    {"search_document": {}, "search_query": {}},
    "each method sends its own input_type; others by Embedder.embed(texts, input_type='clustering')",
)


def _cohere_role(value: Any) -> Mapping[str, Any]:
    """The original sends this one with queries and documents alike."""
    options = _ROLE(value)
    warn(
        f"input_type={value!r} has no effect here: llama-index-embeddings-cohere sends it with queries and documents "
        "alike, its stand-in sends search_query with queries and search_document with documents. For one role alone "
        "call Embedder.embed(texts, input_type='query' or 'document')",
        stacklevel=5,
    )
    return options


COHERE = Original(
    "llama-index-embeddings-cohere",
    "cohere",
    model="embed-english-v3.0",
    positional=("cohere_api_key", "api_key", "model_name"),
    renamed={
        "model_name": "model",
        "cohere_api_key": "api_key",
        "max_retries": "max_retries",
        "timeout": "timeout",
    },
    converted=_SHARED
    | {
        "truncate": SERVER_TRUNCATION,
        "embedding_type": FLOAT,
        "input_type": _cohere_role,
    },
    refused={"httpx_client": CLIENT, "httpx_async_client": CLIENT},
)


def _address(url: str) -> Mapping[str, Any]:
    """The original's default names this machine in another way than ours does."""
    return {"base_url": "http://127.0.0.1:11434" if url == "http://localhost:11434" else url}


def _instruction(name: str) -> Any:
    """Ollama's original sets an instruction apart by one blank."""
    return lambda value: {name: f"{value.strip()} " if value.strip() else ""}


OLLAMA = Original(
    "llama-index-embeddings-ollama",
    "ollama",
    positional=("model_name", "base_url"),
    renamed={
        "model_name": "model",
        "ollama_additional_kwargs": "provider_options.options",
        "keep_alive": "provider_options.keep_alive",
    },
    converted=_SHARED
    | {
        "base_url": _address,
        "client_kwargs": OLLAMA_CLIENT,
        "query_instruction": _instruction("query_prefix"),
        "text_instruction": _instruction("document_prefix"),
    },
    defaults=NO_PREFIX,
)

_BGE = {f"BAAI/bge-{size}-{kind}" for size in ("small", "base", "large") for kind in ("en", "en-v1.5", "zh", "zh-v1.5")}
_INSTRUCTOR = {f"{owner}/instructor-{size}" for owner in ("hkunlp", "hku-nlp") for size in ("base", "large", "xl")}


def _instructions(model: str) -> Mapping[str, Any]:
    """What the original puts before a text by itself. For BGE its words are not those of the model's makers."""
    if model in _INSTRUCTOR:
        query, document = (
            "Represent the question for retrieving supporting documents: ",
            "Represent the document for retrieval: ",
        )
    elif model in _BGE:
        query, document = "Represent this question for searching relevant passages: ", ""
        if "zh" in model:
            query = "为这个句子生成表示以用于检索相关文章："  # noqa: RUF001 - as it is sent
    else:
        query = document = ""
    return {"query_prefix": query, "document_prefix": document}


_GONE = dict.fromkeys(("tokenizer_name", "pooling", "tokenizer"), "the original does not take it any more either")
HUGGING_FACE = Original(
    "llama-index-embeddings-huggingface",
    "sentence-transformers",
    model="BAAI/bge-small-en",
    positional=("model_name",),
    renamed={
        "model_name": "model",
        "query_instruction": "query_prefix",
        "text_instruction": "document_prefix",
        "device": "provider_options.device",
        "trust_remote_code": "provider_options.trust_remote_code",
        "backend": "provider_options.backend",
        "revision": "provider_options.revision",
        "truncate_dim": "dimensions",
        "show_progress_bar": "show_progress",
    },
    converted=_SHARED
    | {
        "model": lambda value: {} if value == "deprecated" else {"model": value},
        "model_kwargs": lambda value: SENTENCE_TRANSFORMER({"model_kwargs": value}),
    },
    idle={
        "parallel_process": "the model runs in this process, on all of its cores or on its device",
        "target_devices": "the model runs on one device; name it as device",
    },
    refused=_GONE
    | {
        "max_length": "texts are cut where the model's own limit is",
        "cache_folder": "models lie where the hub keeps them; say where by the variable HF_HUB_CACHE",
    },
    unset=dict.fromkeys(_GONE, "deprecated"),
    defaults={"normalize": True},
    by_model=_instructions,
)

VOYAGE = Original(
    "llama-index-embeddings-voyageai",
    "voyage",
    positional=("model_name", "voyage_api_key"),
    renamed={"model_name": "model", "voyage_api_key": "api_key", "output_dimension": "dimensions"},
    converted=_SHARED | {"truncation": SERVER_TRUNCATION, "output_dtype": FLOAT},
)
