"""Embeds an iterable of any length in bounded memory: while one chunk is used, the next ones are being embedded."""

from __future__ import annotations

import atexit
import itertools
import os
import sys
from collections import deque
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from embedbridge._core.prepare import check_container, check_input_type
from embedbridge._core.signals import Signal
from embedbridge._core.types import EmbeddingResult, InputType
from embedbridge._threads.background import GRACE, check_not_ended, in_background
from embedbridge.errors import ConfigurationError, EmbeddingError

AHEAD = 2
"""Chunks that are embedded beyond the one in use: one is asked for while another is stored."""

ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""What ends a stream at once, as a cancelled task does; any other error of its source comes after the results, a panic
in Rust too."""

Bar = AbstractContextManager[Callable[[int], object]]
"""Shows progress: entered, it is a function that takes the number of texts that were embedded."""
Embed = Callable[[list[str], int, Signal], EmbeddingResult]
"""Embeds a chunk, given the index of its first text; once the signal is set it sends nothing more."""


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
            error.completed = (*range(self.at), *error.completed)
            raise


_under_way: dict[Future[EmbeddingResult], Signal] = {}
"""Chunks of all streams that are not finished, and what stops them."""


def stream(embed: Embed, texts: Iterable[str], chunk_size: int, bar: Bar) -> Generator[EmbeddingResult]:
    """One result for every `chunk_size` texts, in order. The source is read no further than `AHEAD` chunks.

    When a chunk or the source fails, the error comes after the results of all chunks before it.
    """
    source, pending, process = Source(iter(texts), chunk_size), deque[_Chunk](), os.getpid()
    with bar as advance:
        try:
            for at, chunk in source:
                pending.append(_start(embed, at, chunk))
                if len(pending) > AHEAD:
                    yield _first(pending, advance)
                    _check_process(process, pending)
            while pending:
                yield _first(pending, advance)
                _check_process(process, pending)
        except Exception:
            # What is paid for shall be stored; at the interpreter's end no thread does that any more.
            wait([chunk.future for chunk in pending], GRACE if sys.is_finalizing() else None)
            raise
        finally:
            if os.getpid() == process:
                _stop({chunk.future: chunk.stop for chunk in pending})
    source.end()


def _check_process(process: int, pending: deque[_Chunk]) -> None:
    """Raise `EmbeddingError` in a forked child, which has none of the threads that its parent's chunks are in."""
    if os.getpid() != process:
        pending.clear()
        raise EmbeddingError(
            "this stream was begun before the process was forked, and its parent goes on with it: begin another here"
        )


def _start(embed: Embed, at: int, texts: list[str]) -> _Chunk:
    stop = Signal()
    future = in_background(partial(embed, texts, at, stop))
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


def ends_at_once(error: BaseException) -> bool:
    """Whether an error of a source ends the stream before the results of what was read."""
    loaded: Any = sys.modules.get("asyncio")
    return isinstance(error, ENDS) or (loaded is not None and isinstance(error, loaded.CancelledError))


class Source:
    """Chunks of an iterable, each with the index of its first text. An error ends it, and is raised by `end`."""

    def __init__(self, texts: Iterator[str], size: int) -> None:
        self._texts, self._size = texts, size
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for at in itertools.count(0, self._size):
            chunk: list[str] = []
            try:
                chunk.extend(itertools.islice(self._texts, self._size))
            except BaseException as error:
                if ends_at_once(error):
                    raise
                self._error = error  # raised again, after the results
            if chunk:
                yield at, chunk
            if len(chunk) < self._size:
                return

    def end(self) -> None:
        """Raise what the iterable raised."""
        if self._error is not None:
            raise self._error
