"""The clients of a provider: one for all threads, one for each event loop, each closed with its last user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import wait
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

from embedbridge._core.locks import OwnLock
from embedbridge._threads.background import in_background
from embedbridge.errors import RequestFailed

MAKING = "the client was being made"
"""What a call waits for that comes before there is one: mostly for the import of an SDK."""


class Clients:
    """Opens a client when it is wanted. `close` and `aclose` end no use: later uses open a new client.

    Args:
        make: gives the SDK's client and its transport; called with `blocking`, in a thread, because importing an SDK
            takes seconds.
    """

    def __init__(self, make: Callable[..., tuple[Any, Any]]) -> None:
        self._make = make
        self._lock = OwnLock()
        self._shared: dict[asyncio.AbstractEventLoop | None, _Shared] = {}

    def are_ready(self, loop: asyncio.AbstractEventLoop | None = None) -> bool:
        """Whether there is a client that was used before: of a loop, or the blocking one."""
        shared = self._shared.get(loop)
        return shared is not None and shared.both is not None

    @contextmanager
    def use(self, seconds: float | None) -> Iterator[Any]:
        """The blocking client. Raises `RequestFailed` when it is not made in so many seconds; None: no limit."""
        shared = self._take(None)
        try:
            if shared.both is None:
                wait((shared.made,), seconds)
            yield (shared.both or shared.take_both())[0]
        finally:
            if self._is_over(shared):
                shared.close()

    @asynccontextmanager
    async def ause(self, seconds: float | None) -> AsyncIterator[Any]:
        """The running loop's client, as `use` gives the blocking one."""
        shared = self._take(asyncio.get_running_loop())
        try:
            if not shared.made.done():
                known = asyncio.wrap_future(shared.made)
                known.add_done_callback(asyncio.Future.exception)  # looked at, for it may be raised nowhere
                await asyncio.wait((known,), timeout=seconds)
            client, transport = shared.both or shared.take_both()
            if shared.life is None:
                shared.life = _until_loop_ends(transport)
                await anext(shared.life)
            yield client
        finally:
            if self._is_over(shared):
                await shared.aclose()

    def close(self) -> None:
        """Close the blocking client."""
        shared = self._shared.pop(None, None)
        if shared is not None and self._is_over(shared, retired=True):
            shared.close()

    async def aclose(self) -> None:
        """Close the running loop's client."""
        shared = self._shared.pop(asyncio.get_running_loop(), None)
        if shared is not None and self._is_over(shared, retired=True):
            await shared.aclose()

    def _take(self, loop: asyncio.AbstractEventLoop | None) -> _Shared:
        with self._lock:
            shared = self._shared.get(loop)
            if shared is None or (shared.both is None and shared.failed()):
                for ended in [known for known in self._shared if known is not None and known.is_closed()]:
                    del self._shared[ended]
                shared = self._shared[loop] = _Shared(partial(self._make, blocking=loop is None))
            shared.users += 1
            return shared

    def _is_over(self, shared: _Shared, *, retired: bool = False) -> bool:
        """End a use of a client, or all later uses. True: nobody uses it any more, so it is to be closed."""
        with self._lock:
            shared.retired |= retired
            shared.users -= not retired
            return shared.retired and not shared.users


class _Shared:
    """A client and its transport."""

    def __init__(self, make: Callable[[], tuple[Any, Any]]) -> None:
        self.made = in_background(make)
        self.both: tuple[Any, Any] | None = None
        """The client and its transport, once they were used."""
        self.users, self.retired = 0, False
        self.life: AsyncGenerator[None] | None = None

    def take_both(self) -> tuple[Any, Any]:
        """The client and its transport. Raises `RequestFailed` when they are not there yet."""
        if not self.made.done():
            raise RequestFailed(f"the time was over while {MAKING}", kind="timeout", doing=MAKING)
        self.both = self.made.result()
        return self.both

    def failed(self) -> bool:
        """Whether they could not be made; the next use tries again."""
        return self.made.done() and self.made.exception() is not None

    def close(self) -> None:
        if self.made.done() and not self.failed():
            self.made.result()[1].close()

    async def aclose(self) -> None:
        if self.life is not None:
            await self.life.aclose()


async def _until_loop_ends(transport: Any) -> AsyncGenerator[None]:
    """Closes a transport at its own end: `asyncio.run` ends the generators that were started in its loop."""
    loop = asyncio.get_running_loop()
    try:
        yield
    finally:
        with suppress(RuntimeError):  # where no loop runs, nothing can be awaited
            if asyncio.get_running_loop() is loop:
                await transport.aclose()
