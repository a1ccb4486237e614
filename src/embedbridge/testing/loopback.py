"""A small HTTP server on the loopback interface, in a thread of its own, that starts and stops in milliseconds."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from pathlib import Path
from typing import Self

from .connection import Connection
from .request import Request

__all__ = ["Certificate", "LoopbackServer"]

HOST = "127.0.0.1"


class Certificate:
    """A self-signed certificate for 127.0.0.1 and localhost, made with the `openssl` command at construction.

    Raises:
        RuntimeError: there is no such command.
    """

    def __init__(self) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            raise RuntimeError("a TLS test server needs the openssl command")
        self._folder = Path(tempfile.mkdtemp(prefix="embedbridge-tls-"))
        self._key, self.path = str(self._folder / "key.pem"), str(self._folder / "certificate.pem")
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        command = [openssl, "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-days", "2", "-subj", "/CN=localhost", "-addext", names, "-keyout", self._key, "-out", self.path]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - a fixed command

    def context(self) -> ssl.SSLContext:
        """A server's TLS settings.

        Returns:
            For a server that has this certificate.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self._key)
        return context

    def remove(self) -> None:
        """Delete the files."""
        shutil.rmtree(self._folder, ignore_errors=True)


class LoopbackServer(ABC):
    """Runs from `start()` to `stop()`, or in a `with` block; may be started again on the same port.

    Args:
        port: 0 takes a free one.
        tls: serve https with a self-signed certificate made on the spot; its file is `certificate`.
    """

    def __init__(self, *, port: int = 0, tls: bool = False) -> None:
        self.port, self.tls = port, tls
        self._certificate: Certificate | None = None
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    @abstractmethod
    async def answer(self, connection: Connection, request: Request) -> bool:
        """Answer one request.

        Args:
            connection: to send by.
            request: as it was received.

        Returns:
            True when the connection may carry another.
        """

    def connected(self) -> None:  # noqa: B027 - most have nothing to do
        """Called for every new connection."""

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return f"{'https' if self.tls else 'http'}://{HOST}:{self.port}"

    @property
    def certificate(self) -> str | None:
        """Path of the certificate that a client must trust while the server runs; None without TLS."""
        return self._certificate.path if self._certificate else None

    def start(self) -> Self:
        """Listen, and return once connections are accepted.

        Returns:
            This server.

        Raises:
            RuntimeError: it is running already.
            OSError: the port is taken.
        """
        if self._thread is not None:
            raise RuntimeError("the server is running already")
        self._certificate = Certificate() if self.tls else None
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name=type(self).__name__, daemon=True)
        self._thread.start()
        try:
            ready.result(10)
        except BaseException:
            self._ended()
            raise
        return self

    def stop(self) -> None:
        """Drop all connections and free the port. Raises what the server itself did wrong, if anything."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._ended()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _ended(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._certificate is not None:
            self._certificate.remove()
            self._certificate = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, ready: Future[None]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _serve(self, ready: Future[None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(_quiet)
        context = self._certificate.context() if self._certificate else None
        server = await asyncio.start_server(self._client, HOST, self.port, ssl=context, backlog=512, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        ready.set_result(None)
        await self._stopping.wait()
        self._loop.remove_reader(server.sockets[0].fileno())
        await _rounds(3)  # what was just accepted gets a transport, which can be closed
        server.close()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await _rounds(1)  # transports close in the round after their task

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(Connection(reader, writer))
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # clients come and go, and stop() ends all
        except Exception as error:  # stop() raises it, where a test sees it
            self._error = self._error or error
        finally:
            writer.transport.abort()

    async def _converse(self, connection: Connection) -> None:
        self.connected()
        while (request := await connection.read()) is not None:
            if not await self.answer(connection, request) or request.headers.get("connection") == "close":
                return


async def _rounds(n: int) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """A failed handshake, a lost line, an end on request are no news here; anything else is."""
    if not isinstance(context.get("exception"), (OSError, asyncio.CancelledError)):
        loop.default_exception_handler(context)
