"""A model with a process for each of several devices."""

from __future__ import annotations

import contextlib
import multiprocessing.process
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from embedbridge._core.types import Vectors
from embedbridge._threads.endings import Close, be_ready, close_without

from ._loaded_model import LoadedModel, named


class PooledModel(LoadedModel):
    """A model with a process for each of several devices; they live from the first batch until `close`."""

    def __init__(self, model: Any, devices: Sequence[str]) -> None:
        super().__init__(model)
        self._devices = list(devices)
        self._pool: dict[str, Any] | None = None
        self._stop: Callable[[], Close | None] = _nothing

    def _set_up(self, at_once: int) -> None:
        super()._set_up(at_once)
        self._pool_lock = threading.Lock()

    def _encode(self, texts: list[str], prefix: str, task: str | None) -> Vectors:
        part = -(-len(texts) // len(self._devices))
        with self._pool_lock:
            try:
                vectors = self.model.encode(
                    texts, prompt=prefix, pool=self._open(), chunk_size=part, batch_size=part, **named(task)
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
            be_ready()
            self._stop = close_without(self, partial(type(self.model).stop_multi_process_pool, self._pool))
        return self._pool

    def _shut(self) -> None:
        self._pool, stop = None, self._stop()
        if stop is not None:
            stop()

    def after_fork(self) -> None:
        """Forget the parent's processes, in the child: else its end would be theirs."""
        if self._stop() is not None and self._pool is not None:
            # `multiprocessing` knows no other way, and ends at exit whatever it has in this list.
            getattr(multiprocessing.process, "_children", set()).difference_update(self._pool["processes"])
        self._pool = None

    def close(self) -> None:
        """Stop the processes, after the batch that is under way; a later batch starts new ones."""
        if self.at_home:
            with self._pool_lock:
                self._shut()


def _nothing() -> None:
    """There is nothing to stop."""


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
