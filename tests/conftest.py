"""Fixtures for every test: a server, both ways of calling, real models and engines, and none of the outside world."""

from __future__ import annotations

from support import light  # isort: split

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
from hypothesis import settings

from embedbridge._core import learnt
from embedbridge.testing import FaultServer, no_waiting
from support.caller import MODES, Caller, Mode

pytest_plugins = [
    "support.extras",
    "support.isolation",
    "support.models",
    "support.postgres",
    "support.scifact",
    "support.servers",
]

settings.register_profile("loaded", deadline=None)  # a machine that does other things too makes no test fail
settings.load_profile("loaded")

os.environ.pop("COLUMNS", None)  # xdist gives it to its processes

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs have it, and their children
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _nothing_learnt() -> None:
    """Another test's server may have had the same address."""
    learnt.forget()


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


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> pytest.CaptureFixture[str]:
    """What is written; stderr is a terminal."""
    monkeypatch.setattr("_pytest.capture.CaptureIO.isatty", lambda _: True)  # each phase of a test has its own
    return capsys


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A fresh fault server."""
    with FaultServer() as server:
        yield server


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Mode:
    """Each of "sync" and "async"; a test that takes it, or `caller`, runs twice."""
    return request.param


@pytest.fixture
def caller(mode: Mode) -> Iterator[Caller]:
    """Calls embedders in the test's mode, and closes them at the end."""
    caller = Caller(mode)
    yield caller
    caller.close()


@pytest.fixture
def _short_pauses() -> Iterator[None]:
    """Embedders try again at once."""
    with no_waiting():
        yield


_SHOWN = pytest.StashKey[bool]()


def pytest_itemcollected(item: pytest.Item) -> None:
    """What modules of the mark `one_flow` show of awaited calls is slow, after the first case of each."""
    given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    module = item.getparent(pytest.Module)
    if module is None or given.get("mode") != "async" or item.get_closest_marker("one_flow") is None:
        return
    if module.stash.get(_SHOWN, False):
        item.add_marker(pytest.mark.slow)
    module.stash[_SHOWN] = True


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """The garbage of tests alone is looked for."""
    try:
        return (yield)
    finally:
        light.leave_what_is_loaded()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules with local models come first, so that of xdist's processes one imports torch, which takes it seconds."""
    real = {
        item.path
        for item in items
        if item.get_closest_marker("torch") or not {"minilm_path", "e5_path"}.isdisjoint(item.fixturenames)
    }
    items.sort(key=lambda item: item.path not in real)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """What a noisy machine has exceeded is measured again, up to four times; code that is slow exceeds it each time."""
    try:
        return (yield)
    except AssertionError:
        if item.get_closest_marker("measured") is None:
            raise
    for pause in (0, 1, 2, 4):
        time.sleep(pause)  # neighbours are noisy for a while
        server = item.funcargs.get("server")
        if isinstance(server, FaultServer):
            server.reset()  # without the faults of the time before
        try:
            item.runtest()
            break
        except AssertionError:
            if pause == 4:
                raise
    return None
