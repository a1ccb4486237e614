"""A model in memory: how many batches it computes at once, and with how many of the processor's threads each.

Texts are tokenised one batch at a time, while the model computes others. On a processor it computes several at once,
each with its share of the threads: threads that share one batch wait for one another at every layer, which costs more.
"""

from __future__ import annotations

import atexit
import concurrent.futures.process  # both cannot be imported any more once the main thread has ended,
import concurrent.futures.thread  # noqa: F401 - and what loads models needs them
import contextlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from embedbridge._core.locks import beginner
from embedbridge._core.types import Vectors
from embedbridge._threads.ends import start_thread

T = TypeVar("T")
_Work: TypeAlias = "tuple[Future[Any], Callable[[], Any]]"

WAIT = 5.0
"""Seconds that a fork, or the program's end, waits for batches in a model."""
LAST_WAIT = 60.0
"""Seconds that the program's end waits after that for the batches inside: ended there, they abort the process."""
GLANCE = 0.05
"""Seconds after which a batch that is not let in looks again."""


class Workers:
    """Threads that stay, until this object is gone. A call computes in its own thread where none can be started.

    One that ended after each batch would free memory under a lock of the arithmetic library: a child that is forked at
    that moment waits for it for ever. They are no executor, because the interpreter ends those first: before the
    threads that still work when the main thread has ended, and before the functions that `atexit` runs.
    """

    def __init__(self, count: int) -> None:
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._places = threading.Semaphore(count)
        self._started = 0
        with contextlib.suppress(RuntimeError):  # the interpreter ends, or the system has no more threads
            for _ in range(0 if sys.is_finalizing() else count):
                start_thread(partial(_serve, self._queue), "model")
                self._started += 1
        weakref.finalize(self, _end_all, self._queue, self._started).atexit = False

    def run(self, function: Callable[[], T]) -> T:
        """What the function returns, or raises."""
        if not self._started:
            with self._places:
                return function()
        outcome: Future[T] = Future()
        self._queue.put((outcome, function))
        return outcome.result()


def _serve(queue: SimpleQueue[_Work | None]) -> None:
    while (work := queue.get()) is not None:
        outcome, function = work
        found: Any = None
        error: BaseException | None = None
        try:
            found = function()
        except BaseException as raised:  # raised again in the thread that waits
            error = raised
        # Once the outcome is known the program may end, and this thread must not be freeing tensors then: torch gives
        # the interpreter's lock back for that, and a daemon thread that wants it again is ended amid torch's code.
        del work, function
        if error is None:
            outcome.set_result(found)
        else:
            outcome.set_exception(error)
        del outcome, found, error


def _end_all(queue: SimpleQueue[_Work | None], count: int) -> None:
    for _ in range(count):
        queue.put(None)


class LoadedModel:
    """One copy of a model's weights, for all embedders of a process.

    Args:
        model: a `SentenceTransformer`.
        at_once: batches that it may compute at once; more than 1 only for models that keep no state between batches.
    """

    def __init__(self, model: Any, *, at_once: int = 1) -> None:
        import torch
        from threadpoolctl import ThreadpoolController

        self.model = model
        self._threads = torch.get_num_threads()
        self._pools = ThreadpoolController().select(user_api="openmp")
        self._set_up(min(at_once, self._threads))
        self._pid = os.getpid()
        _models.add(self)

    def _set_up(self, at_once: int) -> None:
        self._at_once = at_once
        self._tokenizer = threading.Lock()
        self._entered, self._held, self._change = 0, False, threading.Condition()
        self._workers = Workers(at_once)

    def encode(self, texts: Sequence[str], prefix: str, *, task: str | None) -> Vectors:
        """One row for each text, shape `(n, dimensions)`, float32.

        Args:
            texts: without the prefix, which some models leave out of the pooling.
            prefix: put before each of them.
            task: for models with several adapters or routes, the name of the one to use; None: the model's default.
        """
        if not self.at_home:
            with _starting:
                if not self.at_home:
                    self._start_in_child()
        with self._inside():
            return self._encode(list(texts), prefix, task)

    def _encode(self, texts: list[str], prefix: str, task: str | None) -> Vectors:
        with self._tokenizer:  # a tokenizer keeps state between calls
            # Not `encode`, which would add the model's default prompt where there is no prefix.
            features = self.model.preprocess(texts, prompt=prefix or None, **named(task))
        return self._workers.run(partial(self._compute, features, task))

    def _compute(self, features: Any, task: str | None) -> Vectors:
        import torch
        from sentence_transformers.util import batch_to_device

        with torch.inference_mode(), self._share():
            found = self.model(batch_to_device(features, self.model.device), **named(task))["sentence_embedding"]
            vectors: Vectors = found[..., : self.model.truncate_dim].float().cpu().numpy().copy()  # no tensor's memory
        return vectors

    @property
    def at_home(self) -> bool:
        """Whether its locks and threads are of this process, and not of one that this was forked from."""
        return self._pid == os.getpid()

    @property
    def busy(self) -> bool:
        """Whether a batch of this process is being tokenised or computed."""
        return self.at_home and self._entered > 0

    def _share(self) -> contextlib.AbstractContextManager[Any]:
        """Limit this thread, and no other, to its share of the processor's threads."""
        share = self._threads // max(1, min(self._entered, self._at_once))
        return contextlib.nullcontext() if share == self._threads else self._pools.limit(limits=max(1, share))

    def _start_in_child(self) -> None:
        import torch

        # OpenMP's threads stay behind in the parent, and a child that waits for them waits for ever.
        torch.set_num_threads(1)
        self._threads = 1
        self._set_up(1)
        self._workers.run(partial(torch.set_num_threads, 1))  # which counts for each thread
        self._pid = os.getpid()  # last: from now on other threads take what is here for theirs

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        with self._change:
            while self._held and not _works_at_exit():
                self._change.wait(GLANCE)
            self._entered += 1
        try:
            yield
        finally:
            with self._change:
                self._entered -= 1
                self._change.notify_all()

    def hold(self, end: float) -> None:
        """Let no batch in, until `let_go`, and wait for those inside, until `end` at most."""
        with self._change:
            self._held = True
            self._change.wait_for(lambda: not self._entered, max(0.0, end - time.monotonic()))

    def let_go(self) -> None:
        """The opposite of `hold`."""
        with self._change:
            self._held = False
            self._change.notify_all()

    def after_fork(self) -> None:
        """Forget the parent's processes, in the child."""

    def close(self) -> None:
        """End other processes, where the model has any."""


def named(task: str | None) -> dict[str, str]:
    """As `encode` passes it on: no keyword where there is no task."""
    return {} if task is None else {"task": task}


_models: weakref.WeakSet[LoadedModel] = weakref.WeakSet()


_ending = False
_left: set[int] = set()
"""The application's threads that run when the program ends, whom no function of `atexit` waits for."""


@atexit.register
def _before_exit() -> None:
    """Let threads that nobody waits for out of all models, and none in again.

    The interpreter ends daemon threads when they come back from a native library, whose code then aborts the process.
    """
    global _ending
    end = time.monotonic() + WAIT
    while any(model.busy for model in tuple(_models)) and time.monotonic() < end:
        time.sleep(0.01)
    _left.update(sys._current_frames().keys() - {threading.get_ident()})  # noqa: SLF001 - public
    _ending, end = True, time.monotonic() + LAST_WAIT
    for model in tuple(_models):
        if model.at_home:
            model.hold(end)


def _works_at_exit() -> bool:
    """Whether this is the work of a function that `atexit` had before ours, which the main thread runs now."""
    if not _ending or beginner.get(threading.get_ident()) in _left:
        return False
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - public
    found = frame is not None
    while frame is not None:
        found &= frame.f_code is not _before_exit.__code__
        frame = frame.f_back
    return found


_starting, _forking = threading.Lock(), threading.Lock()


def _before_fork() -> None:
    """Wait for the batches in all models: a lock that a thread holds inside would be held in the child for ever."""
    _forking.acquire()
    end = time.monotonic() + WAIT
    for model in tuple(_models):
        if model.at_home:  # another one has no threads here, and its locks may be held for ever
            model.hold(end)


def _after_fork_in_parent() -> None:
    for model in tuple(_models):
        if model.at_home:
            model.let_go()
    _forking.release()


def _after_fork_in_child() -> None:
    global _starting, _forking
    _starting, _forking = threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
