"""The clients of a hosted API: how they are made and closed, and one exchange by them, whatever is asked."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, TypeVar

from pydantic import SecretStr

from embedbridge._core.servers import Inquiry
from embedbridge._threads.background import in_background, run_in_thread
from embedbridge._threads.imports import importing
from embedbridge.errors import EmbeddingError, RequestFailed

from ._clients import Clients
from ._server_identity import ServerIdentity
from ._wire import Exchange, exchange, make_transport

MOST_INLINE = 1 << 17
"""Bytes of an answer that are read on the event loop, in about a millisecond; longer ones are read in a thread."""
BYTES_A_TOKEN = 256
"""The most bytes that a server spends on a token when it counts those of a text."""
NETWORK_VARIABLES = re.compile("(https?|all|no)_proxy|ssl_cert_(file|dir)|sslkeylogfile", re.IGNORECASE)
"""Environment variables that every client reads: one with a wrong value is an error at the first request."""
T = TypeVar("T")


class Connected(ServerIdentity):
    """The part of a hosted provider that has clients, one per process and one per event loop, and has them ask."""

    library: ClassVar[str] = "httpx2"
    """What requests are sent by: `httpx2`, or `httpx` where the SDK runs on that."""
    sent_headers: Collection[str] = ()
    """Names of all headers that may be sent; empty: those that the SDK sends."""
    key: SecretStr | None

    def connect(self, transport: Any, *, blocking: bool) -> Any:
        """Make what `send` gets. Override it to make an SDK's client.

        Args:
            transport: ours, of the HTTP library named in `library`.
            blocking: whether the blocking client is wanted, or the async one.

        Returns:
            A client over `transport`; without an SDK, that of the HTTP library.
        """
        return self.http_client(transport, blocking=blocking)

    def http_client(self, transport: Any, *, blocking: bool) -> Any:
        """Make a client of the HTTP library, for SDKs that take one.

        Args:
            transport: ours, of the HTTP library named in `library`.
            blocking: whether the blocking client is wanted, or the async one.

        Returns:
            A client that reads nothing from the environment.
        """
        kind = "Client" if blocking else "AsyncClient"
        return getattr(import_module(self.library), kind)(transport=transport, trust_env=False)

    def _make(self, *, blocking: bool) -> tuple[Any, Any]:
        """The SDK's client and its transport. Raises `RequestFailed`, mostly because of what is in the environment."""
        try:
            with importing():
                hidden, place = [self.secret()], self.address()
                transport = make_transport(self.library, self.options, place, blocking=blocking, secrets=hidden)
                return self.connect(transport, blocking=blocking), transport
        except (EmbeddingError, RequestFailed):
            raise
        except Exception as error:  # of httpx, ssl or the SDK, about a path, an address or a package
            why = type(error).__name__
        # Raised outside of the handler, and so without the cause: that may hold a proxy's password.
        known = ", ".join(name for name, value in os.environ.items() if value and NETWORK_VARIABLES.fullmatch(name))
        told = f"; look at what is set in the environment: {known}" if known else ""
        raise RequestFailed(f"no client could be made ({why}){told}", kind="configuration")

    def close(self) -> None:
        """Close the blocking client, once its last request has ended; a later request opens a new one."""
        self._clients.close()

    async def aclose(self) -> None:
        """`close` for the running loop's client."""
        await self._clients.aclose()

    def after_fork(self) -> None:
        """Drop the clients: their sockets belong to the parent."""
        self._clients = Clients(self._make)

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
