"""C1, U4: the application's own threads are all busy with sync calls that wait for what tasks ask for, and all goes on.

Each scene runs with a default executor of one thread, and is compared with the same work without the sync calls.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings
from llama_index.core.embeddings import BaseEmbedding, MockEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode

from embedbridge import Embedder
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.testing import Latency

TEXTS = [f"question {number}" for number in range(12)]
LATENCY = 0.2


class Counting:
    """How often each text was asked for."""

    def __init__(self):
        self.asked = []

    def vectors(self, texts):
        self.asked += texts
        time.sleep(0.02)
        return [[1.0, float(len(text))] for text in texts]


class Inherited(Counting, Embeddings):
    """Has the framework's coroutines, which call its methods in threads of the application."""

    def embed_documents(self, texts):
        return self.vectors(texts)

    def embed_query(self, text):
        return self.vectors([text])[0]


class Borrowing(Inherited):
    """Its own coroutines do the same."""

    async def aembed_documents(self, texts):
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text):
        return await asyncio.get_running_loop().run_in_executor(None, self.embed_query, text)


class BlockingIndex(MockEmbedding):
    """A LlamaIndex object; its coroutines call its methods in threads of the application, as for Hugging Face."""

    _count: Counting = None

    def __init__(self):
        super().__init__(embed_dim=2)
        self._count = Counting()

    @property
    def asked(self):
        return self._count.asked

    def _get_query_embedding(self, query):
        return self._count.vectors([query])[0]

    def _get_text_embedding(self, text):
        return self._count.vectors([text])[0]

    async def _aget_query_embedding(self, query):
        return await asyncio.to_thread(self._get_query_embedding, query)

    async def _aget_text_embedding(self, text):
        return await asyncio.to_thread(self._get_text_embedding, text)


def scene(leaders, followers, *, delay=0.05):
    """Run coroutines, and a little later functions in the default executor, which has one thread; seconds for all."""

    async def run():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        begun = time.monotonic()
        tasks = [asyncio.ensure_future(leader()) for leader in leaders]
        await asyncio.sleep(delay)
        tasks += [asyncio.ensure_future(follower()) for follower in followers]
        found = await asyncio.wait_for(asyncio.gather(*tasks), 100)
        return time.monotonic() - begun, found

    return asyncio.run(run())


async def in_executor(function, *args):
    return await asyncio.get_running_loop().run_in_executor(None, partial(function, *args))


def compare(name, make, leader, follower):
    """The scene with and without sync calls, each with an embedder of its own."""
    seconds = []
    for followers in ([], TEXTS):
        embedder = make()
        scene([partial(leader, embedder, ["warm"])], [])
        took, (first, *others) = scene(
            [partial(leader, embedder, TEXTS)], [partial(follower, embedder, text) for text in followers]
        )
        seconds.append(took)
    alone, together = seconds
    print(f"{name}: alone {alone:.2f} s, with {len(TEXTS)} sync calls {together:.2f} s")  # noqa: T201 - figures
    assert len(first) == len(others) == len(TEXTS)
    for vector, same in zip(first, others, strict=True):
        np.testing.assert_allclose(vector, same, atol=1e-6)
    assert together < 3 * alone + 1


async def many_queries(embedder, texts):
    return await asyncio.gather(*map(embedder.aembed_query, texts))


async def one_query(embedder, text):
    return await in_executor(embedder.embed_query, text)


async def by_default(face, text):
    """LangChain's own coroutine, as an object has it that defines none."""
    return await Embeddings.aembed_query(face, text)


async def pipeline(face, texts):
    nodes = await IngestionPipeline(transformations=[face]).arun(nodes=[TextNode(text=text) for text in texts])
    return [node.embedding for node in nodes]


async def one_text(face, text):
    return await in_executor(face.get_text_embedding, text)


@pytest.fixture
def hosted(server, tmp_path):
    server.latency = Latency(base=LATENCY)
    folders = iter(["first", "second"])

    def make(kind=Embedder):
        server.stats.__init__()
        own = {"base_url": f"{server.url}/v1", "api_key": "sk-x", "cache": tmp_path / next(folders)}
        return kind(model="openai:text-embedding-3-small", **own)

    return make


def test_sync_calls_in_the_applications_threads_do_not_hold_up_tasks(hosted, server):
    compare("hosted", hosted, many_queries, one_query)
    assert server.stats.billed == dict.fromkeys([*TEXTS, "warm"], 1)


def test_nor_do_langchains_default_coroutines(hosted, server):
    compare("LangChain's default", partial(hosted, BridgeEmbeddings), many_queries, by_default)
    assert server.stats.billed == dict.fromkeys([*TEXTS, "warm"], 1)


def test_nor_does_llama_indexs_arun_wait_for_them(hosted, server):
    compare("arun", partial(hosted, BridgeEmbedding), pipeline, one_text)
    assert server.stats.billed == dict.fromkeys([*TEXTS, "warm"], 1)


@pytest.mark.parametrize("kind", [Inherited, Borrowing])
def test_nor_does_a_wrapped_langchain_object(kind):
    made = []

    def make():
        made.append(kind())
        return BridgeEmbeddings.wrap(made[-1], name="counting", cache="memory")

    compare(kind.__name__, make, many_queries, one_query)
    assert sorted(made[-1].asked) == sorted([*TEXTS, "warm"])


def test_nor_does_a_wrapped_llama_index_object():
    made = []

    def make():
        made.append(BlockingIndex())
        return BridgeEmbedding.wrap(made[-1], name="counting", cache="memory")

    assert issubclass(BlockingIndex, BaseEmbedding)
    compare("LlamaIndex object", make, pipeline, one_text)
    assert sorted(made[-1].asked) == sorted([*TEXTS, "warm"])


@pytest.mark.slow
def test_nor_does_a_local_model(minilm_path):
    made = []

    def make():  # the model stays loaded
        made.append(Embedder(f"local:{minilm_path}", cache="memory"))
        return made[-1]

    compare("local", make, many_queries, one_query)
    assert made[-1].usage.misses == len(TEXTS) + 1


def test_a_tool_in_a_thread_that_asks_its_loop_gets_its_answer(hosted):
    """U4: a sync tool runs in the one thread, and asks by `run_coroutine_threadsafe`."""
    embedder = hosted()

    async def tools():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))

        def tool(text):
            return asyncio.run_coroutine_threadsafe(embedder.aembed_query(text), loop).result(20)

        return await asyncio.gather(*(in_executor(tool, text) for text in TEXTS[:3]))

    assert len(asyncio.run(tools())) == 3
