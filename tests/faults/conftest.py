"""Every provider in every mode, and short pauses between attempts."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedbridge.testing import FaultServer
from support.caller import Caller

from .apis import APIS, Api
from .client import Client


@pytest.fixture(autouse=True)
def _always_short_pauses(_short_pauses: None) -> None:
    """For all tests here."""


@pytest.fixture(params=APIS, ids=str)
def api(request: pytest.FixtureRequest) -> Api:
    """Each provider; a test that takes it, or `client`, runs for all."""
    return request.param


@pytest.fixture
def client(api: Api, server: FaultServer, caller: Caller, tmp_path: Path) -> Client:
    """The provider against a fresh server and an empty cache."""
    return Client(api, server, caller, tmp_path / "cache")
