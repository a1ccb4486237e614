"""Embeds an iterable of any length in bounded memory: while one chunk is used, the next ones are being embedded."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import re
import sys
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from embedbridge._core.prepare import check_container, check_input_type
from embedbridge._core.signals import Signal
from embedbridge._core.types import EmbeddingResult, InputType
from embedbridge._threads.background import GRACE, check_asyncio, check_not_ended, in_background
from embedbridge.errors import ConfigurationError, EmbeddingError, InvalidInputError

AHEAD = 2
"""Chunks that are embedded beyond the one in use: one is asked for while another is stored."""

ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
"""What ends a stream at once; any other error of its source comes after the results, a panic in Rust too."""

_PLACES = r"^((?:{}(?: at \S+)?, )?text |\d+ empty text\(s\), at )(\d+(?:, \d+)*)"
"""The beginning of an error's message, where it names texts by index: after the model, if it names one."""
_NUMBER = re.compile(r"\d+")

Bar = AbstractContextManager[Callable[[int], object]]
"""Shows progress: entered, it is a function that takes the number of texts that were embedded."""
Embed = Callable[[list[str], Signal], EmbeddingResult]
"""Embeds a chunk; once the signal is set it sends nothing more."""


def check_stream(texts: object, chunk_size: object, input_type: object, *, may_be_async: bool = False) -> InputType:
    """Check a stream's arguments before anything is read; returns the input type.

    Raises:
        ConfigurationError: `chunk_size` is not a whole number of at least 1, or `input_type` is no role.
        InvalidInputError: `texts` is not an iterable of texts.
    """
    if type(chunk_size) is not int or not 1 <= chunk_size <= sys.maxsize:
        raise ConfigurationError(f"chunk_size must be a whole number from 1 to {sys.maxsize}, not {chunk_size!r}")
    if not (may_be_async and isinstance(texts, AsyncIterable)):
        check_container(texts)
    return check_input_type(input_type)


@dataclass(frozen=True, eq=False, slots=True)
class _Chunk:
    """A chunk that is being embedded in a thread of its own."""

    at: int
    """Index of its first text."""
    stop: Signal
    future: Future[EmbeddingResult]

    def result(self) -> EmbeddingResult:
        if not self.future.done():
            check_not_ended()
        try:
            return self.future.result()
        except EmbeddingError as error:
            shift(error, self.at)
            raise


_under_way: dict[Future[EmbeddingResult], Signal] = {}
"""Chunks of all streams that are not finished, and what stops them."""


def stream(embed: Embed, texts: Iterable[str], chunk_size: int, bar: Bar) -> Generator[EmbeddingResult]:
    """One result for every `chunk_size` texts, in order. The source is read no further than `AHEAD` chunks.

    When a chunk or the source fails, the error comes after the results of all chunks before it.
    """
    source, pending = _Source(iter(texts), chunk_size), deque[_Chunk]()
    with bar as advance:
        try:
            for at, chunk in source:
                pending.append(_start(embed, at, chunk))
                if len(pending) > AHEAD:
                    yield _first(pending, advance)
            while pending:
                yield _first(pending, advance)
        except Exception:
            # What is paid for shall be stored; at the interpreter's end no thread does that any more.
            wait([chunk.future for chunk in pending], GRACE if sys.is_finalizing() else None)
            raise
        finally:
            _stop({chunk.future: chunk.stop for chunk in pending})
    source.end()


def _start(embed: Embed, at: int, texts: list[str]) -> _Chunk:
    stop = Signal()
    future = in_background(partial(embed, texts, stop))
    _under_way[future] = stop
    future.add_done_callback(_under_way.pop)
    return _Chunk(at, stop, future)


def _first(pending: deque[_Chunk], advance: Callable[[int], object]) -> EmbeddingResult:
    """The result of the next chunk, which stays pending until it is there."""
    result = pending[0].result()
    pending.popleft()
    advance(len(result.vectors))
    return result


def _stop(chunks: dict[Future[EmbeddingResult], Signal]) -> None:
    """Let chunks send nothing more, and wait a moment for what was sent."""
    for stop in tuple(chunks.values()):
        stop.set()
    wait(tuple(chunks), GRACE)


# A thread that the interpreter ends inside a model aborts the whole process.
atexit.register(_stop, _under_way)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_under_way.clear)  # they are the parent's


async def astream(
    aembed: Callable[[list[str]], Awaitable[EmbeddingResult]],
    texts: Iterable[str] | AsyncIterable[str],
    chunk_size: int,
    bar: Bar,
) -> AsyncGenerator[EmbeddingResult]:
    """`stream` for event loops; the source may be async itself."""
    check_asyncio()
    source = _AsyncSource(texts, chunk_size) if isinstance(texts, AsyncIterable) else _Source(iter(texts), chunk_size)
    pending: deque[tuple[int, asyncio.Future[EmbeddingResult]]] = deque()
    with bar as advance:
        try:
            async for at, chunk in source:
                pending.append((at, asyncio.ensure_future(aembed(chunk))))
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


class _Source:
    """Chunks of an iterable, each with the index of its first text. An error ends it, and is raised by `end`."""

    def __init__(self, texts: Iterator[str], size: int) -> None:
        self._texts, self._size = texts, size
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for at in itertools.count(0, self._size):
            chunk: list[str] = []
            try:
                chunk.extend(itertools.islice(self._texts, self._size))
            except ENDS:
                raise
            except BaseException as error:  # raised again, after the results
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
        self._error: BaseException | None = None

    async def __aiter__(self) -> AsyncIterator[tuple[int, list[str]]]:
        at, chunk = 0, list[str]()
        try:
            async for text in self._texts:
                chunk.append(text)
                if len(chunk) == self._size:
                    yield at, chunk
                    at, chunk = at + self._size, []
        except ENDS:
            raise
        except BaseException as error:  # raised again, after the results
            self._error = error
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
        shift(error, at)
        raise
    advance(len(result.vectors))
    return result


def shift(error: EmbeddingError, at: int) -> None:
    """Change the indices in a chunk's error, whose first text is text `at` of the stream, to those of the stream."""
    error.failed_indices = tuple(at + index for index in error.failed_indices)
    error.completed = (*range(at), *(at + index for index in error.completed))
    places = re.compile(_PLACES.format(re.escape(f"{error.provider}:{error.model}")))
    error.args = tuple(
        places.sub(lambda found: found[1] + _NUMBER.sub(lambda one: str(at + int(one[0])), found[2]), str(said))
        for said in error.args
    )
    if isinstance(error, InvalidInputError) and error.index is not None:
        error.index += at
