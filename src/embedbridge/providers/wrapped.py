"""Any other embedding object of either framework as a provider, so that it gets the cache, the checks and the rest."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from embedbridge.core.errors import ConfigurationError, RequestFailed
from embedbridge.core.kinds import Kind
from embedbridge.core.refusals import understand
from embedbridge.core.retry import retry_after
from embedbridge.core.types import Batch, InputType, Limits, Reply

from .base import BaseProvider, NoOptions, ProviderConfig

PAUSE = 0.002
"""Seconds between an event loop's attempts to get its turn."""
NO_TURN = "the wrapped object is still at work for another caller"


class WrappedOptions(NoOptions):
    """The object that does the work."""

    embeddings: Any


class WrappedProvider(BaseProvider):
    """Calls a framework's object. It may retry by itself: switch that off there, or set `max_retries=0` here."""

    options_type = WrappedOptions
    may_bill = True
    prefix_with_wire_type = True

    def __init__(self, config: ProviderConfig) -> None:
        if config.options.get("embeddings") is None:
            raise ConfigurationError(f"{self.name}:{config.model} needs its object; use wrap(…, name={config.model!r})")
        super().__init__(config)
        self.embeddings = self.options.embeddings
        self._turns = _Turns()

    @property
    def limits(self) -> Limits:
        """One at a time, sync and async alike: nobody promises that the object can be shared between threads."""
        return Limits(items=256, concurrency=1)

    def wire_type(self, input_type: InputType) -> str:
        """Which of its two methods is called."""
        return "query" if input_type == "query" else "document"

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Call the object; `timeout` bounds the wait for one's turn. Raises `RequestFailed`."""
        with self._turns.take(timeout):
            try:
                return Reply(self.vectors(batch))
            except Exception as error:  # noqa: BLE001 - a foreign object raises what it likes
                failure = _failure(error)
            raise failure

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """Call the object's async methods. Raises `RequestFailed`."""
        async with self._turns.atake(timeout):
            try:
                return Reply(await self.avectors(batch))
            except Exception as error:  # noqa: BLE001 - as above
                failure = _failure(error)
            raise failure

    def after_fork(self) -> None:
        """Whoever had the turn stayed behind."""
        self._turns = _Turns()

    def vectors(self, batch: Batch) -> Sequence[Any]:
        """One list of numbers for each text."""
        raise NotImplementedError

    async def avectors(self, batch: Batch) -> Sequence[Any]:
        """One list of numbers for each text."""
        raise NotImplementedError


class _Turns:
    """One caller at a time over all threads and event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        """The thread, or the loop's thread, whose turn it is."""

    @contextmanager
    def take(self, timeout: float) -> Iterator[None]:
        """A turn for this thread; at once, if this thread's own event loop has the turn: else it would deadlock."""
        if self._owner == threading.get_ident():
            yield
        elif self._lock.acquire(timeout=timeout):
            with self._held():
                yield
        else:
            raise RequestFailed(NO_TURN, kind="timeout")

    @asynccontextmanager
    async def atake(self, timeout: float) -> AsyncIterator[None]:
        """A turn for this task, without blocking its loop."""
        end = time.monotonic() + timeout
        while not self._lock.acquire(blocking=False):
            if time.monotonic() >= end:
                raise RequestFailed(NO_TURN, kind="timeout")
            await asyncio.sleep(PAUSE)
        with self._held():
            yield

    @contextmanager
    def _held(self) -> Iterator[None]:
        self._owner = threading.get_ident()
        try:
            yield
        finally:
            self._owner = None
            self._lock.release()


def _failure(error: Exception) -> RequestFailed:
    """A foreign error as `RequestFailed`, without its message, which may quote texts and keys."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None)
    status = _status(error) or _status(response)
    lost = isinstance(error, ConnectionError | TimeoutError) or re.search("Timeout|Connect", type(error).__name__)
    wait = retry_after(headers, time.time()) if isinstance(headers, Mapping) else None
    return RequestFailed(
        f"the wrapped object raised {type(error).__name__}",
        status=status,
        retry_after=wait,
        kind=Kind.CONNECTION if lost else _kind(status, _words(error), wait),
    )


def _status(thing: object) -> int | None:
    """The HTTP status that an error or a response has, by any of the names that SDKs give it."""
    found = (getattr(thing, name, None) for name in ("status_code", "status", "http_status"))
    return next((status for status in found if type(status) is int), None)


def _words(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - as above
        return ""


def _kind(status: int | None, said: str, wait: float | None) -> Kind:
    """What the error's message means, which is not kept. Without a status only its size can be at fault."""
    kind = understand(status, (), said, wait=wait).kind
    return kind if status is not None or kind in {Kind.TOO_LONG, Kind.OUT_OF_MEMORY} else Kind.NONE
