"""What really goes over the wire for each role: one prefix, the right one, once."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from embedbridge import ConfigurationError, Embedder
from embedbridge._core.types import Route
from embedbridge.langchain import BridgeEmbeddings

from .parts import variant

pytestmark = pytest.mark.one_flow

BGE = "Represent this sentence for searching relevant passages: "
BGE_ZH = "为这个句子生成表示以用于检索相关文章\uff1a"
ROLES = ("query", "document", "classification", "clustering")


def over_openai(server, model, **options):
    """A server of someone's own that speaks OpenAI's wire."""
    options = {"base_url": f"{server.url}/v1", "api_key": "k", "cache": False} | options
    return Embedder(f"openai:{model}", **options)


def over_ollama(server, model, **options):
    return Embedder(f"ollama:{model}", base_url=server.url, cache=False, **options)


def over_voyage(server, model="voyage-4", **options):
    return Embedder(f"voyage:{model}", base_url=f"{server.url}/voyage/v1", api_key="k", cache=False, **options)


def over_cohere(server, model="embed-v4.0", **options):
    return Embedder(f"cohere:{model}", base_url=server.url, api_key="k", cache=False, **options)


def sent(server, caller, embedder, text="text", roles=ROLES):
    """What the server was handed for one text in each role."""
    server.reset()
    server.width = embedder.describe().dimensions
    for role in roles:
        caller.embed(embedder, [text], input_type=role)
    return [request.items[0] for request in server.requests if request.items]


class TestBGE:
    @pytest.mark.parametrize("model", ["BAAI/bge-small-en-v1.5", "bge-base-en-v1.5", "BAAI/bge-large-en"])
    def test_english_models_get_the_instruction_before_queries_alone(self, server, caller, model):
        assert sent(server, caller, over_openai(server, model)) == [f"{BGE}text", "text", "text", "text"]

    def test_so_do_they_from_ollama(self, server, caller):
        assert sent(server, caller, over_ollama(server, "bge-large")) == [f"{BGE}text", "text", "text", "text"]

    @pytest.mark.parametrize("model", ["BAAI/bge-small-zh-v1.5", "bge-large-zh-v1.5"])
    def test_chinese_models_get_it_in_chinese_without_a_space(self, server, caller, model):
        assert sent(server, caller, over_openai(server, model)) == [f"{BGE_ZH}text", "text", "text", "text"]

    def test_bge_m3_gets_none(self, server, caller):
        assert sent(server, caller, over_openai(server, "BAAI/bge-m3")) == ["text"] * 4
        assert sent(server, caller, over_ollama(server, "bge-m3")) == ["text"] * 4


@pytest.mark.parametrize(
    ("model", "prefixes"),
    [
        ("nomic-embed-text", ["search_query: ", "search_document: ", "classification: ", "clustering: "]),
        (
            "embeddinggemma",
            [
                "task: search result | query: ",
                "title: none | text: ",
                "task: classification | query: ",
                "task: clustering | query: ",
            ],
        ),
        ("all-minilm", ["", "", "", ""]),
    ],
)
def test_each_role_gets_its_own_prefix_where_the_model_has_one(server, caller, model, prefixes):
    assert sent(server, caller, over_ollama(server, model)) == [f"{prefix}text" for prefix in prefixes]


class TestAnOption:
    def test_stands_above_the_catalogue(self, server, caller):
        embedder = over_ollama(server, "nomic-embed-text", query_prefix="Q>", document_prefix="D>")
        assert sent(server, caller, embedder, roles=ROLES[:2]) == ["Q>text", "D>text"]

    def test_turns_one_prefix_off_and_leaves_the_other(self, server, caller):
        embedder = over_ollama(server, "nomic-embed-text", query_prefix="")
        assert sent(server, caller, embedder, roles=ROLES[:2]) == ["text", "search_document: text"]

    def test_gives_a_prefix_to_a_model_that_nobody_knows(self, server, caller):
        embedder = over_openai(server, "my-own", query_prefix="Frage: ")
        assert sent(server, caller, embedder, roles=ROLES[:2]) == ["Frage: text", "text"]

    @pytest.mark.parametrize("prefix", ["query_prefix", "document_prefix"])
    def test_that_no_wire_can_carry_is_refused(self, prefix):
        with pytest.raises(ConfigurationError, match=f"{prefix}.*lone surrogate"):
            Embedder("fake:8", cache=False, **{prefix: "\ud800"})


class TestATextThatHasItsPrefix:
    def test_is_noticed_once_a_role_and_keeps_it_once(self, server, caller):
        embedder = over_ollama(server, "nomic-embed-text")
        with pytest.warns(UserWarning, match=r"text 1 already begins with the query prefix 'search_query: '"):
            caller.embed(embedder, ["a", "search_query: b"], input_type="query")
        with pytest.warns(UserWarning, match=r"text 0 already begins with the document prefix"):
            caller.embed(embedder, ["search_document: c"])
        caller.embed(embedder, ["search_query: d"], input_type="query")  # any warning would be an error
        assert server.requests.items == [
            ["search_query: a", "search_query: b"],
            ["search_document: c"],
            ["search_query: d"],
        ]

    @pytest.mark.filterwarnings("ignore:text . already begins")
    def test_is_the_same_text_as_without(self, server, caller):
        result = caller.embed(over_ollama(server, "nomic-embed-text"), ["a", "search_document: a"])
        assert result.report.unique == 1
        np.testing.assert_array_equal(*result.vectors)

    def test_of_another_role_is_text_like_any_other(self, server, caller):
        embedder = over_ollama(server, "nomic-embed-text")
        caller.embed(embedder, ["search_query: a"])
        assert server.requests.items == [["search_document: search_query: a"]]

    def test_is_left_alone_by_models_without_one(self, server, caller):
        assert sent(server, caller, over_ollama(server, "all-minilm"), "search_query: a") == ["search_query: a"] * 4


class TestAPIsWithAnInputType:
    def test_are_told_the_role_and_never_sent_a_prefix(self, server, caller):
        for embedder, types in (
            (over_voyage(server), ["query", "document", "", ""]),
            (over_cohere(server), ["search_query", "search_document", "classification", "clustering"]),
        ):
            assert sent(server, caller, embedder) == ["text"] * 4
            assert [request.input_type for request in server.requests] == types

    def test_refuse_a_prefix_that_would_say_it_twice(self, server):
        for over in (over_voyage, over_cohere):
            for option in ("query_prefix", "document_prefix"):
                with pytest.raises(ConfigurationError, match=f"leave {option} out"):
                    over(server, **{option: "query: "})


LAW = {"task": "Find the law that applies"}


class TestATask:
    @pytest.mark.parametrize(
        ("model", "prefix"),
        [
            ("Qwen/Qwen3-Embedding-0.6B", "Instruct: Find the law that applies\nQuery:"),
            ("intfloat/multilingual-e5-large-instruct", "Instruct: Find the law that applies\nQuery: "),
            ("Alibaba-NLP/gte-Qwen2-7B-instruct", "Instruct: Find the law that applies\nQuery: "),
            ("NovaSearch/stella_en_1.5B_v5", "Instruct: Find the law that applies\nQuery: "),
            ("BAAI/bge-multilingual-gemma2", "<instruct>Find the law that applies\n<query>"),
        ],
    )
    def test_becomes_the_models_own_instruction_before_queries_and_never_before_documents(
        self, server, caller, model, prefix
    ):
        embedder = over_openai(server, model, provider_options=LAW)
        assert sent(server, caller, embedder) == [f"{prefix}text", "text", f"{prefix}text", f"{prefix}text"]

    def test_left_out_is_the_makers_own(self, server, caller):
        (query,) = sent(server, caller, over_ollama(server, "qwen3-embedding"), roles=["query"])
        assert query.startswith("Instruct: Given a web search query, retrieve")
        assert query.endswith("\nQuery:text")

    @pytest.mark.parametrize(
        ("model", "options", "said"),
        [
            ("ollama:nomic-embed-text", LAW, "takes no task"),
            ("voyage:voyage-4", LAW, "takes no task"),
            ("ollama:somebody/else", LAW, "is not in the catalogue.*query_prefix"),
            ("fake:8", LAW, "is not in the catalogue"),
            ("ollama:qwen3-embedding", {"task": ""}, "instruction in words"),
            ("ollama:qwen3-embedding", {"task": 3}, "instruction in words"),
            ("ollama:qwen3-embedding", {"task": "\ud800"}, "instruction in words"),
        ],
    )
    def test_is_refused_where_nobody_can_use_it(self, model, options, said):
        with pytest.raises(ConfigurationError, match=said):
            Embedder(model, api_key=None if model == "fake:8" else "k", cache=False, provider_options=options)

    def test_stands_above_the_prompt_that_is_saved_with_the_model_and_leaves_that_of_documents(
        self, minilm_path, tmp_path
    ):
        saved = {"query": "task: search result | query: ", "document": "title: none | text: "}
        path = variant(minilm_path, tmp_path / "embeddinggemma-300m", prompts=saved)
        embedder = Embedder(f"local:{path}", cache=False, provider_options={"task": "code retrieval"})
        assert embedder.route("query").prefix == "task: code retrieval | query: "
        assert embedder.route("document") == Route("document", "title: none | text: ", None, "model")

    def test_and_a_query_prefix_contradict_each_other(self):
        with pytest.raises(ConfigurationError, match="leave one of them out"):
            Embedder("ollama:qwen3-embedding", cache=False, query_prefix="q: ", provider_options=LAW)

    def test_none_is_no_task(self):
        assert Embedder("fake:8", cache=False, provider_options={"task": None}).route("query").prefix == ""

    def test_makes_another_space(self):
        plain, law = (Embedder("ollama:qwen3-embedding", cache=False, provider_options=own) for own in ({}, LAW))
        assert plain.space.fingerprint != law.space.fingerprint


class TestAnObjectOfAFramework:
    def test_is_asked_by_its_own_methods_and_may_be_given_prefixes(self, caller, caplog):
        theirs = Theirs()
        plain = BridgeEmbeddings.wrap(theirs, name="theirs", cache=False).embedder
        prefixed = BridgeEmbeddings.wrap(theirs, name="theirs", cache=False, query_prefix="Q>").embedder
        for embedder in (plain, prefixed):
            caller.embed_query(embedder, "text")
            caller.embed_documents(embedder, ["text"])
        assert theirs.seen == ["query text", "document text", "query Q>text", "document text"]
        assert "catalogue" not in caplog.text


class Theirs(Embeddings):
    def __init__(self):
        self.seen = []

    def embed_query(self, text):
        self.seen.append(f"query {text}")
        return [1.0, 0.0]

    def embed_documents(self, texts):
        self.seen.extend(f"document {text}" for text in texts)
        return [[0.0, 1.0]] * len(texts)


class TestAModelThatNobodyKnows:
    def test_works_without_a_prefix_and_says_so_once(self, server, caller, caplog):
        embedder = over_openai(server, "intfloat/e5-small-v2-finetuned")
        assert sent(server, caller, embedder) == ["text"] * 4
        (record,) = [record for record in caplog.records if "catalogue" in record.message]
        assert (record.name, record.levelno) == ("embedbridge", logging.WARNING)
        assert "intfloat/e5-small-v2-finetuned is not in the catalogue" in record.message
        assert "query_prefix" in record.message

    def test_is_one_too_whose_row_has_no_prefixes(self, server, caller, caplog):
        server.width = 2560
        assert sent(server, caller, over_openai(server, "zeroentropy/zembed-1")) == ["text"] * 4
        assert caplog.text.count("zeroentropy/zembed-1 is in the catalogue without prefixes and brings no prompts") == 1

    def test_is_never_an_error_where_warnings_are(self, server, caller):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            caller.embed(over_ollama(server, "somebody/else"), ["text"])

    @pytest.mark.parametrize("option", ["query_prefix", "document_prefix"])
    def test_is_not_mentioned_to_those_who_have_said_what_it_wants(self, server, caller, caplog, option):
        sent(server, caller, over_ollama(server, "somebody/else", **{option: ""}))
        assert "catalogue" not in caplog.text

    def test_is_not_mentioned_where_roles_go_another_way(self, server, caller, caplog):
        sent(server, caller, over_voyage(server, "voyage-9"))
        sent(server, caller, over_cohere(server, "embed-v9"))
        sent(server, caller, Embedder("fake:8", cache=False))
        assert "catalogue" not in caplog.text
