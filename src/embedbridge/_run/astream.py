"""`stream` for event loops: the same order, bounds and errors, with a task for each chunk."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable

from embedbridge._core.types import EmbeddingResult
from embedbridge._threads.background import check_asyncio
from embedbridge.errors import EmbeddingError

from .stream import AHEAD, Bar, Source, ends_at_once


async def astream(
    aembed: Callable[[list[str], int], Awaitable[EmbeddingResult]],
    texts: Iterable[str] | AsyncIterable[str],
    chunk_size: int,
    bar: Bar,
) -> AsyncGenerator[EmbeddingResult]:
    """`stream` for event loops; the source may be async itself."""
    check_asyncio()
    source = _AsyncSource(texts, chunk_size) if isinstance(texts, AsyncIterable) else _Listed(iter(texts), chunk_size)
    pending: deque[tuple[int, asyncio.Future[EmbeddingResult]]] = deque()
    with bar as advance:
        try:
            async for at, chunk in source:
                pending.append((at, asyncio.ensure_future(aembed(chunk, at))))
                if len(pending) > AHEAD:
                    yield await _afirst(pending, advance)
            while pending:
                yield await _afirst(pending, advance)
        except Exception:
            await _ended(pending)  # what is paid for shall be stored
            raise
        finally:
            for _, task in pending:
                task.cancel()
            await _ended(pending)
    source.end()


async def _ended(pending: Iterable[tuple[int, asyncio.Future[EmbeddingResult]]]) -> None:
    await asyncio.gather(*(task for _, task in pending), return_exceptions=True)


class _Listed(Source):
    """`Source`, read on the event loop."""

    async def __aiter__(self) -> AsyncIterator[tuple[int, list[str]]]:
        for chunk in self:
            yield chunk


class _AsyncSource:
    """`Source` for an async iterable."""

    def __init__(self, texts: AsyncIterable[str], size: int) -> None:
        self._texts, self._size = texts, size
        self._error: BaseException | None = None

    async def __aiter__(self) -> AsyncIterator[tuple[int, list[str]]]:
        at, chunk = 0, list[str]()
        try:
            async for text in self._texts:
                chunk.append(text)
                if len(chunk) == self._size:
                    yield at, chunk
                    at, chunk = at + self._size, []
        except BaseException as error:
            if ends_at_once(error):
                raise
            self._error = error  # raised again, after the results
        if chunk:
            yield at, chunk

    def end(self) -> None:
        """Raise what the iterable raised."""
        if self._error is not None:
            raise self._error


async def _afirst(
    pending: deque[tuple[int, asyncio.Future[EmbeddingResult]]], advance: Callable[[int], object]
) -> EmbeddingResult:
    at, task = pending.popleft()
    try:
        result = await task
    except EmbeddingError as error:
        error.completed = (*range(at), *error.completed)
        raise
    advance(len(result.vectors))
    return result
