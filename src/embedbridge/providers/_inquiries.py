"""One exchange with a hosted API, whatever is asked; and small requests for something else than vectors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from pydantic import SecretStr

from embedbridge._core.servers import Inquiry
from embedbridge._threads.background import in_background, run_in_thread
from embedbridge.errors import RequestFailed

from ._clients import Clients
from ._wire import Exchange, exchange

MOST_INLINE = 1 << 17
"""Bytes of an answer that are read on the event loop, in about a millisecond; longer ones are read in a thread."""
BYTES_A_TOKEN = 256
"""The most bytes that a server spends on a token when it counts those of a text."""
T = TypeVar("T")


class Inquirer:
    """The part of a hosted provider that has its clients ask."""

    key: SecretStr | None
    sent_headers: Collection[str] = ()
    """Names of all headers that may be sent; empty: those that the SDK sends."""
    _clients: Clients

    def secret(self) -> str:
        """The key, to be kept out of errors."""
        return self.key.get_secret_value() if self.key else ""

    def converse(self, held: Exchange, send: Callable[[Any], Any], read: Callable[[Exchange], T]) -> T:
        """Have the blocking client `send` one request, and `read` what came of it. Raises `RequestFailed`."""
        with self._clients.use(held.timeout) as client:
            with exchange(held):
                send(client)
            return read(held)

    async def aconverse(self, held: Exchange, send: Callable[[Any], Any], read: Callable[[Exchange], T]) -> T:
        """The same by the running loop's client; a long answer is read in a thread."""
        async with self._clients.ause(held.timeout) as client:
            with exchange(held):
                await send(client)
            return read(held) if len(held.data) <= MOST_INLINE else await run_in_thread(partial(read, held))

    def inquire(self, inquiries: Sequence[Inquiry], *, timeout: float, at_once: int) -> list[Any]:
        """Send small requests, some at once; the JSON of each one's answer, or None. Raises nothing; ends in time."""
        found: list[Any] = []
        for part, left in _in_turn(inquiries, timeout, at_once):
            running = [in_background(partial(self._inquire, inquiry, left)) for inquiry in part]
            found += [future.result() for future in running]
        return found + [None] * (len(inquiries) - len(found))

    async def ainquire(self, inquiries: Sequence[Inquiry], *, timeout: float, at_once: int) -> list[Any]:
        """The same, without blocking the event loop."""
        found: list[Any] = []
        for part, left in _in_turn(inquiries, timeout, at_once):
            found += await asyncio.gather(*(self._ainquire(inquiry, left) for inquiry in part))
        return found + [None] * (len(inquiries) - len(found))

    def _inquire(self, inquiry: Inquiry, timeout: float) -> Any:
        with suppress(RequestFailed):
            return self.converse(
                self._small(inquiry, timeout), lambda client: self.send_inquiry(client, inquiry), Exchange.answer
            )
        return None

    async def _ainquire(self, inquiry: Inquiry, timeout: float) -> Any:
        with suppress(RequestFailed):
            return await self.aconverse(
                self._small(inquiry, timeout), lambda client: self.send_inquiry(client, inquiry), Exchange.answer
            )
        return None

    def _small(self, inquiry: Inquiry, timeout: float) -> Exchange:
        asked = sum(len(value) for value in (inquiry.body or {}).values() if isinstance(value, str))
        most = (1 << 20) + BYTES_A_TOKEN * asked
        return Exchange(timeout, max_bytes=most, sent_headers=self.sent_headers)

    def send_inquiry(self, client: Any, inquiry: Inquiry) -> Any:
        """Send a small request by the SDK, as `send` does."""
        raise NotImplementedError


def _in_turn(inquiries: Sequence[Inquiry], timeout: float, at_once: int) -> Iterator[tuple[Sequence[Inquiry], float]]:
    """Parts of small requests, each with the seconds that are left for it, as long as there are any."""
    end = time.monotonic() + timeout
    for first in range(0, len(inquiries), at_once):
        if (left := end - time.monotonic()) <= 0:
            return
        yield inquiries[first : first + at_once], left
