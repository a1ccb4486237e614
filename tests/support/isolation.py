"""Tests meet nothing of the machine they run on: no network but loopback, no keys, no proxies, no user's cache."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_FOREIGN = (
    "OPENAI_",
    "AZURE_",
    "VOYAGE_",
    "CO_API_",
    "COHERE_",
    "OLLAMA_",
    "LANGCHAIN_",
    "LANGSMITH_",
    "HF_",
    "EMBEDBRIDGE_",
)
_OURS = ("EMBEDBRIDGE_SCIFACT",)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_attempts: list[str] = []


def pytest_configure() -> None:
    """Forget keys, addresses and proxies, and tell libraries that there is no network, before any test imports them."""
    for name in list(os.environ):
        if name not in _OURS and (name.startswith(_FOREIGN) or name.upper() in _PROXIES):
            del os.environ[name]
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", RAY_USAGE_STATS_ENABLED="0")


class NetworkUsedError(RuntimeError):
    """A test tried to reach another machine."""


def _check(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        inside = ipaddress.ip_address(str(name).partition("%")[0]).is_loopback
    except ValueError:
        inside = False
    if not inside:
        _attempts.append(str(name))
        raise NetworkUsedError(f"tests reach loopback addresses only, not {name!r}")


def _guarded(method: str) -> Any:
    original = getattr(socket.socket, method)

    def guarded(self: socket.socket, *args: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _check(args[-1][0])
        return original(self, *args)

    return guarded


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    resolve = socket.getaddrinfo

    def guarded(host: Any, *args: Any, **options: Any) -> Any:
        _check(host)
        return resolve(host, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, method, _guarded(method))
        patch.setattr(socket, "getaddrinfo", guarded)
        yield


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An own cache directory; and a test fails that tried to reach the network, even where a library hid the error."""
    monkeypatch.setenv("EMBEDBRIDGE_CACHE_DIR", str(tmp_path / "user-cache"))
    _attempts.clear()
    yield
    assert not _attempts, f"tried to reach {_attempts}"
