"""Network backends for httpx: they keep blocking calls to a deadline, and notice an answer that came too early.

A timeout of httpx bounds a single read, so a server that sends a byte now and then could hold a thread for ever. And
when a server answers one request twice, the second answer would be taken for that to the next request.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeAlias

import httpcore
import httpx

from embedbridge.background import in_background

Left: TypeAlias = Callable[[], float]
"""Seconds until the deadline; negative after it."""


def keep_to_deadline(client: httpx.Client, left: Left) -> None:
    """Bound every connection of `client` by the deadline, proxied ones included, and watch for early answers."""
    _replace_backends(client, lambda backend: _Backend(backend, left))


def watch(client: httpx.AsyncClient) -> None:
    """Watch every connection of `client` for early answers. Its deadline is kept elsewhere, by `asyncio.timeout`."""
    _replace_backends(client, _AsyncBackend)


def came_before(response: httpx.Response) -> bool:
    """Whether an answer was there before its request was sent: then it answers an earlier request."""
    return getattr(response.extensions.get("network_stream"), "heard", True) is False


def _replace_backends(client: httpx.Client | httpx.AsyncClient, wrapped: Callable[[Any], Any]) -> None:
    """Wrap the backends of the client's pools; httpx has no public way to do so.

    If a later version of httpx keeps them elsewhere, nothing is wrapped, and its own timeouts still bound each read.
    """
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = wrapped(pool._network_backend)  # noqa: SLF001


class _Backend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend, left: Left) -> None:
        self._backend, self._left = backend, left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline comes first
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = _before_deadline(self._left(), httpcore.ConnectTimeout)
        connect = partial(self._backend.connect_tcp, host, port, left, local_address, socket_options)
        return _Stream(_in_time(left, connect), self._left)


class _Stream(httpcore.NetworkStream):
    heard = False
    """Whether anything was read since the last write. An early answer was read before: httpcore holds its bytes."""

    def __init__(self, stream: httpcore.NetworkStream, left: Left) -> None:
        self._stream, self._left = stream, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        self.heard = True
        return self._stream.read(max_bytes, _before_deadline(self._left(), httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self.heard = False
        self._stream.write(buffer, _before_deadline(self._left(), httpcore.WriteTimeout))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        left = _before_deadline(self._left(), httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._left)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._backend.connect_tcp(host, port, timeout, local_address, socket_options))


class _AsyncStream(httpcore.AsyncNetworkStream):
    heard = False
    """As in `_Stream`."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.heard = True
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.heard = False
        await self._stream.write(buffer, timeout)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _in_time(seconds: float, connect: Callable[[], httpcore.NetworkStream]) -> httpcore.NetworkStream:
    """Connect in a thread, because the name look-up has no timeout; a connection that comes too late is closed."""
    connection = in_background(connect)
    try:
        return connection.result(seconds)
    except TimeoutError:
        connection.add_done_callback(_close)
        raise httpcore.ConnectTimeout("no connection before the deadline") from None


def _close(connection: Future[httpcore.NetworkStream]) -> None:
    if connection.exception() is None:
        connection.result().close()


def _before_deadline(left: float, error: type[Exception]) -> float:
    if left <= 0:
        raise error("the deadline has passed")
    return left
