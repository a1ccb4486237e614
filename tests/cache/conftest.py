"""A real server that speaks Redis."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from support.servers import run_valkey


class Server:
    """One Valkey, which can be frozen and killed."""

    def __init__(self, *, password: str = "", **config: str) -> None:
        self._server = run_valkey(**config)
        self.password = ""
        if password:  # not before it has started: the package asks the server without one whether it is ready
            with contextlib.closing(self.client()) as client:
                client.config_set("requirepass", password)
        self.password = password

    @property
    def url(self) -> str:
        return f"valkey://{self.address}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.port}/0"

    def client(self):
        import redis

        return redis.Redis(host="127.0.0.1", port=self._server.port, password=self.password or None)

    def signal(self, number: int) -> None:
        os.kill(self._server._process.pid, number)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It accepts connections and answers nothing."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def kill(self) -> None:
        self._server._process.kill()
        self._server._process.wait()

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture(scope="session")
def _shared_valkey() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def valkey(_shared_valkey: Server) -> Server:
    """An empty server that may be frozen, but not killed."""
    with contextlib.closing(_shared_valkey.client()) as client:
        client.flushall()
    return _shared_valkey


@pytest.fixture
def start_valkey() -> Iterator[type[Server]]:
    """Starts servers of the test's own."""
    servers: list[Server] = []

    def start(**config: str) -> Server:
        servers.append(Server(**config))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
