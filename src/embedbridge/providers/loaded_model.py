"""A model in memory: how many batches it computes at once, and with how many of the processor's threads each.

Texts are tokenised one batch at a time, while the model computes others. On a processor it computes several at once,
each with its share of the threads: threads that share one batch wait for one another at every layer, which costs more.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing.process
import os
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from embedbridge.core.types import Vectors

WAIT = 5.0
"""Seconds that a fork, or the program's end, waits for batches in a model."""


class LoadedModel:
    """One copy of a model's weights, for all embedders of a process.

    Args:
        model: a `SentenceTransformer`.
        at_once: batches that it may compute at once; more than 1 only for models that keep no state between batches.
    """

    def __init__(self, model: Any, *, at_once: int = 1) -> None:
        import torch  # noqa: PLC0415 - takes seconds
        from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - comes with the extra

        self.model = model
        self._threads = torch.get_num_threads()
        self._pools = ThreadpoolController().select(user_api="openmp")
        self._set_up(min(at_once, self._threads))
        _models.add(self)

    def _set_up(self, at_once: int) -> None:
        self._at_once, self._pid, self._entered = at_once, os.getpid(), 0
        self._tokenizer, self._counting = threading.Lock(), threading.Lock()
        self._computing, self._held, self._change = 0, False, threading.Condition()
        # Threads that stay. One that ends frees memory under a lock of the arithmetic library: a child that is forked
        # at that moment waits for it for ever.
        self._workers = ThreadPoolExecutor(at_once, "embedbridge-model")

    def encode(self, texts: Sequence[str], prefix: str, *, task: str) -> Vectors:
        """One row for each text, shape `(n, dimensions)`, float32.

        Args:
            texts: without the prefix, which some models leave out of the pooling.
            prefix: put before each of them.
            task: for models with several adapters or routes, the name of the one to use.
        """
        if not self.at_home:
            with _starting:
                if not self.at_home:
                    self._start_in_child()
        with self._counted():
            return self._encode(list(texts), prefix, task)

    def _encode(self, texts: list[str], prefix: str, task: str) -> Vectors:
        with self._tokenizer:  # a tokenizer keeps state between calls
            # Given a prompt, even an empty one, the model adds none of those saved with it.
            features = self.model.preprocess(texts, prompt=prefix, task=task)
        return self._workers.submit(self._compute, features, task).result()

    def _compute(self, features: Any, task: str) -> Vectors:
        import torch  # noqa: PLC0415 - takes seconds
        from sentence_transformers.util import batch_to_device  # noqa: PLC0415 - as above

        with torch.inference_mode(), self._inside(), self._share():
            found = self.model(batch_to_device(features, self.model.device), task=task)["sentence_embedding"]
            vectors: Vectors = found.float().cpu().numpy()
        return vectors

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._counting:
            self._entered += 1
        try:
            yield
        finally:
            with self._counting:
                self._entered -= 1

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
        share = self._threads // min(self._entered, self._at_once)
        return contextlib.nullcontext() if share == self._threads else self._pools.limit(limits=max(1, share))

    def _start_in_child(self) -> None:
        import torch  # noqa: PLC0415 - takes seconds

        # OpenMP's threads stay behind in the parent, and a child that waits for them waits for ever.
        torch.set_num_threads(1)
        self._threads = 1
        self._set_up(1)
        self._workers.submit(torch.set_num_threads, 1).result()  # which counts for each thread

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        with self._change:
            self._change.wait_for(lambda: not self._held)
            self._computing += 1
        try:
            yield
        finally:
            with self._change:
                self._computing -= 1
                self._change.notify_all()

    def hold(self, end: float) -> None:
        """Let no batch in, until `let_go`, and wait for those inside, until `end` at most."""
        with self._change:
            self._held = True
            self._change.wait_for(lambda: not self._computing, max(0.0, end - time.monotonic()))

    def let_go(self) -> None:
        """The opposite of `hold`."""
        with self._change:
            self._held = False
            self._change.notify_all()

    def after_fork(self) -> None:
        """Forget the parent's processes, in the child."""

    def close(self) -> None:
        """End other processes, where the model has any."""


_models: weakref.WeakSet[LoadedModel] = weakref.WeakSet()


@atexit.register
def _before_exit() -> None:
    """Wait for batches that nobody waits for: a thread that is ended inside of a native library aborts the process."""
    end = time.monotonic() + WAIT
    while any(model.busy for model in tuple(_models)) and time.monotonic() < end:
        time.sleep(0.01)


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


class PooledModel(LoadedModel):
    """A model with a process for each of several devices; they live from the first batch until `close`."""

    def __init__(self, model: Any, devices: Sequence[str]) -> None:
        super().__init__(model)
        self._devices = list(devices)
        self._pool: dict[str, Any] | None = None
        self._stop: weakref.finalize[Any, Any] | None = None

    def _set_up(self, at_once: int) -> None:
        super()._set_up(at_once)
        self._pool_lock = threading.Lock()

    def _encode(self, texts: list[str], prefix: str, task: str) -> Vectors:
        part = -(-len(texts) // len(self._devices))
        with self._pool_lock:
            try:
                vectors = self.model.encode(
                    texts, prompt=prefix, task=task, pool=self._open(), chunk_size=part, batch_size=part
                )
            except BaseException:
                # What the processes still send would be taken for the answer to the next batch.
                self._shut()
                raise
        return np.asarray(vectors, dtype=np.float32)

    def _open(self) -> dict[str, Any]:
        if self._pool is None:
            with _fewer_threads(self._threads // len(self._devices), self._devices):
                self._pool = self.model.start_multi_process_pool(self._devices)
            self._stop = weakref.finalize(self, type(self.model).stop_multi_process_pool, self._pool)
        return self._pool

    def _shut(self) -> None:
        self._pool, stop = None, self._stop
        if stop is not None:
            stop()

    def after_fork(self) -> None:
        """Forget the parent's processes, in the child: else its end would be theirs."""
        if self._stop is not None and self._stop.detach() and self._pool is not None:
            # `multiprocessing` knows no other way, and ends at exit whatever it has in this list.
            getattr(multiprocessing.process, "_children", set()).difference_update(self._pool["processes"])
        self._pool = self._stop = None

    def close(self) -> None:
        """Stop the processes, after the batch that is under way; a later batch starts new ones."""
        if self.at_home:
            with self._pool_lock:
                self._shut()


@contextlib.contextmanager
def _fewer_threads(threads: int, devices: Sequence[str]) -> Iterator[None]:
    """Let processes that start inside use so many threads each, if all of them compute on the processor."""
    name = "OMP_NUM_THREADS"
    if name in os.environ or any(device != "cpu" for device in devices):
        yield
        return
    os.environ[name] = str(max(1, threads))
    try:
        yield
    finally:
        os.environ.pop(name, None)
