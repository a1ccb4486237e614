"""Small requests to a hosted API for something else than vectors, by the same clients, with the same key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from embedbridge.background import in_background, run_in_thread
from embedbridge.core.errors import RequestFailed
from embedbridge.core.servers import Inquiry

from .clients import Clients
from .wire import Exchange, exchange

MOST_INLINE = 1 << 17
"""Bytes of an answer that are read on the event loop, in about a millisecond; longer ones are read in a thread."""
BYTES_A_TOKEN = 256
"""The most bytes that a server spends on a token when it counts those of a text."""


class Inquirer:
    """The part of a hosted provider that sends such requests."""

    sent_headers: Collection[str]
    _clients: Clients

    def secret(self) -> str:
        """The key, to be kept out of errors."""
        raise NotImplementedError

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
        held = self._small(inquiry, timeout)
        with suppress(RequestFailed), self._clients.use(timeout) as client:
            with exchange(held):
                self.send_inquiry(client, inquiry)
            return held.answer()
        return None

    async def _ainquire(self, inquiry: Inquiry, timeout: float) -> Any:
        held = self._small(inquiry, timeout)
        with suppress(RequestFailed):
            async with self._clients.ause(timeout) as client:
                with exchange(held):
                    await self.send_inquiry(client, inquiry)
                return held.answer() if len(held.data) <= MOST_INLINE else await run_in_thread(held.answer)
        return None

    def _small(self, inquiry: Inquiry, timeout: float) -> Exchange:
        asked = sum(len(value) for value in (inquiry.body or {}).values() if isinstance(value, str))
        most = (1 << 20) + BYTES_A_TOKEN * asked
        return Exchange(timeout, max_bytes=most, secrets=[self.secret()], sent_headers=self.sent_headers)

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
