"""What each face costs over the Embedder behind it: LangChain the lists, LlamaIndex its own base class, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from pydantic import PrivateAttr

from embedbridge import Embedder
from support.caller import Caller

pytestmark = pytest.mark.benchmark

TEXTS = [f"text {number}" for number in range(2000)]
ROUNDS = 15


class Plain(BaseEmbedding):
    """The least that an integration can be."""

    _embedder: Embedder = PrivateAttr()

    def __init__(self, embedder):
        super().__init__(embed_batch_size=2048)
        self._embedder = embedder

    def _get_query_embedding(self, query):
        return self._embedder.embed_query(query).tolist()

    async def _aget_query_embedding(self, query):
        return (await self._embedder.aembed_query(query)).tolist()

    def _get_text_embedding(self, text):
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts):
        return self._embedder.embed_documents(texts).tolist()

    async def _aget_text_embeddings(self, texts):
        return (await self._embedder.aembed_documents(texts)).tolist()


def seconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The least processor time of each; they take turns, so that a busy machine slows them alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            begun = time.process_time()
            call()
            times[name].append(time.process_time() - begun)
    return {name: min(found) for name, found in times.items()}


@pytest.fixture
def embedder():
    embedder = Embedder("fake:1536", cache="memory")
    embedder.embed_documents(TEXTS)
    embedder.embed_query(TEXTS[0])
    return embedder


def test_langchains_face_costs_the_lists_and_five_percent(caller: Caller, embedder, board):
    face, vectors = embedder.as_langchain(), embedder.embed_documents(TEXTS)
    found = seconds(
        {
            "Embedder": lambda: caller.embed_documents(embedder, TEXTS),
            "tolist": vectors.tolist,
            "face": lambda: caller.embed_documents(face, TEXTS),
        }
    )
    found = {"LangChain's face": found["face"], "Embedder and lists": found["Embedder"] + found["tolist"]}
    board(f"2000 cached texts, 1536 dimensions, {caller.mode}", "ms", _milliseconds(found))
    assert found["LangChain's face"] <= 1.05 * found["Embedder and lists"]


@pytest.mark.parametrize("method", ["get_text_embedding_batch", "get_query_embedding"])
def test_llama_indexs_face_costs_its_base_class_and_five_percent(caller: Caller, embedder, board, method):
    face, plain = embedder.as_llama_index(), Plain(embedder)
    argument, times = (TEXTS, 1) if "batch" in method else (TEXTS[0], 50)

    def calls(model):
        return lambda: [caller.call(model, method, argument) for _ in range(times)]

    found = seconds({"LlamaIndex's face": calls(face), "base class": calls(plain)})
    board(f"{method} x {times}, 1536 dimensions, {caller.mode}", "ms", _milliseconds(found))
    assert found["LlamaIndex's face"] <= 1.05 * found["base class"]


def _milliseconds(found: dict[str, float]) -> dict[str, float]:
    return {name: 1000 * value for name, value in found.items()}
