"""Texts without end, in bounded memory: while one chunk is used, the next ones are on their way."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from .core.errors import ConfigurationError
from .core.prepare import check_texts
from .core.types import EmbeddingResult

AHEAD = 2
"""Chunks on their way beyond the one in use: one is asked for while another is stored."""


def stream(
    embed: Callable[[list[str]], EmbeddingResult], texts: Iterable[str], chunk_size: int
) -> Iterator[EmbeddingResult]:
    """One result for every `chunk_size` texts, in order. The source is read no further than `AHEAD` chunks.

    When a chunk fails, its error comes after the results of all chunks before it.
    """
    source = iter(_checked(texts, chunk_size))
    pending: deque[Future[EmbeddingResult]] = deque()
    with ThreadPoolExecutor(AHEAD, "embedbridge-stream") as pool:
        try:
            while chunk := list(itertools.islice(source, chunk_size)):
                pending.append(pool.submit(embed, chunk))
                if len(pending) > AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


async def astream(
    aembed: Callable[[list[str]], Awaitable[EmbeddingResult]],
    texts: Iterable[str] | AsyncIterable[str],
    chunk_size: int,
) -> AsyncIterator[EmbeddingResult]:
    """`stream` for event loops; the source may be async itself."""
    source = _chunks(texts, chunk_size)
    pending: deque[asyncio.Future[EmbeddingResult]] = deque()
    try:
        async for chunk in source:
            pending.append(asyncio.ensure_future(aembed(chunk)))
            if len(pending) > AHEAD:
                yield await pending.popleft()
        while pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _chunks(texts: Iterable[str] | AsyncIterable[str], size: int) -> AsyncIterator[list[str]]:
    if not isinstance(texts, AsyncIterable):
        source = iter(_checked(texts, size))
        while chunk := list(itertools.islice(source, size)):
            yield chunk
        return
    chunk = []
    async for text in texts:
        chunk.append(text)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _checked(texts: Iterable[str], chunk_size: int) -> Iterable[str]:
    if chunk_size < 1:
        raise ConfigurationError(f"chunk_size must be at least 1, not {chunk_size}")
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        check_texts(texts)
    return texts
