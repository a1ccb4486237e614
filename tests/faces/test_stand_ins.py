"""Stand-ins take every keyword of the integrations they stand for, and say what becomes of it."""

from __future__ import annotations

import inspect
import json
import pickle
import warnings
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

import embedbridge.langchain
import embedbridge.llama_index
from embedbridge import ConfigurationError
from support.cases import each
from support.signatures import ORIGINALS, REQUIRED, signature

PINNED = json.loads((Path(__file__).with_name("signatures.json")).read_text())
NEEDED = {
    "CohereEmbeddings": {"model": "embed-v4.0"},
    "GoogleGenerativeAIEmbeddings": {"model": "gemini-embedding-001"},
    "GoogleGenAIEmbedding": {"model_name": "gemini-embedding-001"},
    "OllamaEmbeddings": {"model": "all-minilm"},
    "OllamaEmbedding": {"model_name": "all-minilm"},
    "VoyageAIEmbeddings": {"model": "voyage-3.5"},
    "VoyageEmbedding": {"model_name": "voyage-3.5"},
    "HuggingFaceEmbeddings": {"model": "all-MiniLM-L6-v2"},
    "HuggingFaceEmbedding": {"model_name": "all-MiniLM-L6-v2"},
}
"""What has to be given, or keeps a test from looking for a model that is not here."""
TITAN, NOVA = {"model_id": "amazon.titan-embed-text-v2:0"}, "amazon.nova-2-multimodal-embeddings-v1:0"
UNREAD = {"model"}
"""Keywords that are read by another name, where the original has `model_name`."""


def stand_in(original):
    module, _, name = original.partition(":")
    return getattr(embedbridge.llama_index if module.startswith("llama_index") else embedbridge.langchain, name)


USUAL = {
    "OpenAIEmbeddings": ("role_body",),
    "OpenAIEmbedding": ("role_body",),
    "HuggingFaceEmbeddings": ("prompt_names",),
}
"""Options of the provider that are there in any case."""


def _bare(part):
    if isinstance(part, dict):
        return {name: _bare(inner) for name, inner in part.items()}
    return part.get_secret_value() if hasattr(part, "get_secret_value") else part


def make(kind, **keywords):
    return kind(**{"cache": False} | NEEDED.get(kind.__name__, {}) | keywords)


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    keys = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "COHERE_API_KEY", "VOYAGE_API_KEY", "MISTRAL_API_KEY")
    for name in (*keys, "GOOGLE_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.setenv(name, "sk-test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")


@pytest.mark.parametrize(
    "original",
    [
        pytest.param(original, marks=pytest.mark.slow if "huggingface" in original else ())  # imports for seconds
        for original in ORIGINALS
    ],
)
def test_the_pinned_keywords_are_those_of_the_installed_package(original):
    pytest.importorskip(original.partition(":")[0], reason=f"needs {ORIGINALS[original]}")
    if Version(version(ORIGINALS[original])) < Version(PINNED[original]["version"]):
        pytest.skip(f"needs {ORIGINALS[original]} {PINNED[original]['version']} or later")
    assert signature(original) == PINNED[original]["keywords"]


KINDS = pytest.mark.parametrize("original", PINNED, ids=lambda name: name.partition(":")[2])


@KINDS
def test_a_constructor_has_the_originals_keywords_in_its_order_with_its_defaults(original):
    """S11: an editor and a type checker know what the original takes."""
    kind, keywords = stand_in(original), PINNED[original]["keywords"]
    ours = dict(list(inspect.signature(kind).parameters.items()))
    assert [name for name in ours if name in keywords] == list(keywords)
    placed = [name for name, part in ours.items() if part.kind is part.POSITIONAL_OR_KEYWORD]
    assert placed == (list(keywords) if original.startswith("llama_index") else [])
    usual = {name: REQUIRED if part.default is part.empty else part.default for name, part in ours.items()}
    usual |= {name: REQUIRED for name in ("client", "async_client") if keywords.get(name) == REQUIRED}  # it makes them
    faults = {name: usual[name] for name, default in keywords.items() if (usual[name] or None) != (default or None)}
    assert faults == {}


@KINDS
def test_a_keyword_at_its_originals_default_says_nothing(original):
    kind = stand_in(original)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = make(kind)
        for keyword, default in PINNED[original]["keywords"].items():
            if default != REQUIRED and keyword not in NEEDED.get(kind.__name__, {}):
                told = make(kind, **{keyword: default})
                assert told.embedder.space == plain.embedder.space, keyword
                assert told.model_fields_set == plain.model_fields_set, keyword


@KINDS
def test_attributes_read_what_was_given_or_the_originals_default(original):
    """S3, S5: `.model` was `openai:…`, and most others were missing."""
    kind, keywords = stand_in(original), PINNED[original]["keywords"]
    made = make(kind)
    names = {kind.synonyms.get(name, name): default for name, default in keywords.items() if name not in UNREAD}
    for name, default in names.items():
        needed = {kind.synonyms.get(name, name) for name in NEEDED.get(kind.__name__, {})}
        if default not in (None, REQUIRED, {}) and name not in needed:
            assert getattr(made, name) == default, name
    assert {name for name in names if not hasattr(made, name)} == set()


@each("kind", [stand_in(name) for name in ORIGINALS])
def test_an_unknown_keyword_is_an_error(kind):
    with pytest.raises(ConfigurationError, match="unknown option 'modle'"):
        make(kind, modle="x")


@each(
    ("name", "keywords", "expected"),
    [
        ("OpenAIEmbeddings", {}, {"model": "openai:text-embedding-ada-002", "too_long": "mean"}),
        ("OpenAIEmbeddings", {"model_name": "text-embedding-3-small"}, {"model": "openai:text-embedding-3-small"}),
        (
            "OpenAIEmbeddings",
            {"chunk_size": 64, "request_timeout": 5, "show_progress_bar": True},
            {"batch_size": 64, "timeout": 5.0, "show_progress": True},
        ),
        ("OpenAIEmbeddings", {"openai_api_base": "http://127.0.0.1:9/v1"}, {"base_url": "http://127.0.0.1:9/v1"}),
        ("OpenAIEmbeddings", {"check_embedding_ctx_length": False}, {"too_long": "truncate"}),
        ("OpenAIEmbeddings", {"skip_empty": True}, {"empty": "zero"}),
        (
            "OpenAIEmbeddings",
            {"model_kwargs": {"user": "u"}, "organization": "o"},
            {"provider_options": {"user": "u", "organization": "o"}},
        ),
        (
            "OpenAIEmbeddings",
            {"model_kwargs": {"extra_body": {"truncate": "END", "user": "u"}, "extra_query": {"a": "b"}}},
            {"provider_options": {"body": {"truncate": "END"}, "user": "u", "query": {"a": "b"}}},
        ),
        (
            "OpenAIEmbeddings",
            {"embedding_ctx_length": 512},
            {"too_long": "mean", "provider_options": {"text_tokens": 512}},
        ),
        ("OpenAIEmbeddings", {"model_kwargs": {"weird": 1}}, {"provider_options": {"body": {"weird": 1}}}),
        ("OpenAIEmbeddings", {"default_query": {"v": "1"}}, {"provider_options": {"query": {"v": "1"}}}),
        ("AzureOpenAIEmbeddings", {"azure_deployment": "mine"}, {"model": "azure:mine"}),
        ("CohereEmbeddings", {"truncate": "NONE"}, {"too_long": "error"}),
        (
            "OllamaEmbeddings",
            {"num_ctx": 256, "num_gpu": 0, "keep_alive": 60},
            {"provider_options": {"num_ctx": 256, "keep_alive": 60, "options": {"num_gpu": 0}}},
        ),
        (
            "OllamaEmbeddings",
            {"client_kwargs": {"headers": {"X-Team": "a"}, "timeout": 9}},
            {"provider_options": {"headers": {"X-Team": "a"}}, "timeout": 9.0},
        ),
        (
            "OllamaEmbeddings",
            {"client_kwargs": {"proxy": "http://proxy.test:3128", "http2": False}},
            {"provider_options": {"proxy": "http://proxy.test:3128", "http2": False}},
        ),
        (
            "OpenAIEmbeddings",
            {"openai_proxy": "http://proxy.test:3128"},
            {"provider_options": {"proxy": "http://proxy.test:3128"}},
        ),
        (
            "HuggingFaceEmbeddings",
            {"model_kwargs": {"device": "cpu", "model_kwargs": {"torch_dtype": "float16"}}},
            {"provider_options": {"device": "cpu", "dtype": "float16"}},
        ),
        (
            "HuggingFaceEmbeddings",
            {"encode_kwargs": {"normalize_embeddings": True, "batch_size": 8}},
            {"normalize": True, "batch_size": 8},
        ),
        (
            "HuggingFaceEmbeddings",
            {"encode_kwargs": {"prompt": "doc: "}},
            {"document_prefix": "doc: ", "query_prefix": "doc: "},
        ),
        (
            "HuggingFaceEmbeddings",
            {"encode_kwargs": {"prompt": "doc: "}, "query_encode_kwargs": {"prompt": "ask: "}},
            {"document_prefix": "doc: ", "query_prefix": "ask: "},
        ),
        (
            "HuggingFaceEmbeddings",
            {"query_encode_kwargs": {"prompt_name": "query"}},
            {"document_prefix": None, "query_prefix": None},
        ),
        ("BedrockEmbeddings", {}, {"model": "bedrock:amazon.titan-embed-text-v1", "too_long": "error"}),
        (
            "BedrockEmbeddings",
            {"model_id": "cohere.embed-v4:0", "model_kwargs": {"truncate": "RIGHT"}, "region_name": "eu-west-1"},
            {"too_long": "truncate", "provider_options": {"region": "eu-west-1"}},
        ),
        (
            "BedrockEmbeddings",
            {"aws_access_key_id": "a", "aws_secret_access_key": "s", "model_kwargs": {"dimensions": 256}, **TITAN},
            {"dimensions": 256, "provider_options": {"aws_access_key_id": "a", "aws_secret_access_key": "s"}},
        ),
        (
            "MistralAIEmbeddings",
            {"endpoint": "http://127.0.0.1:9/v1", "timeout": 9},
            {"model": "mistral:mistral-embed", "base_url": "http://127.0.0.1:9/v1", "timeout": 9.0, "max_retries": 5},
        ),
        (
            "BedrockEmbedding",
            {"application_inference_profile_arn": "arn:aws:bedrock:us-east-1:1:application-inference-profile/a"},
            {"provider_options": {"model_arn": "arn:aws:bedrock:us-east-1:1:application-inference-profile/a"}},
        ),
        (
            "BedrockEmbedding",
            {"model_name": TITAN["model_id"], "additional_kwargs": {"dimensions": 256, "normalize": False}},
            {"dimensions": 256, "too_long": "error", "provider_options": {"body": {"normalize": False}}},
        ),
        ("MistralAIEmbedding", {"embed_batch_size": 7}, {"batch_size": 7, "too_long": "error"}),
        (
            "VoyageAIEmbeddings",
            {"output_dimension": 256, "truncation": False},
            {"dimensions": 256, "too_long": "error"},
        ),
        (
            "GoogleGenerativeAIEmbeddings",
            {"model": "models/gemini-embedding-001", "output_dimensionality": 256, "task_type": "clustering"},
            {
                "model": "gemini:gemini-embedding-001",
                "dimensions": 256,
                "normalize": False,
                "provider_options": {
                    "task_types": dict.fromkeys(("query", "document", "classification", "clustering"), "CLUSTERING")
                },
            },
        ),
        (
            "GoogleGenerativeAIEmbeddings",
            {"client_options": {"api_endpoint": "gateway.example"}, "client_args": {"verify": True}},
            {"base_url": "https://gateway.example", "provider_options": {"verify": True}},
        ),
        (
            "GoogleGenerativeAIEmbeddings",
            {"project": "p", "location": "us"},
            {"model": "vertex:gemini-embedding-001", "provider_options": {"project": "p", "location": "us"}},
        ),
        (
            "GoogleGenAIEmbedding",
            {"embedding_config": {"outputDimensionality": 256}, "retries": 5, "http_options": {"timeout": 5000}},
            {"dimensions": 256, "max_retries": 4, "timeout": 5.0},
        ),
        (
            "GoogleGenAIEmbedding",
            {"vertexai_config": {"project": "p", "location": "us"}, "embedding_config": {"auto_truncate": False}},
            {"model": "vertex:gemini-embedding-001", "too_long": "error"},
        ),
        (
            "OpenAIEmbedding",
            {"api_base": "http://127.0.0.1:9/v1", "embed_batch_size": 7},
            {"base_url": "http://127.0.0.1:9/v1", "batch_size": 7},
        ),
        (
            "OpenAIEmbedding",
            {"additional_kwargs": {"dimensions": 256}, "model": "text-embedding-3-small"},
            {"dimensions": 256},
        ),
        (
            "OpenAIEmbedding",
            {"additional_kwargs": {"extra_body": {"truncate": "END"}, "timeout": 5}},
            {"provider_options": {"body": {"truncate": "END"}}, "timeout": 5.0},
        ),
        ("CohereEmbedding", {}, {"model": "cohere:embed-english-v3.0"}),
        ("CohereEmbedding", {"num_workers": 4}, {"concurrency": 4}),
        (
            "OllamaEmbedding",
            {"query_instruction": " ask:", "text_instruction": ""},
            {"query_prefix": "ask: ", "document_prefix": ""},
        ),
        ("HuggingFaceEmbedding", {}, {"normalize": True, "query_prefix": "", "document_prefix": ""}),
        ("VoyageEmbedding", {"output_dtype": "float", "truncation": True}, {"too_long": "truncate"}),
    ],
)
def test_a_keyword_means_what_it_means_in_the_original(name, keywords, expected):
    kind = getattr(embedbridge.langchain, name, None) or getattr(embedbridge.llama_index, name)
    made = make(kind, **keywords)
    options = made.embedder.options
    found = {option: getattr(options, option) for option in expected}
    if "provider_options" in found:
        found["provider_options"] = {name: part for name, part in options.provider_options.items() if part is not None}
        found["provider_options"] = {name: _bare(part) for name, part in found["provider_options"].items()}
        for usual in USUAL.get(name, ()):
            found["provider_options"].pop(usual, None)
    assert found == expected


@each(
    ("name", "keywords", "reason"),
    [
        (
            "OpenAIEmbeddings",
            {"http_client": object()},
            "http_client: requests go through a client of embedbridge's own",
        ),
        ("OpenAIEmbeddings", {"http_async_client": object()}, "provider_options={'verify': 'ca.pem', 'proxy'"),
        (
            "OllamaEmbeddings",
            {"client_kwargs": {"auth": print}},
            "client_kwargs: 'auth': write a tuple of name and password",
        ),
        ("OpenAIEmbeddings", {"default_query": {"v": [1]}}, "query: v is text or a number"),
        ("OpenAIEmbeddings", {"openai_api_type": "azure"}, "take AzureOpenAIEmbeddings"),
        (
            "OpenAIEmbeddings",
            {"model": "a", "model_name": "b"},
            "model_name sets model, which another keyword has set already",
        ),
        ("OpenAIEmbeddings", {"model_kwargs": {"input": "x"}}, "body: 'input' is not set here"),
        ("BedrockEmbeddings", {"config": object()}, "config: requests go through a client of embedbridge's own"),
        ("BedrockEmbeddings", {"provider": "cohere"}, "names no model of cohere"),
        ("BedrockEmbeddings", {"model_kwargs": {"truncate": "START"}}, "model_kwargs: truncate='START'"),
        ("BedrockEmbeddings", {"model_kwargs": {"inputText": "x"}}, "'inputText' is not set here"),
        ("BedrockEmbedding", {"botocore_session": object()}, "botocore_session: requests go through a client"),
        ("BedrockEmbedding", {"additional_kwargs": {"truncate": "END"}}, "the original does not send it"),
        ("MistralAIEmbeddings", {"client": object()}, "client: requests go through a client of embedbridge's own"),
        ("CohereEmbeddings", {"embedding_types": ["int8"]}, "float32"),
        ("CohereEmbeddings", {"model": None}, "name a model"),
        ("HuggingFaceEmbeddings", {"cache_folder": "models"}, "HF_HUB_CACHE"),
        (
            "HuggingFaceEmbeddings",
            {"encode_kwargs": {"output_value": "token_embeddings"}},
            "'output_value': of encode's arguments",
        ),
        ("HuggingFaceEmbeddings", {"model_kwargs": {"trust_remote_code": True}}, "pin it with"),
        ("CohereEmbedding", {"input_type": "image"}, "input_type"),
        ("CohereEmbedding", {"truncate": "START"}, "cut at its end or not at all"),
        ("HuggingFaceEmbedding", {"max_length": 64}, "the model's own limit"),
        ("VoyageEmbedding", {"output_dtype": "int8"}, "float32"),
        ("GoogleGenerativeAIEmbeddings", {"credentials": "theirs", "vertexai": False}, "is asked with a key"),
        ("GoogleGenerativeAIEmbeddings", {"request_options": {"retry": 1}}, "only timeout is accepted"),
        ("GoogleGenAIEmbedding", {"embedding_config": {"mime_type": "image/png"}}, "mime_type is not accepted"),
    ],
)
def test_what_has_no_meaning_here_is_refused_with_the_reason(name, keywords, reason):
    kind = getattr(embedbridge.langchain, name, None) or getattr(embedbridge.llama_index, name)
    with pytest.raises(ConfigurationError) as caught:
        make(kind, **keywords)
    assert reason in str(caught.value)


def test_a_keyword_without_effect_is_warned_of_with_the_reason():
    with pytest.warns(
        UserWarning, match=r"tiktoken_model_name of langchain-openai has no effect here: text is sent"
    ) as caught:
        make(embedbridge.langchain.OpenAIEmbeddings, tiktoken_model_name="cl100k_base")
    assert caught[0].filename.endswith("test_stand_ins.py")


def test_arguments_by_place_are_those_of_the_original():
    assert embedbridge.llama_index.OllamaEmbedding("all-minilm", "http://127.0.0.1:9").base_url == "http://127.0.0.1:9"
    with pytest.raises(TypeError, match="positional"):
        embedbridge.langchain.CohereEmbeddings("embed-v4.0")


def test_no_prefix_is_sent_that_the_original_does_not_send_and_that_is_said_once():
    with pytest.warns(
        UserWarning, match="was trained with query_prefix='search_query: ' and document_prefix='search_docu"
    ):
        like_original = embedbridge.langchain.OllamaEmbeddings(model="nomic-embed-text")
    assert like_original.embedder.route("query").prefix == like_original.embedder.route("document").prefix == ""
    for_new_index = embedbridge.langchain.OllamaEmbeddings(
        model="nomic-embed-text", query_prefix=None, document_prefix=None
    )
    assert for_new_index.embedder.route("query").prefix == "search_query: "


def test_the_instruction_that_llama_index_sends_for_bge_is_kept():
    with pytest.warns(UserWarning, match="Represent this sentence for searching relevant passages"):
        made = embedbridge.llama_index.HuggingFaceEmbedding(model_name="BAAI/bge-small-en-v1.5")
    assert made.embedder.options.query_prefix == "Represent this question for searching relevant passages: "
    assert made.embedder.options.document_prefix == ""
    with pytest.warns(UserWarning, match="Represent this sentence for searching relevant passages"):
        again = embedbridge.llama_index.HuggingFaceEmbedding("BAAI/bge-small-en-v1.5", query_instruction="")
    assert again.embedder.options.query_prefix == made.embedder.options.query_prefix  # S9


def test_an_address_in_the_variable_that_only_the_originals_read_is_obeyed(monkeypatch):
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/v1")
    for made in (embedbridge.langchain.OpenAIEmbeddings(), embedbridge.langchain.OpenAIEmbeddings(base_url=None)):
        assert made.openai_api_base == made.embedder.options.base_url == "http://127.0.0.1:9/v1"
    made = embedbridge.llama_index.OpenAIEmbedding()
    assert made.api_base == made.embedder.options.base_url == "http://127.0.0.1:9/v1"


def test_copies_and_dumps_are_not_translated_a_second_time():
    made = embedbridge.langchain.OllamaEmbeddings(model="all-minilm", keep_alive=60, query_prefix=None)
    assert made.model_copy().model == made.model == "all-minilm"
    again = embedbridge.langchain.OllamaEmbeddings(**made.model_dump())
    assert again.embedder.space == made.embedder.space
    assert again.keep_alive == 60
    indexed = embedbridge.llama_index.OllamaEmbedding("all-minilm", query_prefix=None)
    assert embedbridge.llama_index.OllamaEmbedding.from_dict(indexed.to_dict()).embedder.options.query_prefix is None


def test_nova_is_asked_without_roles_as_by_the_original_unless_one_says_otherwise(server):
    """An index made with langchain-aws stays searchable; a new one can have the roles."""
    options = {"model_id": NOVA, "endpoint_url": server.url, "cache": False}
    kind = embedbridge.langchain.BedrockEmbeddings
    with pytest.warns(UserWarning, match="embeddingPurpose, and langchain-aws sends GENERIC_INDEX for both"):
        as_theirs = kind(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right = kind(**options, provider_options={"role_body": None})
    for made in (as_theirs, right):
        made.embed_query("q")
        made.embedder.close()
    assert [request.input_type for request in server.requests] == ["GENERIC_INDEX", "TEXT_RETRIEVAL"]


@pytest.mark.parametrize("face", [embedbridge.langchain.BedrockEmbeddings, embedbridge.llama_index.BedrockEmbedding])
def test_keys_of_aws_are_shown_and_stored_nowhere(face):
    keys = {"aws_access_key_id": "AKID-x", "aws_secret_access_key": "hidden-x"}
    made = face(**keys, region_name="us-east-1", cache=False)
    told = f"{made!r} {made.model_dump()} {made.model_dump_json()} {pickle.dumps(made)!r} {made.embedder!r}"
    told += str(made.to_dict()) if hasattr(made, "to_dict") else ""
    assert "hidden-x" not in told
    assert "AKID-x" not in told
