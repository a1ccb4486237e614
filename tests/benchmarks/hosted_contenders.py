"""One contender, in a process of its own: embeds the corpus once and prints what it took, as JSON.

python hosted_contenders.py NAME BASE_URL COUNT
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MODEL = "text-embedding-3-small"
SLICE = 200
"""Texts a request in the hand-written loop."""

CACHE_DIR = "TIKTOKEN_CACHE_DIR"

Run = Callable[[list[str]], Any]


def corpus(count: int) -> list[str]:
    """Distinct texts of about 1,300 characters."""
    body = "A corpus of plain sentences, none of them worth reading twice. " * 20
    return [f"{number:07d} {body}" for number in range(count)]


def vocabulary() -> str | None:
    """A directory with the tokenizer's vocabulary, which langchain-openai would fetch from the network otherwise."""
    found = find_spec("llama_index.core")
    return str(Path(found.origin).parent / "_static" / "tiktoken_cache") if found and found.origin else None


def _embedder(url: str) -> Any:
    from embedbridge import Embedder

    return Embedder(f"openai:{MODEL}", base_url=url, api_key="sk-x", cache=False)


def numpy_sync(url: str) -> Run:
    return _embedder(url).embed_documents


def numpy_async(url: str) -> Run:
    return _awaited(_embedder(url).aembed_documents)


def langchain_face(url: str) -> Run:
    return _embedder(url).as_langchain().embed_documents


def langchain_face_async(url: str) -> Run:
    return _awaited(_embedder(url).as_langchain().aembed_documents)


def llama_index_face(url: str) -> Run:
    return _embedder(url).as_llama_index().get_text_embedding_batch


def llama_index_face_async(url: str) -> Run:
    return _awaited(_embedder(url).as_llama_index().aget_text_embedding_batch)


def bare_sdk(url: str) -> Run:
    """What a careful person writes: eight requests under way over the SDK, into one matrix."""
    import numpy as np
    import openai

    client = openai.OpenAI(base_url=url, api_key="sk-x", max_retries=0)

    def ask(texts: list[str]) -> Any:
        return np.array([entry.embedding for entry in client.embeddings.create(model=MODEL, input=texts).data], "f4")

    def run(texts: list[str]) -> Any:
        with ThreadPoolExecutor(8) as pool:
            slices = [texts[at : at + SLICE] for at in range(0, len(texts), SLICE)]
            return np.concatenate(list(pool.map(ask, slices)))

    return run


def _langchain_openai(url: str, **options: Any) -> Any:
    from langchain_openai import OpenAIEmbeddings

    return OpenAIEmbeddings(model=MODEL, base_url=url, api_key="sk-x", **options)


def langchain_openai(url: str) -> Run:
    """As it comes: it counts tokens, and sends them."""
    os.environ[CACHE_DIR] = vocabulary() or ""
    return _langchain_openai(url).embed_documents


def langchain_openai_async(url: str) -> Run:
    os.environ[CACHE_DIR] = vocabulary() or ""
    return _awaited(_langchain_openai(url).aembed_documents)


def langchain_unchecked(url: str) -> Run:
    """Told to look at no length: what its users do for servers that are not OpenAI's."""
    return _langchain_openai(url, check_embedding_ctx_length=False).embed_documents


def langchain_unchecked_async(url: str) -> Run:
    return _awaited(_langchain_openai(url, check_embedding_ctx_length=False).aembed_documents)


def _llama_index_openai(url: str) -> Any:
    from llama_index.embeddings.openai import OpenAIEmbedding

    return OpenAIEmbedding(model_name=MODEL, api_base=url, api_key="sk-x")


def llama_index_openai(url: str) -> Run:
    return _llama_index_openai(url).get_text_embedding_batch


def llama_index_openai_async(url: str) -> Run:
    return _awaited(_llama_index_openai(url).aget_text_embedding_batch)


CONTENDERS: dict[str, Callable[[str], Run]] = {
    contender.__name__: contender
    for contender in (
        numpy_sync,
        numpy_async,
        langchain_face,
        langchain_face_async,
        llama_index_face,
        llama_index_face_async,
        bare_sdk,
        langchain_openai,
        langchain_openai_async,
        langchain_unchecked,
        langchain_unchecked_async,
        llama_index_openai,
        llama_index_openai_async,
    )
}


def _awaited(method: Callable[[list[str]], Awaitable[Any]]) -> Run:
    async def run(texts: list[str]) -> Any:
        return await method(texts)

    runner = asyncio.Runner()  # one loop for both calls: the peers' clients do not outlive theirs
    return lambda texts: runner.run(run(texts))


def peak() -> int:
    """The most memory that this process had, in KiB; `resource` alone may tell of the process that started it."""
    told = Path("/proc/self/status")
    if told.exists():
        return int(re.findall(r"VmHWM:\s+(\d+)", told.read_text())[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(name: str, url: str, count: int) -> None:
    run, texts = CONTENDERS[name](url), corpus(count)
    run(texts[:8])
    before, cpu, begun = peak(), time.process_time(), time.perf_counter()
    vectors = run(texts)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    assert len(vectors) == count
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak() - before}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
