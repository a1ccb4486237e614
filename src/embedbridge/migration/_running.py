"""`run`, as a call and as a coroutine: its arguments checked, its progress told, and its end when it is given up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from embedbridge._threads.background import run_in_background
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, EmbeddingError

from ._building import Outcome, build
from ._indexes import Address, opened

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Running:
    """How an index is built. Called, it builds it; the arguments are those of `run`."""

    batch: bool
    wait: bool
    queue_tokens: int | None
    progress: Progress | None
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        for name in ("batch", "wait"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name}= is True or False, not {getattr(self, name)!r}")
        if not self.batch and (self.wait or self.queue_tokens is not None):
            raise ConfigurationError("wait= and queue_tokens= go with batch=True")
        if self.queue_tokens is not None and (type(self.queue_tokens) is not int or self.queue_tokens < 1):
            raise ConfigurationError(f"queue_tokens= is a whole number of at least 1, not {self.queue_tokens!r}")
        if self.progress is not None and not callable(self.progress):
            raise ConfigurationError(f"progress is a function of two numbers, not {self.progress!r}")

    def __call__(self, index: Address, embedder: Embedder) -> Outcome:
        done, whole = 0, 0

        def tell(some: int) -> None:
            nonlocal done, whole
            if self.stop.is_set():
                raise EmbeddingError("the run was given up; what was written stays, and the next run goes on")
            done += some
            if self.progress is not None:
                whole = max(whole or found.store.count(found.store.name), done)
                self.progress(done, whole)

        with opened(index) as found:
            return build(found, embedder, tell, batch=self.batch, wait=self.wait, queue_tokens=self.queue_tokens)

    async def in_background(self, index: Address, embedder: Embedder) -> Outcome:
        """The same as a coroutine."""
        try:
            return await run_in_background(partial(self, index, embedder))
        except asyncio.CancelledError:
            self.stop.set()
            raise
