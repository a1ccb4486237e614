"""C12, for every provider: what it sends and what it is answered never takes 20 ms of an event loop at once."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from embedbridge import Embedder, InputTooLongError
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from faults.apis import APIS
from support.steps import LIMIT, measured

pytestmark = [pytest.mark.slow, pytest.mark.measured]

HUGE = "word " * 10_000_000
"""A text of 50 MB."""
hosted = pytest.mark.parametrize("api", APIS, ids=str)


@pytest.fixture(params=[*map(str, APIS), "local", "langchain", "llama-index", "fake"])
def made(request, server):
    """Makes an embedder of each provider."""
    if request.param == "local":
        folder = request.getfixturevalue("minilm_path")
        return lambda **options: Embedder(f"local:{folder}", **options)
    if request.param in {"langchain", "llama-index"}:
        face = BridgeEmbeddings if request.param == "langchain" else BridgeEmbedding
        inner = Embedder("fake:384", cache=False)
        theirs = inner.as_langchain() if request.param == "langchain" else inner.as_llama_index()
        return lambda **options: face.wrap(theirs, name="theirs", **options).embedder
    if request.param == "fake":
        return lambda **options: Embedder("fake:384", **options)
    (api,) = (api for api in APIS if str(api) == request.param)
    return lambda **options: api.embedder(server, **options)


async def longest(call, *args, **options):
    """The longest step of a call."""
    with measured() as steps:
        await asyncio.create_task(call(*args, **options))
    return steps.longest


async def test_a_life_from_construction_to_the_end(made, tmp_path):
    made()  # once in a process, modules are loaded

    async def life():
        embedder = made(cache=["memory", tmp_path])
        await asyncio.sleep(0)
        await embedder.aembed_query("first")
        embedder.describe()
        await asyncio.sleep(0)
        await embedder.aembed_documents([f"text {number}" for number in range(300)])
        await embedder.aestimate([f"text {number}" for number in range(600)])
        async for _ in embedder.astream((f"text {number}" for number in range(600)), chunk_size=256):
            pass
        await embedder.aclose()

    assert await longest(life) < LIMIT


async def test_long_texts(made):
    async with made(cache="memory", too_long="truncate") as embedder:
        await embedder.aembed_query("warm")
        assert await longest(embedder.aestimate, [HUGE]) < LIMIT
        assert await longest(embedder.aestimate, [HUGE[number:2_000_000] for number in range(20)]) < LIMIT


@pytest.mark.parametrize("face", ["as_langchain", "as_llama_index"])
async def test_both_faces(made, face):
    async with made(cache="memory") as embedder:
        await embedder.aembed_query("warm")
        ours = getattr(embedder, face)()
        for method in ("aembed_documents", "aget_text_embedding_batch"):
            if hasattr(ours, method):
                assert await longest(getattr(ours, method), [f"text {number}" for number in range(400)]) < LIMIT


@hosted
@pytest.mark.parametrize("fault", ["forcefloat", "gzip", "gzipbomb:mb=64", "huge:mb=64", "gziptail:mb=8", "truncate"])
async def test_answers_of_any_size_and_make(api, server, fault):
    async with api.embedder(server, max_retries=0) as embedder:
        await embedder.aembed_query("warm")
        server.on(lambda _: True, fault)
        texts = [f"text {number}" for number in range(min(api.items, 200))]
        with measured() as steps:
            (outcome,) = await asyncio.gather(embedder.aembed(texts), return_exceptions=True)
        assert steps.longest < LIMIT
    if not isinstance(outcome, Exception):
        np.testing.assert_array_equal(outcome.vectors, api.vectors(server, texts))


@hosted
async def test_requests_of_any_size(api, server):
    async with api.embedder(server, timeout=120) as embedder:
        await embedder.aembed_query("warm")
        texts = [f"{'wörd ' * 900}{number}" for number in range(400)]
        assert await longest(embedder.aembed, texts) < LIMIT


async def test_a_text_without_a_limit_is_sent_whole(server):
    """An unlisted model, of which nothing is known."""
    own = {"base_url": f"{server.url}/v1", "api_key": "sk-x", "cache": False, "too_long": "error", "max_retries": 0}
    async with Embedder("openai:nobody-knows", **own) as embedder:
        await embedder.aembed_query("warm")
        with measured() as steps, pytest.raises(InputTooLongError):
            await asyncio.create_task(embedder.aembed([HUGE]))
        assert steps.longest < LIMIT
    assert max(len(request.body) for request in server.requests) > len(HUGE)
