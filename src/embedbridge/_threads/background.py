"""Functions in daemon threads of our own: no executor, event loop, fork or end of the program can withhold them.

`run_in_thread` has a few threads that stay, for work that ends soon; `run_in_background` starts one, for work that may
take long. Nothing here is an executor of `concurrent.futures`, whose threads the interpreter ends before the others.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from embedbridge._core.locks import PATIENCE, beginner, callers, calling_threads, stuck
from embedbridge._core.signals import Signal
from embedbridge.errors import THE_END, ConfigurationError, EmbeddingError

from .ends import start_thread

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

GRACE = 1.0
"""Seconds that a call or stream which is given up waits for answers under way, so that what was paid for is stored."""
THREADS = 16
"""Threads for short work; there are more of them only while none of these gets on."""
STALLED = 0.25
"""Seconds after which work that no thread has begun gets one more thread."""

_get_handler: Callable[[int], Any] = getattr(signal, "_signal", signal).getsignal
"""`signal.getsignal` without its enumeration, which takes ten times as long."""
_SIGNALS = range(1, signal.NSIG)


def check_not_ended() -> None:
    """Raise `EmbeddingError` in finalizers that run at the interpreter's very end, where threads do nothing."""
    if sys.is_finalizing():
        raise EmbeddingError(THE_END)


def running_loop() -> asyncio.AbstractEventLoop:
    """The running event loop. Raises RuntimeError where there is none, as in a program that has not loaded asyncio."""
    loaded: Any = sys.modules.get("asyncio")
    if loaded is None:
        raise RuntimeError("no running event loop")
    loop: asyncio.AbstractEventLoop = loaded.get_running_loop()
    return loop


def check_asyncio() -> None:
    """Raise `ConfigurationError` outside of asyncio's event loops, uvloop's among them: others cannot run our tasks."""
    try:
        running_loop()
    except RuntimeError:
        check_not_ended()
        raise ConfigurationError(
            "the async methods need an event loop of asyncio, such as asyncio.run gives; under trio call the others in "
            "a thread, as in: await trio.to_thread.run_sync(embedder.embed_documents, texts)"
        ) from None


def in_background(function: Callable[[], T]) -> Future[T]:
    """Run a function in a daemon thread, with the caller's context variables.

    Whoever waits for the outcome may give up; a Ctrl-C and the end of the interpreter do not wait for the thread.
    """
    work = _Work(function)
    work.begin()
    return work.outcome


def undisturbed(function: Callable[[Signal | None], T]) -> T:
    """Run a function in a thread, where this one may be interrupted by a signal handler that calls us, too.

    So the handler finds none of our locks and places held, and what it interrupts goes on meanwhile.

    Args:
        function: is given a signal after which it sends nothing more, or None.

    Raises:
        EmbeddingError: this thread is in the handler, which has interrupted it while it held what the function needs.
    """
    if threading.get_ident() != threading.main_thread().ident or not _is_interruptible():
        return function(None)
    stop, own = Signal(), threading.get_ident()
    stuck.discard(own)
    work = _Work(partial(function, stop))
    outcome: Future[T] = work.outcome
    try:
        work.begin()
        while own not in stuck and not wait((outcome,), PATIENCE).done:
            pass
    except BaseException:
        stop.set()
        if work.begun:  # a thread that was interrupted while it started may never run
            wait((outcome,), GRACE)
        raise
    if outcome.done():
        return outcome.result()
    stop.set()
    stuck.discard(own)
    raise EmbeddingError(
        "a signal handler cannot embed or close at this moment, because it has interrupted embedbridge at work: do it "
        "in loop.add_signal_handler, or let the handler start a thread"
    )


def _is_interruptible() -> bool:
    """Whether the application handles signals: not by default, as KeyboardInterrupt, or by `asyncio` for itself."""
    for handler in filter(callable, map(_get_handler, _SIGNALS)):
        if handler is signal.default_int_handler:
            continue
        maker = getattr(getattr(handler, "func", handler), "__module__", None) or ""
        if maker.partition(".")[0] != "asyncio":
            return True
    return False


def in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Run a function that ends soon in one of a few threads. It runs to its end, even when the future is cancelled."""
    check_not_ended()
    work = _Work(function)
    _threads.submit(work)
    return _outcome(work)


async def run_in_thread(function: Callable[[], T]) -> T:
    """`in_thread` as a coroutine."""
    return await in_thread(function)


async def run_in_background(function: Callable[[], T]) -> T:
    """Run a function in a thread of its own. It runs to its end, even when this is cancelled."""
    work = _Work(function)
    start_thread(work.run, "run", work.run)
    outcome: T = await _outcome(work)
    return outcome


class _Work:
    """A function, the context that it runs in, and what comes of it."""

    __slots__ = ("_function", "begun", "context", "outcome")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.context, self._function = copy_context(), function
        if beginner not in self.context:
            self.context.run(beginner.set, threading.get_ident())
        self.outcome: Future[Any] = Future()
        self.begun = False

    def begin(self) -> None:
        """Run it in a thread of its own, which knows that this one may wait for it."""
        self.context.run(callers.set, calling_threads())
        start_thread(self.run, "run", self.run)

    def run(self) -> None:
        """Run the function, once."""
        self.begun = True
        try:
            found = self.context.run(self._function)
        except BaseException as error:  # raised again where the outcome is wanted
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(found)


def _outcome(work: _Work) -> asyncio.Future[Any]:
    """A future of the running loop. Unlike `asyncio.wrap_future`'s, its end is not the end of the work."""
    loop = running_loop()
    outcome: asyncio.Future[Any] = loop.create_future()

    def settle(done: Future[Any]) -> None:
        error = done.exception()
        if outcome.done():
            return
        if error is None:
            outcome.set_result(done.result())
        else:  # no future takes a StopIteration
            outcome.set_exception(RuntimeError(repr(error)) if isinstance(error, StopIteration) else error)

    def wake(done: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(settle, done)

    work.outcome.add_done_callback(wake)
    return outcome


class _Threads:
    """Threads that take work from one queue and stay."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[_Work] = deque()
        self._count = self._idle = 0
        self._moved = 0.0
        """When a thread last took work."""

    def submit(self, work: _Work) -> None:
        """Take work, from an event loop."""
        with self._changed:
            self._waiting.append(work)
            if len(self._waiting) <= self._idle:
                self._changed.notify()
                return
        if self._count < THREADS:
            self._add()
        else:
            running_loop().call_later(STALLED, self._relieve, work)

    def _relieve(self, work: _Work) -> None:
        """Add a thread if none of the others gets on: they may all wait for what only such work can bring."""
        if work.begun:
            return
        if time.monotonic() - self._moved >= STALLED:
            self._add()
        running_loop().call_later(STALLED, self._relieve, work)

    def _add(self) -> None:
        with self._changed:
            self._count += 1
            self._moved = time.monotonic()
        start_thread(self.serve, "serve", self._do_without)

    def _do_without(self) -> None:
        with self._changed:
            self._count -= 1
            work = self._waiting.popleft() if self._waiting else None
        if work is not None:
            work.run()

    def serve(self) -> None:
        """Take work until there are too many threads."""
        while (work := self._next()) is not None:
            work.run()
            work = None  # what it refers to is not ours to keep

    def _next(self) -> _Work | None:
        """The next work; None for a thread that is one too many."""
        with self._changed:
            while not self._waiting:
                if self._count > THREADS:
                    self._count -= 1
                    return None
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            self._moved = time.monotonic()
            return self._waiting.popleft()


_threads = _Threads()


def _after_fork() -> None:
    global _threads  # noqa: PLW0603 - a child has none of its parent's threads
    _threads = _Threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
