"""Every provider in every mode, the slow tests counted, and short pauses between attempts."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedbridge.testing import FaultServer
from support.caller import Caller

from .apis import APIS, Api, is_shown_by_another
from .client import Client


@pytest.fixture(autouse=True)
def _always_short_pauses(_short_pauses: None) -> None:
    """For all tests here."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Both ways of calling share every flow: but for OpenAI, the second way is a slow test."""
    given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    api, mode = given.get("api"), given.get("mode")
    if isinstance(api, Api) and mode is not None and is_shown_by_another(api, mode):
        item.add_marker(pytest.mark.slow)


@pytest.fixture(params=APIS, ids=str)
def api(request: pytest.FixtureRequest) -> Api:
    """Each provider; a test that takes it, or `client`, runs for all."""
    return request.param


@pytest.fixture
def client(api: Api, server: FaultServer, caller: Caller, tmp_path: Path) -> Client:
    """The provider against a fresh server and an empty cache."""
    return Client(api, server, caller, tmp_path / "cache")
