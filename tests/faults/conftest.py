"""Every provider in every mode, and short pauses between attempts."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from embedbridge.testing import FaultServer
from support.caller import Caller

from .apis import APIS, Api
from .client import Client


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "case(*numbers): the cases of `faults.CASES` that a test shows")


@pytest.fixture(autouse=True)
def _always_short_pauses(_short_pauses: None) -> None:
    """For all tests here."""


@pytest.fixture(scope="session")
def _authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    file.write_text(first + end)
    return str(file)


@pytest.fixture(autouse=True)
def _one_authority(monkeypatch: pytest.MonkeyPatch, _authority: str) -> None:
    """The machine trusts one authority in place of 140, which take every client 20 ms to read."""
    monkeypatch.setenv("SSL_CERT_FILE", _authority)


@pytest.fixture(params=APIS, ids=str)
def api(request: pytest.FixtureRequest) -> Api:
    """Each provider; a test that takes it, or `client`, runs for all."""
    return request.param


@pytest.fixture
def client(api: Api, server: FaultServer, caller: Caller, tmp_path: Path) -> Client:
    """The provider against a fresh server and an empty cache."""
    return Client(api, server, caller, tmp_path / "cache")
