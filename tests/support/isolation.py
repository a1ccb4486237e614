"""Tests meet nothing of the machine they run on: no network but loopback, no keys, no proxies, no user's cache."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

FOREIGN = (
    *("AWS_", "AZURE_", "CO_API_", "COHERE_", "JINA_", "JINAAI_", "MISTRAL_", "NVIDIA_", "OLLAMA_", "OPENAI_"),
    *("VOYAGE_", "GEMINI_", "GOOGLE_", "GCLOUD_", "CLOUDSDK_", "GCE_METADATA_", "LANGCHAIN_", "LANGSMITH_", "HF_"),
)
"""How the variables begin that decide what providers and frameworks do."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CALLS = {"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0, "socket.gethostbyname": 0}
"""Audit events that reach out, and which of their arguments says where to."""
_attempts: list[str] = []


def pytest_configure() -> None:
    """Before any test module imports anything."""
    clean_environment()
    sys.addaudithook(_guard)


def clean_environment() -> None:
    """Forget keys, addresses and proxies, and tell libraries that there is no network."""
    for name in list(os.environ):
        if name.startswith((*FOREIGN, "EMBEDBRIDGE_CACHE")) or name.upper() in _PROXIES:
            del os.environ[name]
    nowhere = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), "/nonexistent")
    os.environ.update(nowhere, AWS_EC2_METADATA_DISABLED="true")  # no credentials, and no machine that has a role
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", RAY_USAGE_STATS_ENABLED="0")


class NetworkUsedError(RuntimeError):
    """A test tried to reach another machine."""


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _CALLS:
        return
    place = arguments[_CALLS[event]]
    if event.startswith("socket.get"):
        name = place.decode() if isinstance(place, bytes) else place
    elif isinstance(place, tuple):
        name = place[0]
    else:
        return  # the path of a Unix socket
    if not _is_here(name):
        _attempts.append(name)
        raise NetworkUsedError(f"tests reach loopback addresses only, not {name!r}")


def _is_here(name: str | None) -> bool:
    if not name or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session")
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of which each test has a name: `tmp_path` looks through all others, and most tests open no cache."""
    folder = tmp_path_factory.mktemp("user-caches")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, _caches: Iterator[Path]) -> Iterator[None]:
    """An own cache directory; and a test fails that tried to reach the network, even where a library hid the error."""
    monkeypatch.setenv("EMBEDBRIDGE_CACHE_DIR", str(next(_caches)))
    _attempts.clear()
    yield
    assert not _attempts, f"tried to reach {_attempts}"
