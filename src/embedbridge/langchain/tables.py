"""What the keywords of langchain-openai, -cohere, -ollama, -huggingface and -voyageai mean here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedbridge._core.routing import SAVED_NAMES
from embedbridge._core.types import InputType
from embedbridge._frameworks.originals import (
    CLIENT,
    FLOAT,
    LENGTH,
    NO_PREFIX,
    OLLAMA_CLIENT,
    SENT,
    SENTENCE_TRANSFORMER,
    SERVER_TRUNCATION,
    TEXT,
    Original,
    refuse,
    request_fields,
    under,
)
from embedbridge.errors import ConfigurationError

_OPENAI_RENAMED = {
    "openai_proxy": "provider_options.proxy",
    "model_name": "model",
    "base_url": "base_url",
    "openai_api_base": "base_url",
    "openai_api_key": "api_key",
    "organization": "provider_options.organization",
    "openai_organization": "provider_options.organization",
    "default_headers": "provider_options.default_headers",
    "default_query": "provider_options.query",
    "chunk_size": "batch_size",
    "max_retries": "max_retries",
    "timeout": "timeout",
    "request_timeout": "timeout",
    "show_progress_bar": "show_progress",
}
_OPENAI_CONVERTED = {
    # The original means over the pieces of a long text, unless it is told to look at no lengths.
    "check_embedding_ctx_length": refuse({True: {"too_long": "mean"}, False: {"too_long": "truncate"}}, LENGTH),
    "skip_empty": refuse({True: {"empty": "zero"}, False: {}}, "skip_empty is True or False"),
    "model_kwargs": request_fields,
}
_OPENAI_IDLE = {
    "embedding_ctx_length": LENGTH,
    "allowed_special": TEXT,
    "disallowed_special": TEXT,
    "tiktoken_enabled": TEXT,
    "tiktoken_model_name": TEXT,
    "headers": "the original does not send them either; use default_headers",
    "retry_min_seconds": "the original does not look at it either; pauses follow the server's Retry-After",
    "retry_max_seconds": "the original does not look at it either; pauses follow the server's Retry-After",
}
_OPENAI_REFUSED = {
    "client": CLIENT,
    "async_client": CLIENT,
    "http_client": CLIENT,
    "http_async_client": CLIENT,
}
_OPENAI_UNSET = {
    "embedding_ctx_length": 8191,
    "tiktoken_enabled": True,
    "retry_min_seconds": 4,
    "retry_max_seconds": 20,
    "deployment": "text-embedding-ada-002",
}

OPENAI = Original(
    "langchain-openai",
    "openai",
    model="text-embedding-ada-002",
    renamed=_OPENAI_RENAMED,
    converted=_OPENAI_CONVERTED,
    idle=_OPENAI_IDLE
    | {
        "deployment": "only Azure has deployments; AzureOpenAIEmbeddings takes them",
        "api_version": "only Azure asks for it; AzureOpenAIEmbeddings takes it",
        "openai_api_version": "only Azure asks for it; AzureOpenAIEmbeddings takes it",
    },
    refused=_OPENAI_REFUSED | {"openai_api_type": "for Azure take AzureOpenAIEmbeddings, else leave it out"},
    transferred=SENT,
    unset=_OPENAI_UNSET | {"openai_api_type": "openai"},
    defaults={"too_long": "mean"},
    environment={
        "base_url": ("OPENAI_API_BASE",),
        "provider_options.organization": ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION"),
        "provider_options.proxy": ("OPENAI_PROXY",),
    },
)


def _deployment_is_model(keywords: Mapping[str, Any]) -> Mapping[str, Any]:
    """The original's default model stands for whatever is deployed; here the deployment's own name does."""
    deployment = keywords.get("azure_deployment") or keywords.get("deployment")
    return ({"model": deployment} if deployment else {}) | dict(keywords)


AZURE = Original(
    "langchain-openai",
    "azure",
    model="text-embedding-ada-002",
    renamed=_OPENAI_RENAMED
    | {
        "azure_deployment": "provider_options.azure_deployment",
        "deployment": "provider_options.azure_deployment",
        "azure_endpoint": "provider_options.azure_endpoint",
        "api_version": "provider_options.api_version",
        "openai_api_version": "provider_options.api_version",
        "azure_ad_token": "provider_options.azure_ad_token",
        "azure_ad_token_provider": "provider_options.azure_ad_token_provider",
        "azure_ad_async_token_provider": "provider_options.azure_ad_token_provider",
    },
    converted=_OPENAI_CONVERTED,
    idle=_OPENAI_IDLE
    | {"validate_base_url": "addresses are always checked", "openai_api_type": "a key or a token says it all"},
    refused=_OPENAI_REFUSED,
    transferred=SENT,
    unset=_OPENAI_UNSET | {"validate_base_url": True, "openai_api_type": "azure"},
    defaults={"too_long": "mean", "provider_options.api_version": "2023-05-15"},
    implied=_deployment_is_model,
    environment={
        "provider_options.api_version": ("OPENAI_API_VERSION",),
        "provider_options.organization": ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION"),
        "provider_options.proxy": ("OPENAI_PROXY",),
    },
)

COHERE = Original(
    "langchain-cohere",
    "cohere",
    renamed={
        "cohere_api_key": "api_key",
        "max_retries": "max_retries",
        "timeout": "timeout",
        "request_timeout": "timeout",
    },
    converted={
        "truncate": SERVER_TRUNCATION,
        "embedding_types": lambda types: FLOAT(",".join(types)),
    },
    idle={"user_agent": "requests name the SDK that sends them"},
    refused={"client": CLIENT, "async_client": CLIENT},
    unset={"user_agent": "langchain:partner"},
)

_OLLAMA_PARAMETERS = (
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "num_gpu",
    "num_thread",
    "repeat_last_n",
    "repeat_penalty",
    "temperature",
    "stop",
    "tfs_z",
    "top_k",
    "top_p",
)
OLLAMA = Original(
    "langchain-ollama",
    "ollama",
    renamed={name: f"provider_options.options.{name}" for name in _OLLAMA_PARAMETERS}
    | {"num_ctx": "provider_options.num_ctx", "keep_alive": "provider_options.keep_alive"},
    converted=dict.fromkeys(("client_kwargs", "async_client_kwargs", "sync_client_kwargs"), OLLAMA_CLIENT),
    idle={
        "validate_model_on_init": "nothing is sent at construction; a model that is missing is named by the first call"
    },
    defaults=NO_PREFIX,
)


def _prompt(value: Mapping[str, Any], role: InputType) -> Mapping[str, Any]:
    """A role's `prompt` or `prompt_name`. None: the model's own."""
    name = value.get("prompt_name")
    if value.get("prompt") is not None:
        return {f"{role}_prefix": value["prompt"]}
    if name is None:
        return {}
    if name not in SAVED_NAMES[role]:
        raise ConfigurationError(
            f"prompt_name={name!r} is none of a {role}'s; write the prompt itself as {role}_prefix"
        )
    return {f"{role}_prefix": None}


_ENCODE = under(
    {
        "normalize_embeddings": "normalize",
        "batch_size": "batch_size",
        "device": "provider_options.device",
        "truncate_dim": "dimensions",
        "prompt": "prompt",
        "prompt_name": "prompt_name",
        "show_progress_bar": "show_progress",
    },
    "of encode's arguments normalize_embeddings, batch_size, device, truncate_dim, prompt, prompt_name and "
    "show_progress_bar can be had",
)


def _encode(value: Mapping[str, Any], *roles: InputType) -> Mapping[str, Any]:
    ignored = {
        "convert_to_numpy",
        "convert_to_tensor",
        *(("precision",) if value.get("precision") == "float32" else ()),
    }
    options = {name: part for name, part in _ENCODE(_without(value, ignored)).items() if not name.startswith("prompt")}
    for role in roles:
        options |= _prompt(value, role)
    return options


def _queries_like_documents(keywords: Mapping[str, Any]) -> Mapping[str, Any]:
    """The original encodes a query like a document, prompt included, unless it is told how to."""
    encoding = keywords.get("encode_kwargs")
    prompt = encoding.get("prompt") if isinstance(encoding, Mapping) else None
    if prompt is None or keywords.get("query_encode_kwargs"):
        return keywords
    return {**keywords, "query_encode_kwargs": {"prompt": prompt}}


def _without(value: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: part for name, part in value.items() if name not in names}


HUGGING_FACE = Original(
    "langchain-huggingface",
    "sentence-transformers",
    model="sentence-transformers/all-mpnet-base-v2",
    renamed={"model_name": "model", "show_progress": "show_progress"},
    converted={
        "model_kwargs": SENTENCE_TRANSFORMER,
        "encode_kwargs": lambda value: _encode(value, "document"),
        "query_encode_kwargs": lambda value: _encode(value, "query"),
    },
    idle={
        "multi_process": "the model runs in this process, on all of its cores, or on the device that model_kwargs names"
    },
    refused={"cache_folder": "models lie where the hub keeps them; say where by the variable HF_HUB_CACHE"},
    defaults=NO_PREFIX,
    implied=_queries_like_documents,
)

VOYAGE = Original(
    "langchain-voyageai",
    "voyage",
    renamed={"output_dimension": "dimensions", "show_progress_bar": "show_progress", "voyage_api_key": "api_key"},
    converted={"truncation": SERVER_TRUNCATION},
)
