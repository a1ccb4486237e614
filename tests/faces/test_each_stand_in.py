"""What applications do with an object besides embedding, done with every stand-in."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from langchain_core.stores import InMemoryByteStore
from llama_index.core.embeddings.loading import load_embed_model
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from pydantic import Field

import typed_stand_ins
import typed_stand_ins_of_llama_index
from embedbridge import ConfigurationError, InvalidInputError, langchain, llama_index

from .conftest import AS_ORIGINALS, document_vectors, query_vector

TEXTS = ["one text", "another text"]

pytestmark = [
    pytest.mark.usefixtures("vendors_keys"),
    pytest.mark.filterwarnings(*AS_ORIGINALS),
]


def each(module, server, model):
    """The first call of each class."""
    made = [calls(server.url)[0] for calls in module.HOSTED]
    return [*made, module.of_hugging_face(str(model))[0]]


@pytest.fixture
def of_langchain(server, minilm_path):
    return each(typed_stand_ins, server, minilm_path)


@pytest.fixture
def of_llama_index(server, minilm_path):
    return each(typed_stand_ins_of_llama_index, server, minilm_path)


def test_a_class_of_an_application_derives_from_each(of_langchain, of_llama_index):
    assert (len(of_langchain), len(of_llama_index)) == (11, 12)
    for made in (*of_langchain, *of_llama_index):

        class Mine(type(made)):
            team: str = "none"

            def shout(self):
                return self.team.upper()

        mine = Mine(**made.stored(), team="birds")
        assert (mine.shout(), mine.class_name() if hasattr(mine, "class_name") else "") == (
            "BIRDS",
            made.class_name() if hasattr(made, "class_name") else "",
        )
        assert mine.model_copy().team == "birds"
        assert mine.embedder.space == made.embedder.space


def test_each_has_a_json_schema(of_langchain, of_llama_index):
    """As web frameworks ask for it; functions among the fields had none."""
    for made in (*of_langchain, *of_llama_index):
        assert type(made).model_json_schema()["properties"]


@pytest.mark.slow  # imports much
def test_langchains_cache_is_named_after_the_model_of_each(of_langchain):
    cached = pytest.importorskip("langchain_classic.embeddings", reason="needs langchain-classic").CacheBackedEmbeddings
    for made in of_langchain:
        name = next(getattr(made, name) for name in ("model", "model_name", "model_id") if hasattr(made, name))
        namespace = name.replace("/", "-")  # LangChain refuses slashes of any class
        wrapped = cached.from_bytes_store(made, InMemoryByteStore(), namespace=namespace, key_encoder="sha256")
        assert wrapped.embed_documents(TEXTS) == made.embed_documents(TEXTS)
        assert wrapped.embed_query(TEXTS[0]) == made.embed_query(TEXTS[0])


class Spans(SimpleSpanHandler):
    """Notes which methods are traced."""

    begun: list[str] = Field(default_factory=list)

    def new_span(self, id_, *arguments, **keywords):
        self.begun.append(id_.rpartition(".")[2].partition("-")[0])
        return super().new_span(id_, *arguments, **keywords)


def test_llama_index_traces_each_call_of_each_once(of_llama_index):
    """A method that a class and its base both define is traced twice."""
    root = get_dispatcher()
    before, spans = root.span_handlers[:], Spans()
    root.add_span_handler(spans)
    try:
        for made in of_llama_index:
            for name in ("get_query_embedding", "get_text_embedding"):
                spans.begun = []
                getattr(made, name)(TEXTS[0])
                asyncio.run(getattr(made, f"a{name}")(TEXTS[0]))
                assert sorted(spans.begun) == sorted({"_" + name, name, f"a{name}", *({f"_a{name}"} & {*spans.begun})})
    finally:
        root.span_handlers[:] = before


def test_llama_index_stores_and_loads_each(of_llama_index):
    for made in of_llama_index:
        stored = made.to_dict()
        assert "k" not in stored.values()
        for again in (type(made).from_dict(stored), load_embed_model(stored), load_embed_model({**stored})):
            assert type(again) is type(made)
            assert again.embedder.space == made.embedder.space
            assert again.to_dict() == stored
        assert document_vectors(again, TEXTS) == document_vectors(made, TEXTS)
        assert query_vector(again, TEXTS[0]) == query_vector(made, TEXTS[0])


async def test_methods_that_one_original_has_besides_ask_as_there(server):
    given = {"cache": False, "base_url": server.url}
    cohere = langchain.CohereEmbeddings(model="embed-v4.0", **given)
    roles = ["search_document", "search_query", "classification", "clustering"]
    for role in roles:
        assert cohere.embed(TEXTS, input_type=role) == await cohere.aembed(TEXTS, input_type=role)
    assert [body["input_type"] for body in server.requests.bodies] == [role for role in roles for _ in range(2)]
    for wrong in (None, ["search_query"]):
        with pytest.raises(ConfigurationError, match="input_type: write one of search_document"):
            cohere.embed(TEXTS, input_type=wrong)

    server.reset()
    voyage = llama_index.VoyageEmbedding("voyage-3.5", base_url=f"{server.url}/voyage/v1", cache=False)
    for role in ("query", "document", None):
        assert voyage.get_general_text_embedding("a", role) == await voyage.aget_general_text_embedding("a", role)
    assert [body.get("input_type") for body in server.requests.bodies] == [
        *["query"] * 2,
        *["document"] * 2,
        None,
        None,
    ]
    for wrong in ("clustering", ["query"]):
        with pytest.raises(ConfigurationError, match="'query' or 'document'"):
            voyage.get_general_text_embedding("a", wrong)

    server.reset()
    for own in ({}, {"text_instruction": "read:"}, {"document_prefix": "read: "}):
        ollama = llama_index.OllamaEmbedding("nomic-embed-text", **given, **own)
        assert ollama.get_general_text_embedding("a") == await ollama.aget_general_text_embedding("a")
        assert ollama.get_general_text_embeddings(TEXTS) == await ollama.aget_general_text_embeddings(TEXTS)
    assert server.requests.items == [["a"], ["a"], TEXTS, TEXTS] * 3
    bounded = llama_index.OllamaEmbedding("m", **given, text_instruction="read:", requests_per_minute=1000)
    with pytest.raises(ConfigurationError, match="requests_per_minute would not bound"):
        bounded.get_general_text_embedding("a")

    made = llama_index.BedrockEmbedding.from_credentials(
        "amazon.titan-embed-text-v2:0", "eu-west-1", "AKID", "secret", "token", embed_batch_size=3
    )
    assert made == llama_index.BedrockEmbedding(
        "amazon.titan-embed-text-v2:0", None, "AKID", "secret", "token", "eu-west-1", embed_batch_size=3
    )
    with pytest.raises(NotImplementedError, match="llama-index-embeddings-jinaai"):
        llama_index.JinaEmbedding().get_image_embedding("a.png")


def test_blank_texts_are_refused_by_each(of_langchain, of_llama_index, server):
    """As the table of what differs says; the originals send them, or answer zeros."""
    server.reset()
    for made in (*of_langchain, *of_llama_index):
        for ask in (lambda text, made=made: document_vectors(made, ["a", text]), partial(query_vector, made)):
            for blank in ("", " \n\t"):
                with pytest.raises(InvalidInputError, match="empty"):
                    ask(blank)
    assert len(server.requests) == 0
