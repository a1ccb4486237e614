"""Loops and threads of other kinds: uvloop and gevent are served, and trio is told what to do instead."""

from __future__ import annotations

import asyncio

import pytest

from cache.parts import run_python
from embedbridge import ConfigurationError, Embedder
from embedbridge.langchain import BridgeEmbeddings

TEXTS = [["of all", f"text {number}"] for number in range(20)]

GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys
import gevent
from embedbridge import Embedder

url, folder, texts = sys.argv[1], sys.argv[2], [["of all", f"text {number}"] for number in range(20)]
with Embedder("openai:text-embedding-3-small", base_url=f"{url}/v1", api_key="k", cache=folder) as embedder:
    calls = [gevent.spawn(embedder.embed, each) for each in texts]
    gevent.joinall(calls, timeout=40)
    print(sum(call.successful() for call in calls))
"""


def test_uvloop_runs_calls_streams_and_cancels_them(server, tmp_path):
    uvloop = pytest.importorskip("uvloop")
    embedder = Embedder("openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="k", cache=tmp_path)

    async def work():
        results = await asyncio.gather(*map(embedder.aembed, TEXTS))
        assert all(result.vectors.shape == (2, 1536) for result in results)
        streamed = [part async for part in embedder.astream((f"line {number}" for number in range(50)), chunk_size=20)]
        assert [len(part.vectors) for part in streamed] == [20, 20, 10]
        assert server.stats.again() == {}
        cancelled = asyncio.ensure_future(embedder.aembed([f"cancelled {number}" for number in range(200)]))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await embedder.aembed([f"cancelled {number}" for number in range(200)])
        await embedder.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


def test_trio_is_told_what_to_do_and_has_its_threads(server):
    trio = pytest.importorskip("trio")
    embedder = Embedder("openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="k", cache=False)
    face = BridgeEmbeddings.of(embedder)

    async def stream():
        return [part async for part in embedder.astream(["a"])]

    async def work():
        calls = [embedder.aembed_documents, face.aembed_documents, embedder.aestimate]
        for refused in (*(lambda call=call: call(["a"]) for call in calls), stream, embedder.acanary, embedder.aclose):
            with pytest.raises(ConfigurationError, match=r"under trio .*to_thread\.run_sync"):
                await refused()
        return await trio.to_thread.run_sync(embedder.embed_documents, ["a"])

    assert trio.run(work).shape == (1, 1536)
    assert server.stats.billed == {"a": 1}


@pytest.mark.slow
def test_gevents_greenlets_share_one_embedder(server, tmp_path):
    pytest.importorskip("gevent")
    assert run_python(GEVENT, server.url, tmp_path) == "20\n"
    assert server.stats.again() == {}
