"""The command line as a person meets it: its status and its lines, in this process."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import pytest

from embedbridge.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    """The user's cache stands beside the test's files, where it is seen whether a command opened it."""
    monkeypatch.setenv("EMBEDBRIDGE_CACHE_DIR", str(tmp_path / "user-cache"))


@pytest.fixture
def run(capfdbinary, monkeypatch, tmp_path):
    """`run("embed", "a.txt", "-o", "a.npy", stdin=b"…")`, in the test's own directory; numbers become text."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, stdin=b"", terminal=False):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal)
        capfdbinary.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Ran(status, out.decode(), err.decode())

    return run


@pytest.fixture
def refuses(run):
    """Runs a command that fails as it should: status 1 and one line, which is returned."""

    def refuses(*arguments, **options):
        ran = run(*arguments, **options)
        assert ran.status == 1, ran
        assert ran.err.count("\n") == 1, ran.err
        return ran.err.removeprefix("error: ")

    return refuses
