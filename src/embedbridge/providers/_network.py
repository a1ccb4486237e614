"""Network backends for httpcore: every connection goes through them, and what an exchange spends its time on is known.

A timeout of httpcore bounds a single step, so a server that sends or reads a byte now and then could hold a thread for
ever. And when a server answers one request twice, the second answer would be taken for that to the next request.
"""

from __future__ import annotations

import asyncio
import encodings.idna  # noqa: F401 - else the first look-up of a name imports it
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any, cast

from embedbridge._threads.background import in_background, run_in_background

CONNECTING, SENDING = "connecting", "sending the request"
WAITING, RECEIVING = "waiting for the first byte of the answer", "receiving the answer"
READING = {CONNECTING: CONNECTING, SENDING: WAITING, WAITING: RECEIVING, RECEIVING: RECEIVING}
"""What a step becomes when bytes are awaited. To reach a server through a proxy takes an answer of the proxy."""
PIECE = 16_384
"""Bytes that are sent at once: so few that a socket which can take any takes all of them."""
HEAD = 4096
"""Bytes of the beginning of an answer that are kept."""
HEDGE = 2.0
"""Seconds after which the next address of a host is tried."""


@dataclass(slots=True)
class Progress:
    """How far an exchange has come, and when it must end."""

    timeout: float
    """Seconds."""
    begun: float = field(default_factory=time.monotonic)
    step: str = CONNECTING
    proxied: bool = False
    """Whether the connection is one to a proxy."""
    secure: bool = False
    """Whether TLS is spoken to the server."""
    head: bytes = b""
    """The first bytes heard since a write: the HTTP library tells neither a proxy's headers nor what is no HTTP."""

    def left(self) -> float:
        """Seconds until the timeout. Raises TimeoutError after it."""
        left = self.begun + self.timeout - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


under_way: ContextVar[Progress] = ContextVar("embedbridge_exchange")
"""The exchange of this thread or task."""


def time_left() -> float | None:
    """Seconds that the exchange of this thread or task has left; None outside of any."""
    progress = under_way.get(None)
    return None if progress is None else progress.left()


class _Watched:
    """A connection."""

    heard = False
    """Whether anything was read since the last write. An early answer was read before: httpcore holds its bytes."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.get_extra_info = stream, stream.get_extra_info

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Stream(_Watched):
    """A blocking connection. The exchange's end takes the place of the timeout of each step."""

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        self.heard, progress = True, under_way.get()
        progress.step = READING[progress.step]
        data = self._stream.read(max_bytes, progress.left())
        progress.head += data[: max(0, HEAD - len(progress.head))]
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.heard, progress = False, under_way.get()
        progress.head, progress.step = b"", CONNECTING if buffer.startswith(b"CONNECT ") else SENDING
        for at in range(0, len(buffer), PIECE):
            self._stream.write(buffer[at : at + PIECE], progress.left())

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> _Stream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, under_way.get().left()))


class _AsyncStream(_Watched):
    """An async connection, whose steps are cancelled when the exchange ends.

    None raises that by itself: over HTTP/2 an error in a step would end all requests that share the connection.
    """

    async def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        self.heard, progress = True, under_way.get()
        progress.step = READING[progress.step]
        data = await self._stream.read(max_bytes, timeout)
        progress.head += data[: max(0, HEAD - len(progress.head))]
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.heard, progress = False, under_way.get()
        progress.head, progress.step = b"", CONNECTING if buffer.startswith(b"CONNECT ") else SENDING
        for at in range(0, len(buffer), PIECE):
            await self._stream.write(buffer[at : at + PIECE], timeout)

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> _AsyncStream:
        return _AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))


class Backend:
    """Connects for `httpcore.ConnectionPool`, within the exchange's time."""

    def __init__(self, core: Any) -> None:
        self._connect, self._failures = core.SyncBackend().connect_tcp, (core.ConnectError, core.ConnectTimeout)

    def connect_tcp(self, host: str, port: int, **options: Any) -> _Stream:
        """A connection, to the first of the host's addresses that takes one."""
        left = under_way.get().left()
        # In a thread, because the name look-up has no timeout; a connection that comes too late is closed.
        connection = in_background(partial(self._connect_first, host, port, options, left))
        try:
            return _Stream(connection.result(left))
        except TimeoutError:
            connection.add_done_callback(_close)
            raise

    def _connect_first(self, host: str, port: int, options: dict[str, Any], left: float) -> Any:
        *others, last = addresses(host, port)
        for address in others:
            with suppress(*self._failures):
                return self._connect(address, port, **(options | {"timeout": min(left, HEDGE)}))
        return self._connect(last, port, **(options | {"timeout": left}))


class AsyncBackend:
    """Connects for `httpcore.AsyncConnectionPool`; names are looked up in a thread of our own."""

    def __init__(self, core: Any) -> None:
        self._connect, self._failures = core.AnyIOBackend().connect_tcp, (core.ConnectError, TimeoutError)
        with suppress(ImportError):  # here, in a thread; else anyio does it at the first connection, on the event loop
            import_module("anyio._backends._asyncio")

    async def connect_tcp(self, host: str, port: int, **options: Any) -> _AsyncStream:
        """The same as in `Backend`."""
        *others, last = await run_in_background(partial(addresses, host, port))
        for address in others:
            with suppress(*self._failures):
                async with asyncio.timeout(HEDGE):
                    return _AsyncStream(await self._connect(address, port, **options))
        return _AsyncStream(await self._connect(last, port, **options))


def addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order in which to try them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(cast("str", entry[4][0]) for entry in found))


def _close(connection: Future[Any]) -> None:
    if connection.exception() is None:
        connection.result().close()
