"""One rule for odd texts, whoever the provider: lone surrogates and blanks are refused, all else goes as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings
from llama_index.core.embeddings import BaseEmbedding

from embedbridge import Embedder, InvalidInputError
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.providers.fake import FakeProvider, fake_vectors
from embedbridge.providers.sentence_transformers import LoadedModel

pytestmark = pytest.mark.one_flow

ODD = {
    "NUL": "a\0b",
    "only NUL": "\0",
    "a byte order mark": "\ufefftext",
    "control characters": "\x01\x08\x1b[31m\x7f\x85",
    "line ends": "one\ntwo\r\nthree\rfour\u2028five",
    "blanks around": "  \ttext \n",
    "two kinds of é": "e\u0301 é",
    "beyond the first plane": "👩\u200d🚀 \U0001d518 \U0010ffff",
    "no character": "\ufffe\uffff",
    "directions": "\u202eabc\u202c",
    "like JSON": '{"input": "\\u0000", "\\ud800": null}',
    "like a special token": "[CLS] <s> </s> <|endoftext|> [SEP]",
}


@dataclass
class Asked:
    """An embedder, and the texts that its provider was handed."""

    embedder: Embedder
    texts: Callable[[], list[str]]


def remember(monkeypatch, kind, *methods):
    """The texts of every call of real methods, which go on as before."""
    seen = []
    for method in methods:
        real = getattr(kind, method)

        def call(self, first, *args, real=real, **options):
            seen.extend(getattr(first, "texts", first))
            return real(self, first, *args, **options)

        monkeypatch.setattr(kind, method, call)
    return lambda: seen


class Theirs(Embeddings):
    def __init__(self):
        self.seen = []

    def embed_query(self, text):
        return self.embed_documents([text])[0]

    def embed_documents(self, texts):
        self.seen.extend(texts)
        return fake_vectors(texts, 8).tolist()


class AlsoTheirs(BaseEmbedding):
    seen: list[str] = []  # noqa: RUF012 - pydantic copies it

    def _get_query_embedding(self, query):
        return self._get_text_embedding(query)

    def _get_text_embedding(self, text):
        self.seen.append(text)
        return fake_vectors([text], 8)[0].tolist()

    async def _aget_query_embedding(self, query):
        return self._get_text_embedding(query)


@pytest.fixture(
    params=[
        "fake",
        "openai",
        "voyage",
        "cohere",
        "ollama",
        "nvidia",
        "jina",
        "tei",
        "langchain",
        "llama-index",
        "local",
    ]
)
def make(request, monkeypatch):
    """Makes an embedder of each kind of provider."""
    name = request.param
    if name == "fake":
        texts = remember(monkeypatch, FakeProvider, "ask", "aask")
        return lambda **options: Asked(Embedder("fake:8", **options), texts)
    if name == "local":
        request.getfixturevalue("minilm_path")
        texts = remember(monkeypatch, LoadedModel, "encode")
        return lambda **options: Asked(Embedder(**options), texts)
    if name == "langchain":
        theirs = Theirs()
        return lambda **options: Asked(BridgeEmbeddings.wrap(theirs, name="t", **options).embedder, lambda: theirs.seen)
    if name == "llama-index":
        also = AlsoTheirs()
        return lambda **options: Asked(BridgeEmbedding.wrap(also, name="t", **options).embedder, lambda: also.seen)
    server = request.getfixturevalue("server")
    server.width = 384 if name == "tei" else 1024
    model, path, own = {
        "openai": ("bge-m3", "/v1", {"api_key": "k"}),
        "voyage": ("voyage-4", "/voyage/v1", {"api_key": "k"}),
        "cohere": ("embed-english-v3.0", "", {"api_key": "k"}),
        "ollama": ("bge-m3", "", {}),
        "nvidia": ("nvidia/nv-embedqa-e5-v5", "/nvidia/v1", {"api_key": "k"}),
        "jina": ("jina-embeddings-v3", "/jina/v1", {"api_key": "k"}),
        "tei": ("BAAI/bge-small-en-v1.5", "/tei", {}),
    }[name]
    return lambda **options: Asked(
        Embedder(f"{name}:{model}", base_url=server.url + path, **own, **options),
        lambda: list(chain.from_iterable(server.requests.items)),
    )


def test_odd_texts_go_as_they_are_and_get_their_own_vectors(caller, make):
    asked = make(cache=False)
    vectors = caller.embed_documents(asked.embedder, list(ODD.values()))
    assert sorted(asked.texts()) == sorted(ODD.values())
    assert np.isfinite(vectors).all()
    assert (np.linalg.norm(vectors, axis=1) > 0).all()


@pytest.mark.parametrize("text", ["\ud800", "half a pair \udc00", "\udc80 from a broken file name"])
def test_a_lone_surrogate_is_refused_by_index_and_nothing_is_sent(caller, make, text):
    asked = make(cache=False)
    with pytest.raises(InvalidInputError, match=r"text 2 holds a lone surrogate.*encode") as caught:
        caller.embed_documents(asked.embedder, ["a", "b", text, "a"])
    assert (caught.value.index, caught.value.failed_indices) == (2, (2,))
    with pytest.raises(InvalidInputError, match="text 0 holds a lone surrogate"):
        caller.embed_query(asked.embedder, text)
    assert asked.texts() == []


BLANK = ["", " ", "\t\r\n", "\u00a0\u2003\u3000"]


def test_empty_and_blank_texts_are_refused_by_index_and_nothing_is_sent(caller, make):
    asked = make(cache=False)
    with pytest.raises(InvalidInputError, match="4 empty") as caught:
        caller.embed_documents(asked.embedder, ["a", *BLANK])
    assert caught.value.failed_indices == (1, 2, 3, 4)
    with pytest.raises(InvalidInputError, match="empty"):
        caller.embed_query(asked.embedder, "")
    assert asked.texts() == []


def test_empty_and_blank_texts_become_zeros_that_nobody_is_asked_for(caller, make):
    asked = make(cache=False, empty="zero")
    result = caller.embed(asked.embedder, ["", "a", *BLANK[1:], "b"])
    assert sorted(asked.texts()) == ["a", "b"]
    assert result.report.empty == (0, 2, 3, 4)
    assert [bool(row.any()) for row in result.vectors] == [False, True, False, False, False, True]
    assert not caller.embed_query(asked.embedder, " ").any()


def test_blank_is_what_python_calls_so_and_no_more(caller, make):
    asked = make(cache=False)
    invisible = ["\u200b", "\ufeff", "\0"]
    caller.embed_documents(asked.embedder, invisible)
    assert sorted(asked.texts()) == sorted(invisible)
