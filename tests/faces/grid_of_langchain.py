"""Values of the keywords of LangChain's integrations."""

from __future__ import annotations

from typing import Any

import httpx
from google.auth.credentials import Credentials

from .grid import DOCUMENTS_CALL, QUERY_CALL, TEXTS_GIVEN, Case, client, decoding


class Token(Credentials):
    """Of Google's library, and never too old."""

    def __init__(self) -> None:
        super().__init__()
        self.token = "a-token"

    @property
    def valid(self) -> bool:
        """Always."""
        return True

    def refresh(self, _: Any) -> None:
        """Not needed."""


LARGE = "text-embedding-3-large"
"""Vectors that a server works out for it depend on the model's name and on the width."""
AWS = {"region_name": "us-east-1", "aws_access_key_id": "AKID", "aws_secret_access_key": "secret"}
OPENAI = {
    "model": [LARGE, "a-model"],
    "dimensions": [8, 256],
    "base_url": [],
    "openai_api_base": [],
    "api_key": ["sk-other"],
    "openai_api_key": ["sk-other"],
    "openai_proxy": ["{proxy}"],
    "organization": ["org"],
    "openai_organization": ["org"],
    "chunk_size": [1, 2],
    "max_retries": [0],
    "timeout": [5.0, httpx.Timeout(4, read=8)],
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
    "http_client": [client()],
    "http_async_client": [client(tasks=True)],
}
NEVER = {
    "check_embedding_ctx_length",  # see the rows for long texts
    "client",
    "async_client",
    "skip_empty",
    "show_progress_bar",
    "tiktoken_enabled",
}
CALLS = (
    {DOCUMENTS_CALL: {"dimensions": 3}, QUERY_CALL: {"dimensions": 3}},
    {DOCUMENTS_CALL: {"chunk_size": 1}},
    {DOCUMENTS_CALL: {"user": "u"}, QUERY_CALL: {"user": "u"}},
    {DOCUMENTS_CALL: {"model": LARGE}, QUERY_CALL: {"model": LARGE}},
    {DOCUMENTS_CALL: {"extra_headers": {"X-Team": "d"}, "extra_body": {"priority": 1}}},
    {"$OPENAI_PROXY": "{proxy}"},
    {"$HTTP_PROXY": "{proxy}", "$http_proxy": "{proxy}"},
    {"$OPENAI_ORG_ID": "o", "$OPENAI_ORGANIZATION": "p"},
    {"$OPENAI_ORGANIZATION": "p"},
    {"$OPENAI_API_KEY": "sk-environment"},
    {"$OPENAI_CUSTOM_HEADERS": "X-Team: e"},
    {"$OPENAI_BASE_URL": "http://127.0.0.1:9/v1"},
)
"""Keywords of a call, and what the environment says."""
WORDS = " ".join(f"word{number}" for number in range(3400))
LONG = [WORDS, "short", f"{WORDS} {WORDS}"]
"""The first and the last have more tokens than one request's text may have."""
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
        around=(*CALLS, {"api_key": None, "$OPENAI_API_KEY": "sk-environment"}, {"api_key": lambda: "sk-given"}),
    ),
    Case(
        "langchain_openai:OpenAIEmbeddings",
        {"model": "text-embedding-3-small", "api_key": "sk-x", "base_url": "{url}/v1"},
        {"chunk_size": [1, 2], "dimensions": [256], "model": ["text-embedding-ada-002", "a-model"]},
        theirs=lambda: {"http_client": decoding()},
        around=tuple(
            {TEXTS_GIVEN: LONG, **more}
            for more in (
                {},
                {"chunk_size": 1},
                {"dimensions": 256},
                {"embedding_ctx_length": 512},
                {"model": "a-model"},
            )
        ),
        about="long texts",
        flat=True,
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
        around=(
            *CALLS,
            {"api_key": None, "$AZURE_OPENAI_API_KEY": "azure-environment", "$OPENAI_API_KEY": "sk-environment"},
            {"api_key": None, "$OPENAI_API_KEY": "sk-environment"},
            {"$AZURE_OPENAI_AD_TOKEN": "token-environment"},
            {"azure_endpoint": None, "$AZURE_OPENAI_ENDPOINT": "{url}"},
        ),
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
            "client_kwargs": [
                {"headers": {"X-Team": "a"}},
                {"timeout": 5},
                {"timeout": httpx.Timeout(4, read=8)},
                {"trust_env": False},
                {"verify": False},
                {"proxy": "{proxy}"},
                {"auth": ("a", "b")},
                {"follow_redirects": False},
            ],
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
        around=(
            {"$HTTP_PROXY": "{proxy}", "$http_proxy": "{proxy}"},
            {"client_kwargs": {"trust_env": False}, "$HTTP_PROXY": "{proxy}", "$http_proxy": "{proxy}"},
            {"base_url": None, "$OLLAMA_HOST": "{url}"},
        ),
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
                {"prompts": {"query": "ask: ", "document": "text: "}},
                {"truncate_dim": 8},
                {"revision": "main"},
                {"backend": "torch"},
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
            "query_encode_kwargs": [
                {"prompt": "ask: "},
                {"prompt_name": "query"},
                {"prompt_name": "nowhere"},
                {"normalize_embeddings": True},
                {"batch_size": 2},
            ],
            "cache_folder": ["/nowhere"],
        },
        idle=frozenset({"multi_process", "show_progress"}),
        around=(
            {"model_name": "{prompted}", "encode_kwargs": {"prompt_name": "document"}},
            {
                "model_name": "{prompted}",
                "encode_kwargs": {"prompt_name": "document"},
                "query_encode_kwargs": {"prompt_name": "query"},
            },
            {"model_name": "{prompted}", "encode_kwargs": {"prompt": ""}},
            {"model_name": "{prompted}", "model_kwargs": {"default_prompt_name": "query"}},
            {"model_kwargs": {"truncate_dim": 8}, "encode_kwargs": {"normalize_embeddings": True}},
            {"encode_kwargs": {"normalize_embeddings": True}, "query_encode_kwargs": {"prompt": "ask: "}},
            {TEXTS_GIVEN: ["", "short"]},
            {TEXTS_GIVEN: ["long " * 100, "two\nlines"]},
        ),
    ),
    Case(
        "langchain_google_genai:GoogleGenerativeAIEmbeddings",
        {"model": "gemini-embedding-001", "google_api_key": "k", "base_url": "{url}", "transport": "rest"},
        {
            "model": ["models/gemini-embedding-001", "gemini-embedding-2", "a-model"],
            "task_type": ["semantic_similarity", "RETRIEVAL_QUERY", "task_type_unspecified"],
            "google_api_key": ["other"],
            "api_key": ["other"],
            "base_url": [],
            "client_options": [{"api_endpoint": "{url}"}],
            "request_options": [{"timeout": 10}],
            "transport": [],
            "vertexai": [False],
            "additional_headers": [{"X-Team": "a"}],
            "client_args": [{"verify": False}],
            "api_version": ["v1beta"],
            "output_dimensionality": [256, 3072],
        },
        idle=frozenset({"client", "async_client", "credentials", "project", "location"}),
        around=(
            {DOCUMENTS_CALL: {"task_type": "clustering"}, QUERY_CALL: {"task_type": "clustering"}},
            {DOCUMENTS_CALL: {"output_dimensionality": 256}, QUERY_CALL: {"output_dimensionality": 256}},
            {DOCUMENTS_CALL: {"batch_size": 1}},
            {DOCUMENTS_CALL: {"titles": ["A", "B", "C"]}},
            {DOCUMENTS_CALL: {"titles": ["A", "B", "C"], "batch_size": 1}},
            {DOCUMENTS_CALL: {"titles": ["A", "B", "C"], "batch_size": 2, "output_dimensionality": 256}},
            {TEXTS_GIVEN: ["title: A | text: one", "two"]},
            {"model": "gemini-embedding-2", DOCUMENTS_CALL: {"titles": ["A", "B", "C"]}},
            {QUERY_CALL: {"title": "A"}},
        ),
    ),
    Case(
        "langchain_google_genai:GoogleGenerativeAIEmbeddings",
        {
            "model": "gemini-embedding-001",
            "vertexai": True,
            "project": "p",
            "location": "us-central1",
            "credentials": Token(),
            "base_url": "{url}",
        },
        {
            "model": ["models/gemini-embedding-001", "gemini-embedding-2", "text-embedding-005"],
            "vertexai": [None],
            "task_type": ["semantic_similarity"],
            "google_api_key": ["k"],
            "project": ["another"],
            "location": [None, "us"],
            "additional_headers": [{"X-Team": "a"}],
            "api_version": ["v1"],
            "output_dimensionality": [256],
        },
        around=(
            {"vertexai": None, "$GOOGLE_GENAI_USE_VERTEXAI": "true"},
            {"vertexai": None, "$GOOGLE_GENAI_USE_VERTEXAI": "false", "google_api_key": "k", "credentials": None},
            {"project": None, "$GOOGLE_CLOUD_PROJECT": "q"},
            {"location": None, "$GOOGLE_CLOUD_LOCATION": "us-east1"},
            {"google_api_key": "k", "credentials": None, "project": None, "location": None},
            {DOCUMENTS_CALL: {"titles": ["A", "B", "C"]}},
            {DOCUMENTS_CALL: {"titles": ["A", "B", "C"], "batch_size": 1}},
        ),
        about="of Vertex AI",
        since="4",
    ),
    Case(
        "langchain_nvidia_ai_endpoints:NVIDIAEmbeddings",
        {"model": "nvidia/llama-nemotron-embed-1b-v2", "api_key": "k", "base_url": "{url}/nvidia/v1"},
        {
            "model": ["nvidia/nv-embedqa-e5-v5", "a-model"],
            "nvidia_api_key": ["other"],
            "api_key": ["other"],
            "base_url": [],
            "trucate": ["END", "START"],
            "truncate": ["NONE", "END", "START"],
            "dimensions": [512],
            "max_batch_size": [1, 2],
            "default_headers": [{"X-Team": "a"}],
        },
        idle=frozenset({"usage_telemetry_enabled"}),
        around=(
            {"base_url": None, "$NVIDIA_BASE_URL": "{url}/nvidia/v1"},
            {"base_url": None, "nvidia_base_url": "{url}/nvidia/v1"},
            {"api_key": None, "$NVIDIA_API_KEY": "environment"},
            {"nvidia_api_key": "first", "api_key": "second"},
            {"verify_ssl": False},
        ),
    ),
    Case(
        "langchain_community.embeddings:JinaEmbeddings",
        {"jina_api_key": "k", "model_name": "jina-embeddings-v2-base-en"},
        {
            "model_name": ["jina-embeddings-v3", "a-model"],
            "jina_api_key": ["other"],
            "session": [],
        },
        ours={"base_url": "{url}/jina/v1"},
        around=(
            {"jina_api_key": None, "$JINA_API_KEY": "environment"},
            {"jina_api_key": None, "jina_auth_token": "token"},
            {"jina_api_key": None, "$JINA_AUTH_TOKEN": "environment"},
        ),
    ),
]
