"""Prefixes of the most used models, character by character. Typed from the models' cards, not from the TOML files."""

import pytest

from embedbridge.catalogue import look_up
from support.cases import each

ST, OLLAMA = "sentence-transformers", "ollama"
BGE = "Represent this sentence for searching relevant passages: "
BGE_ZH = (
    "\u4e3a\u8fd9\u4e2a\u53e5\u5b50\u751f\u6210\u8868\u793a\u4ee5\u7528\u4e8e\u68c0\u7d22\u76f8\u5173\u6587\u7ae0\uff1a"
)
WEB = "Given a web search query, retrieve relevant passages that answer the query"
GEMMA = ("task: search result | query: ", "title: none | text: ")
QWEN3 = f"Instruct: {WEB}\nQuery:"

PINNED = [
    ("openai", "text-embedding-3-small", "", ""),
    ("openai", "text-embedding-3-large", "", ""),
    ("openai", "text-embedding-ada-002", "", ""),
    ("voyage", "voyage-4", "", ""),
    ("cohere", "embed-v4.0", "", ""),
    (ST, "sentence-transformers/all-MiniLM-L6-v2", "", ""),
    (ST, "sentence-transformers/all-MiniLM-L12-v2", "", ""),
    (ST, "sentence-transformers/all-mpnet-base-v2", "", ""),
    (ST, "sentence-transformers/multi-qa-MiniLM-L6-cos-v1", "", ""),
    (ST, "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", "", ""),
    (ST, "BAAI/bge-small-en-v1.5", BGE, ""),
    (ST, "BAAI/bge-base-en-v1.5", BGE, ""),
    (ST, "BAAI/bge-large-en-v1.5", BGE, ""),
    (ST, "BAAI/bge-small-en", BGE, ""),
    (ST, "BAAI/bge-small-zh-v1.5", BGE_ZH, ""),
    (ST, "BAAI/bge-base-zh-v1.5", BGE_ZH, ""),
    (ST, "BAAI/bge-large-zh-v1.5", BGE_ZH, ""),
    (ST, "BAAI/bge-m3", "", ""),
    (ST, "BAAI/bge-multilingual-gemma2", f"<instruct>{WEB}.\n<query>", ""),
    (ST, "intfloat/e5-small-v2", "query: ", "passage: "),
    (ST, "intfloat/e5-base-v2", "query: ", "passage: "),
    (ST, "intfloat/e5-large-v2", "query: ", "passage: "),
    (ST, "intfloat/multilingual-e5-small", "query: ", "passage: "),
    (ST, "intfloat/multilingual-e5-base", "query: ", "passage: "),
    (ST, "intfloat/multilingual-e5-large", "query: ", "passage: "),
    (ST, "intfloat/multilingual-e5-large-instruct", f"Instruct: {WEB}\nQuery: ", ""),
    (ST, "intfloat/e5-mistral-7b-instruct", f"Instruct: {WEB}\nQuery: ", ""),
    (ST, "thenlper/gte-base", "", ""),
    (ST, "Alibaba-NLP/gte-modernbert-base", "", ""),
    (ST, "Alibaba-NLP/gte-Qwen2-7B-instruct", f"Instruct: {WEB}\nQuery: ", ""),
    (ST, "nomic-ai/nomic-embed-text-v1", "search_query: ", "search_document: "),
    (ST, "nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: "),
    (ST, "nomic-ai/nomic-embed-text-v2-moe", "search_query: ", "search_document: "),
    (ST, "nomic-ai/modernbert-embed-base", "search_query: ", "search_document: "),
    (ST, "nomic-ai/CodeRankEmbed", "Represent this query for searching relevant code: ", ""),
    (ST, "mixedbread-ai/mxbai-embed-large-v1", BGE, ""),
    (ST, "WhereIsAI/UAE-Large-V1", BGE, ""),
    (ST, "jinaai/jina-embeddings-v2-base-en", "", ""),
    (
        ST,
        "jinaai/jina-embeddings-v3",
        "Represent the query for retrieving evidence documents: ",
        "Represent the document for retrieval: ",
    ),
    (ST, "jinaai/jina-embeddings-v4", "Query: ", "Passage: "),
    (ST, "jinaai/jina-embeddings-v5-text-small", "Query: ", "Document: "),
    (ST, "Snowflake/snowflake-arctic-embed-m", BGE, ""),
    (ST, "Snowflake/snowflake-arctic-embed-m-v1.5", BGE, ""),
    (ST, "Snowflake/snowflake-arctic-embed-l-v2.0", "query: ", ""),
    (ST, "NovaSearch/stella_en_400M_v5", f"Instruct: {WEB}.\nQuery: ", ""),
    (ST, "NovaSearch/stella_en_1.5B_v5", f"Instruct: {WEB}.\nQuery: ", ""),
    (ST, "Qwen/Qwen3-Embedding-0.6B", QWEN3, ""),
    (ST, "Qwen/Qwen3-Embedding-8B", QWEN3, ""),
    (ST, "microsoft/harrier-oss-v1-0.6b", f"Instruct: {WEB}\nQuery: ", ""),
    (ST, "google/embeddinggemma-300m", *GEMMA),
    (ST, "lightonai/DenseOn", "query: ", "document: "),
    (
        ST,
        "hkunlp/instructor-large",
        "Represent the Wikipedia question for retrieving supporting documents: ",
        "Represent the Wikipedia document for retrieval: ",
    ),
    (ST, "ibm-granite/granite-embedding-english-r2", "", ""),
    (ST, "cl-nagoya/ruri-v3-310m", "検索クエリ: ", "検索文書: "),
    (OLLAMA, "nomic-embed-text", "search_query: ", "search_document: "),
    (OLLAMA, "mxbai-embed-large", BGE, ""),
    (OLLAMA, "all-minilm", "", ""),
    (OLLAMA, "bge-m3", "", ""),
    (OLLAMA, "bge-large", BGE, ""),
    (OLLAMA, "snowflake-arctic-embed", BGE, ""),
    (OLLAMA, "snowflake-arctic-embed2", "query: ", ""),
    (OLLAMA, "embeddinggemma", *GEMMA),
    (OLLAMA, "qwen3-embedding:0.6b", QWEN3, ""),
    (OLLAMA, "granite-embedding:278m", "", ""),
]


@each(("provider", "model", "query", "document"), PINNED)
def test_a_query_and_a_document_get_exactly_this(provider, model, query, document):
    card = look_up(provider, model)
    assert card.prefix("query") == query
    assert card.prefix("document") == document


@pytest.mark.parametrize(
    ("model", "classification", "clustering"),
    [
        ("nomic-ai/nomic-embed-text-v1.5", "classification: ", "clustering: "),
        ("google/embeddinggemma-300m", "task: classification | query: ", "task: clustering | query: "),
        ("intfloat/multilingual-e5-small", "query: ", "query: "),
        ("BAAI/bge-base-en-v1.5", "", ""),
        ("sentence-transformers/all-MiniLM-L6-v2", "", ""),
        ("jinaai/jina-embeddings-v3", "", ""),
        ("cl-nagoya/ruri-v3-310m", "トピック: ", "トピック: "),
        ("Snowflake/snowflake-arctic-embed-m", None, None),
        ("Qwen/Qwen3-Embedding-0.6B", None, None),
        ("hkunlp/instructor-large", None, None),
    ],
)
def test_other_roles_get_what_the_card_says_and_none_where_it_says_nothing(model, classification, clustering):
    card = look_up(ST, model)
    assert card.prefix("classification") == classification
    assert card.prefix("clustering") == clustering


def test_a_model_whose_prompts_are_not_known_here_says_nothing_of_any_role():
    assert look_up(ST, "voyageai/voyage-4-nano").prefix("query") is None


class TestATask:
    def test_replaces_the_instruction_of_a_query_in_the_models_own_form(self):
        assert (
            look_up(ST, "Qwen/Qwen3-Embedding-4B").prefix("query", "Find the law") == "Instruct: Find the law\nQuery:"
        )
        e5 = look_up(ST, "intfloat/multilingual-e5-large-instruct")
        assert e5.prefix("query", "Find the law") == "Instruct: Find the law\nQuery: "
        bge = look_up(ST, "BAAI/bge-en-icl")
        assert bge.prefix("query", "Find the law") == "<instruct>Find the law\n<query>"

    def test_gives_other_roles_an_instruction_that_they_have_not_by_themselves(self):
        card = look_up(ST, "Alibaba-NLP/gte-Qwen2-7B-instruct")
        assert card.prefix("clustering", "Identify the topic") == "Instruct: Identify the topic\nQuery: "
        gemma = look_up(ST, "google/embeddinggemma-300m")
        assert gemma.prefix("query", "code retrieval") == "task: code retrieval | query: "

    def test_never_changes_a_document(self):
        assert look_up(ST, "Qwen/Qwen3-Embedding-4B").prefix("document", "Find the law") == ""
        assert look_up(ST, "google/embeddinggemma-300m").prefix("document", "Find the law") == "title: none | text: "

    def test_may_hold_braces(self):
        card = look_up(ST, "intfloat/e5-mistral-7b-instruct")
        assert card.prefix("query", "Match {task} and {0}") == "Instruct: Match {task} and {0}\nQuery: "

    def test_is_ignored_by_a_model_that_takes_none(self):
        card = look_up(ST, "BAAI/bge-small-en-v1.5")
        assert card.task_template == ""
        assert card.prefix("query", "Find the law") == BGE
