"""C12: no step of ours takes more than 20 ms of the processor's time on an event loop, however much there is to do."""

from __future__ import annotations

import asyncio

import numpy as np
import pandas as pd
import pytest

from embedbridge import Embedder
from embedbridge.reduction import PCA
from support.steps import LIMIT, measured

pytestmark = [pytest.mark.slow, pytest.mark.measured]


async def twice(call, *args, **options):
    """A first and a second call, whose vectors are all in the cache then; the longest step of both."""
    with measured() as steps:
        await asyncio.create_task(call(*args, **options))
        await asyncio.create_task(call(*args, **options))
    return steps.longest


@pytest.fixture(params=["memory", "disk", "both"])
def cache(request, tmp_path):
    return {"memory": "memory", "disk": tmp_path, "both": ["memory", tmp_path]}[request.param]


async def warmed(embedder):
    """An embedder whose parts are made and opened."""
    await embedder.aembed_documents(["warm", "up"])
    return embedder


async def test_many_wide_vectors(cache):
    texts = [f"text {number}" for number in range(20_000)]
    async with await warmed(Embedder("fake:1536", cache=cache)) as embedder:
        assert await twice(embedder.aembed, texts) < LIMIT
        assert await twice(embedder.aestimate, texts) < LIMIT
        assert await twice(embedder.as_langchain().aembed_documents, texts[:5000]) < LIMIT
        assert await twice(embedder.as_llama_index().aget_text_embedding_batch, texts[:5000]) < LIMIT


async def test_many_short_texts_in_any_container(cache):
    texts = [f"t{number}" for number in range(100_000)]
    async with await warmed(Embedder("fake:8", cache=cache, normalize=True)) as embedder:
        assert await twice(embedder.aembed, texts) < LIMIT
        assert await twice(embedder.aembed, tuple(texts)) < LIMIT
        assert await twice(embedder.aembed, pd.Series(texts)) < LIMIT
        assert await twice(embedder.aembed, np.array(texts * 4)) < LIMIT


@pytest.mark.parametrize("policy", ["truncate", "mean"])
async def test_long_texts(cache, policy):
    texts = [f"{'word ' * 40_000}{number}" for number in range(40)]
    own = {"too_long": policy, "provider_options": {"max_tokens": 512}}
    async with await warmed(Embedder("fake:256", cache=cache, **own)) as embedder:
        assert await twice(embedder.aembed, texts) < LIMIT


async def test_few_texts_that_need_no_thread(cache):
    async with await warmed(Embedder("fake:3072", cache=cache)) as embedder:
        assert await twice(embedder.aembed, [f"text {number}" for number in range(64)]) < LIMIT


async def test_vectors_that_are_cut_reduced_and_brought_to_unit_length(tmp_path):
    rng = np.random.default_rng(0)
    PCA(n_components=64).fit(rng.normal(size=(500, 512)).astype(np.float32)).save(tmp_path / "pca.npz")
    own = {"dimensions": 512, "reduction": tmp_path / "pca.npz", "normalize": True}
    async with await warmed(Embedder("fake:1536", cache="memory", **own)) as embedder:
        assert await twice(embedder.aembed, [f"text {number}" for number in range(5000)]) < LIMIT


async def test_calls_that_wait_for_each_others_texts(cache):
    texts = [f"text {number}" for number in range(12_000)]
    async with await warmed(Embedder("fake:1536", cache=cache)) as embedder:
        with measured() as steps:
            calls = [embedder.aembed(texts[start : start + 6000]) for start in (0, 2000, 4000, 0)]
            results = await asyncio.gather(*map(asyncio.create_task, calls))
        assert steps.longest < LIMIT
        assert embedder.usage.misses == 10_000 + 2
        np.testing.assert_array_equal(results[0].vectors, results[3].vectors)


async def test_a_stream(cache):
    async with await warmed(Embedder("fake:1536", cache=cache)) as embedder:
        with measured() as steps:
            async for _ in embedder.astream((f"text {number}" for number in range(10_000)), chunk_size=2048):
                pass
        assert steps.longest < LIMIT


async def test_many_texts_that_fail(server):
    server.on(lambda _: True, "400")
    own = {"base_url": f"{server.url}/v1", "api_key": "sk-x", "cache": False, "max_retries": 0}
    texts = [f"text {number}" for number in range(20_000)]
    async with Embedder("openai:text-embedding-3-small", **own) as embedder:
        await asyncio.gather(embedder.aembed(["warm"]), return_exceptions=True)
        with measured() as steps:
            outcome = await asyncio.gather(embedder.aembed(texts), return_exceptions=True)
        assert steps.longest < LIMIT
        assert len(outcome[0].failed_indices) == len(texts)


async def test_a_call_with_many_texts_that_is_cancelled(cache):
    texts = [f"t{number}" for number in range(100_000)]
    async with await warmed(Embedder("fake:8", cache=cache, provider_options={"latency": 0.2})) as embedder:
        with measured() as steps:
            call = asyncio.create_task(embedder.aembed(texts))
            await asyncio.sleep(1.5)  # prepared, and some of it asked for
            call.cancel()
            await asyncio.wait((call,))
            del call
            await asyncio.sleep(0)
        assert steps.longest < LIMIT
