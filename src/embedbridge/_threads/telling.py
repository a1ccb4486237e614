"""Log records and warnings, which a thread of our own hands to the application: what they are written to may block.

Order is kept. Who tells something waits for it at the end of its call, for `GRACE` seconds at most, and holds nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import select
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from types import FrameType
from typing import Any

from .background import GRACE, running_loop

MOST = 10_000
"""How much may wait to be told; what comes after that is left out, and counted in the log once there is room."""
MOMENT = 0.02
"""Seconds that an event loop may stand still for a warning."""
LOOK = 1.0
"""Seconds after which the thread looks whether a stream that took nothing is still the one that is written to."""

_logger = logging.getLogger("embedbridge")
Streams = Callable[[], Iterable[Any]]


class _Teller:
    """A queue, and the thread that empties it."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[tuple[Callable[[], object], Streams]] = SimpleQueue()  # may be used in signal handlers
        self._started = threading.Lock()  # taken once
        self.lacking = 0
        self.since: float | None = None
        """When the thread began with what it is at."""

    def tell(self, function: Callable[[], object], streams: Streams) -> None:
        """Have a function called that writes to some of these streams."""
        if self.queue.qsize() >= MOST:
            self.lacking += 1
            return
        if not sys.is_finalizing() and self._started.acquire(blocking=False):
            with suppress(RuntimeError):
                threading.Thread(target=self._serve, name="embedbridge telling", daemon=True).start()
        self.queue.put((partial(copy_context().run, function), streams))

    def seconds(self, most: float) -> float:
        """How long to wait for what was told: no longer for a thread that already makes others wait."""
        since = self.since
        return most if since is None else most - (time.monotonic() - since)

    def _serve(self) -> None:
        while True:
            function, streams = self.queue.get()
            self.since = time.monotonic()
            self._write(function, streams)
            lacking, self.lacking = self.lacking, 0
            if lacking:
                write_log(logging.WARNING, "%d log records and warnings were left out: nobody took them", lacking)
            del function
            self.since = None

    @staticmethod
    def _write(function: Callable[[], object], streams: Streams) -> None:
        with suppress(Exception):  # whatever the application's handlers do
            # Not in the middle of a write, where locks of the stream and of its handler are held.
            while not all(takes_more(stream, LOOK) for stream in streams()):
                pass
            function()


_teller = _Teller()


is_logged = _logger.isEnabledFor
"""Whether the log `embedbridge` takes lines of a level."""


def write_log(level: int, message: str, *args: object, error: BaseException | None = None) -> None:
    """Have a line written to the log `embedbridge`, as if by this thread.

    Args:
        level: as of `logging`.
        message: a format, as of `logging`.
        *args: what is put into it.
        error: whose traceback is written below.
    """
    if not _logger.isEnabledFor(level):
        return
    file, line, function, _ = _logger.findCaller(stacklevel=2)
    raised = None if error is None else (type(error), error, error.__traceback__)
    record = _logger.makeRecord(_logger.name, level, file, line, message, args, raised, function)
    _teller.tell(partial(_logger.handle, record), partial(_streams_of, _logger))


def warn(message: str, category: type[Warning] = UserWarning, *, stacklevel: int = 1) -> None:
    """`warnings.warn`; raises nothing but the warning itself, where the program makes errors of warnings."""
    frames = list(_frames(stacklevel + 1))
    frame = frames[-1]
    module, line = frame.f_globals.get("__name__") or "<unknown>", frame.f_lineno
    if _action(message, category, module, line) == "error":
        raise category(message)
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    show = partial(warnings.warn_explicit, message, category, frame.f_code.co_filename, line, module, registry)
    _teller.tell(show, _streams_of_warnings)
    flush(MOMENT if _in_loop() else GRACE)


def flush(seconds: float = GRACE) -> None:
    """Wait until all is told that was to be told so far, for so many seconds at most."""
    if (told := _mark(seconds)) is not None:
        wait((told,), _teller.seconds(seconds))


async def aflush() -> None:
    """`flush` for an event loop."""
    if (told := _mark(GRACE)) is not None:
        import asyncio

        await asyncio.wait((asyncio.wrap_future(told),), timeout=_teller.seconds(GRACE))


def takes_more(stream: Any, seconds: float = 0.0) -> bool:
    """Whether a stream takes a few more characters without blocking, now or within so many seconds."""
    try:
        descriptor = stream.fileno()
        if not hasattr(select, "poll"):
            return bool(select.select([], [descriptor], [], seconds)[1])
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))
    except Exception:  # no descriptor, or none that can be asked: it is no pipe
        return True


def is_watched(stream: Any) -> bool:
    """Whether a person sees what is written to a stream as it comes: on a terminal, or in a notebook's cell."""
    try:
        return bool(stream.isatty()) or type(stream).__module__.startswith("ipykernel.")
    except Exception:  # none, or such as a closed one's
        return False


def _mark(seconds: float) -> Future[None] | None:
    """What is done once all is told that was told so far; None where there is nothing to wait for, or no hope."""
    teller = _teller
    if (teller.since is None and teller.queue.empty()) or teller.seconds(seconds) <= 0 or sys.is_finalizing():
        return None
    told = Future[None]()
    teller.tell(partial(told.set_result, None), tuple)
    return told


def _in_loop() -> bool:
    try:
        running_loop()
    except RuntimeError:
        return False
    return True


def _frames(count: int) -> Iterator[FrameType]:
    """The frames from the caller's on, so many at most."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented
    while frame is not None and count > 0:
        yield frame
        frame, count = frame.f_back, count - 1


def _action(message: str, category: type[Warning], module: str, line: int) -> str:
    """What the program does with such a warning."""
    for action, text, kind, place, number in warnings.filters:
        found: tuple[tuple[Any, str], ...] = ((text, message), (place, module))
        if (
            issubclass(category, kind)
            and number in (0, line)
            and all(
                wanted is None or (wanted == given if isinstance(wanted, str) else wanted.match(given))
                for wanted, given in found
            )
        ):
            return action
    return "default"


def _streams_of(logger: logging.Logger | None) -> Iterator[Any]:
    """What the handlers of a logger write to."""
    handlers: list[logging.Handler] = []
    while logger is not None:
        handlers += logger.handlers
        logger = logger.parent if logger.propagate else None
    for handler in handlers or ([logging.lastResort] if logging.lastResort else []):
        if (stream := getattr(handler, "stream", None)) is not None:
            yield stream


def _streams_of_warnings() -> Iterator[Any]:
    shown_by = getattr(warnings.showwarning, "__module__", "")
    if shown_by == "warnings":
        yield sys.stderr
    elif shown_by == "logging":
        yield from _streams_of(logging.getLogger("py.warnings"))


atexit.register(flush)


def _after_fork() -> None:
    global _teller  # noqa: PLW0603 - a child has none of its parent's threads
    _teller = _Teller()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
