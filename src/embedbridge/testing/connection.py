"""One HTTP/1.1 connection, server side: reads requests, writes answers, and can drop the line on purpose."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import urllib.parse
from collections.abc import Mapping

from .request import Request

__all__ = ["Connection"]

_NO_LINGER = struct.pack("ii", 1, 0)  # closing a socket so set sends a reset


class Connection:
    """Reads requests one after the other. Methods raise ConnectionError when the client is gone.

    Args:
        reader: of the client's connection.
        writer: of the client's connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.stale = False
        """The next request is to meet a reset."""

    async def read(self) -> Request | None:
        """Wait for a request.

        Returns:
            The next request; None when the client has closed the connection.
        """
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if headers.get("expect", "").lower() == "100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._body(headers)
        path, _, query = target.partition("?")
        if "://" in path:  # as a client writes it to a proxy
            path = "/" + path.split("/", 3)[-1]
        fields = dict(urllib.parse.parse_qsl(query))
        return Request(method, urllib.parse.unquote(path), fields, headers, body, target=target)

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", ""):
            parts = []
            while size := int(await self._reader.readline(), 16):
                parts.append(await self._reader.readexactly(size))
                await self._reader.readline()
            await self._reader.readline()
            body = b"".join(parts)
        else:
            body = await self._reader.readexactly(int(headers.get("content-length") or 0))
        return gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body

    async def send(
        self, status: int, headers: Mapping[str, str], body: bytes = b"", *, length: bool = True, times: int = 1
    ) -> None:
        """Write a status line, headers and a body, all at once.

        Args:
            status: as in `200`.
            headers: by name.
            body: any bytes.
            length: add the body's length to the headers.
            times: how often all of it is written.
        """
        lines = [f"HTTP/1.1 {status} {'OK' if status < 400 else 'Error'}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if length:
            lines.append(f"content-length: {len(body)}")
        await self.write(("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body) * times)

    async def write(self, data: bytes) -> None:
        """Write raw bytes.

        Args:
            data: any.
        """
        self._writer.write(data)
        await self._writer.drain()

    async def pause(self, seconds: float) -> None:
        """Do nothing for a while.

        Args:
            seconds: how long.

        Raises:
            ConnectionResetError: the client has gone.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._reader.read(1)
        except TimeoutError:
            return
        raise ConnectionResetError("the client has gone")

    def drop(self, *, reset: bool) -> None:
        """End the connection now.

        Args:
            reset: by a TCP reset, and not in order.
        """
        if reset:
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._writer.transport.abort()
        else:
            self._writer.close()
