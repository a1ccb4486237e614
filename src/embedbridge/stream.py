"""Embeds an iterable of any length in bounded memory: while one chunk is used, the next ones are being embedded."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from functools import partial

from .background import in_background
from .core.errors import ConfigurationError, EmbeddingError, InvalidInputError
from .core.prepare import check_container
from .core.types import EmbeddingResult

AHEAD = 2
"""Chunks that are embedded beyond the one in use: one is asked for while another is stored."""
GRACE = 1.0
"""Seconds that an interrupted stream waits for answers under way."""

_PLACES = re.compile(r"^((?:\S+:\S+(?: at \S+)?, )?text |\d+ empty text\(s\), at )(\d+(?:, \d+)*)")
"""The beginning of an error's message, where it names texts by index: after the model, if it names one."""
_NUMBER = re.compile(r"\d+")


def check_stream(texts: object, chunk_size: object, *, may_be_async: bool) -> None:
    """Check a stream's arguments before anything is read.

    Raises:
        ConfigurationError: `chunk_size` is not a whole number of at least 1.
        InvalidInputError: `texts` is not an iterable of texts.
    """
    if type(chunk_size) is not int or chunk_size < 1:
        raise ConfigurationError(f"chunk_size must be a whole number of at least 1, not {chunk_size!r}")
    if not (may_be_async and isinstance(texts, AsyncIterable)):
        check_container(texts)


def stream(
    embed: Callable[[list[str]], EmbeddingResult], texts: Iterable[str], chunk_size: int
) -> Iterator[EmbeddingResult]:
    """One result for every `chunk_size` texts, in order. The source is read no further than `AHEAD` chunks.

    When a chunk or the source fails, the error comes after the results of all chunks before it.
    """
    source, pending = _Source(iter(texts), chunk_size), deque[tuple[int, Future[EmbeddingResult]]]()
    try:
        for at, chunk in source:
            pending.append((at, in_background(partial(embed, chunk))))
            if len(pending) > AHEAD:
                yield _placed(*pending.popleft())
        while pending:
            yield _placed(*pending.popleft())
    except (Exception, KeyboardInterrupt) as error:
        # Wait for what is paid for, so that it is stored; but not long for who presses Ctrl-C.
        wait([future for _, future in pending], GRACE if isinstance(error, KeyboardInterrupt) else None)
        raise
    source.end()


async def astream(
    aembed: Callable[[list[str]], Awaitable[EmbeddingResult]],
    texts: Iterable[str] | AsyncIterable[str],
    chunk_size: int,
) -> AsyncIterator[EmbeddingResult]:
    """`stream` for event loops; the source may be async itself."""
    source = _AsyncSource(texts, chunk_size) if isinstance(texts, AsyncIterable) else _Source(iter(texts), chunk_size)
    pending: deque[tuple[int, asyncio.Future[EmbeddingResult]]] = deque()
    try:
        async for at, chunk in source:
            pending.append((at, asyncio.ensure_future(aembed(chunk))))
            if len(pending) > AHEAD:
                yield await _aplaced(*pending.popleft())
        while pending:
            yield await _aplaced(*pending.popleft())
    except Exception:
        await _ended(pending)  # what is paid for is to be stored
        raise
    finally:
        for _, task in pending:
            task.cancel()
        await _ended(pending)
    source.end()


async def _ended(pending: Iterable[tuple[int, asyncio.Future[EmbeddingResult]]]) -> None:
    await asyncio.gather(*(task for _, task in pending), return_exceptions=True)


class _Source:
    """Chunks of an iterable, each with the index of its first text. An error ends it, and is raised by `end`."""

    def __init__(self, texts: Iterator[str], size: int) -> None:
        self._texts, self._size = texts, size
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for at in itertools.count(0, self._size):
            chunk: list[str] = []
            try:
                chunk.extend(itertools.islice(self._texts, self._size))
            except Exception as error:  # noqa: BLE001 - raised again, after the results
                self._error = error
            if chunk:
                yield at, chunk
            if len(chunk) < self._size:
                return

    async def __aiter__(self) -> AsyncIterator[tuple[int, list[str]]]:
        for chunk in self:
            yield chunk

    def end(self) -> None:
        """Raise what the iterable raised."""
        if self._error is not None:
            raise self._error


class _AsyncSource:
    """The same for an async iterable."""

    def __init__(self, texts: AsyncIterable[str], size: int) -> None:
        self._texts, self._size = texts, size
        self._error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[tuple[int, list[str]]]:
        at, chunk = 0, list[str]()
        try:
            async for text in self._texts:
                chunk.append(text)
                if len(chunk) == self._size:
                    yield at, chunk
                    at, chunk = at + self._size, []
        except Exception as error:  # noqa: BLE001 - raised again, after the results
            self._error = error
        if chunk:
            yield at, chunk

    def end(self) -> None:
        """Raise what the iterable raised."""
        if self._error is not None:
            raise self._error


def _placed(at: int, future: Future[EmbeddingResult]) -> EmbeddingResult:
    try:
        return future.result()
    except EmbeddingError as error:
        shift(error, at)
        raise


async def _aplaced(at: int, task: asyncio.Future[EmbeddingResult]) -> EmbeddingResult:
    try:
        return await task
    except EmbeddingError as error:
        shift(error, at)
        raise


def shift(error: EmbeddingError, at: int) -> None:
    """Change the indices in a chunk's error, whose first text is text `at` of the stream, to those of the stream."""
    error.failed_indices = tuple(at + index for index in error.failed_indices)
    error.completed = (*range(at), *(at + index for index in error.completed))
    error.args = tuple(
        _PLACES.sub(lambda found: found[1] + _NUMBER.sub(lambda one: str(at + int(one[0])), found[2]), str(said))
        for said in error.args
    )
    if isinstance(error, InvalidInputError) and error.index is not None:
        error.index += at
