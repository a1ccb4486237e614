"""Keys, vectors and other processes for tests of caches."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

from embedbridge.cache import Cache
from embedbridge.cache._codec import decode_many, encode_many, seal
from embedbridge.errors import CacheWarning

WIDTH = 16
SOURCE = Path(__file__).parents[2] / "src"


def make_keys(count: int, start: int = 0) -> list[bytes]:
    return [blake2b(str(number).encode(), digest_size=32).digest() for number in range(start, start + count)]


def make_vectors(count: int, width: int = WIDTH, start: int = 0) -> np.ndarray:
    """Row i depends on `start + i` alone."""
    return np.stack(
        [
            np.random.default_rng(number).standard_normal(width, dtype=np.float32)
            for number in range(start, start + count)
        ]
    )


def make_items(count: int, width: int = WIDTH, start: int = 0) -> dict[bytes, bytes]:
    keys, vectors = make_keys(count, start), make_vectors(count, width, start)
    return encode_many(keys, vectors, [7] * count, [-1] * count, now=1_700_000_000)


def older_half(key: bytes, numbers: Sequence[float], form: int = 2) -> bytes:
    """An entry as earlier releases wrote one for float16, or one of another form of the same length."""
    head = b"eb" + bytes([1, form]) + len(numbers).to_bytes(4, "little") + bytes(12)
    return seal(key, head + np.array(numbers, "<f2").tobytes())


def hits_of(cache: Cache, keys: Sequence[bytes]) -> dict[bytes, tuple[float, ...]]:
    """What a cache gives for keys, through the checksum."""
    hits = decode_many(keys, cache.get_many(keys))
    return {keys[row]: tuple(vector) for row, vector in zip(hits.rows, hits.vectors.tolist(), strict=True)}


def truth(count: int, width: int = WIDTH, start: int = 0) -> dict[bytes, tuple[float, ...]]:
    vectors = make_vectors(count, width, start).tolist()
    return dict(zip(make_keys(count, start), map(tuple, vectors), strict=True))


def database(directory: Path) -> Path:
    return directory / "entries" / "cache.db"


def tamper(directory: Path, *statements: str, values: Sequence[object] = ()) -> None:
    """Change a cache behind its back; `values` are for the last statement."""
    with contextlib.closing(sqlite3.connect(database(directory), isolation_level=None)) as connection:
        for statement in statements[:-1]:
            connection.execute(statement)
        connection.execute(statements[-1], values)


def check_integrity(directory: Path) -> None:
    """SQLite finds nothing wrong with the file."""
    with contextlib.closing(sqlite3.connect(database(directory))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def start_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run code in another process that can import this package and these helpers."""
    path = os.pathsep.join([str(SOURCE), str(Path(__file__).parents[1])])
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_python(code: str, *arguments: object, seconds: float = 60) -> str:
    """What such a process prints; it has to end well."""
    with start_python(code, *arguments) as process:
        out, err = process.communicate(timeout=seconds)
        assert process.returncode == 0, err
        return out


@contextlib.contextmanager
def write_lock(directory: Path, *, alone: bool = False) -> Iterator[sqlite3.Connection]:
    """Hold the lock that every writer needs; `alone`: so that nobody can even open the file."""
    with contextlib.closing(sqlite3.connect(database(directory), isolation_level=None)) as connection:
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextlib.contextmanager
def one_warning(match: str = "") -> Iterator[None]:
    """However much goes wrong in the block, it is said once."""
    with pytest.warns(CacheWarning, match=match) as caught:
        yield
    assert len(caught) == 1


@contextlib.contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """`place` is a file system of its own for as long as the block lasts; the test is skipped who may not mount."""
    _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # noqa: S607


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Nothing below `directory` can be written to for as long as the block lasts."""
    if os.geteuid():
        places = [*directory.rglob("*"), directory]
        modes = {place: place.stat().st_mode for place in places}
        for place in places:
            place.chmod(modes[place] & ~0o222)
        try:
            yield
        finally:
            for place in reversed(places):
                place.chmod(modes[place])
    else:  # modes do not hold root back
        _mount("--bind", str(directory), str(directory))
        try:
            _mount("-o", "remount,ro,bind", str(directory))
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(directory)], check=True)  # noqa: S607


def _mount(*arguments: str) -> None:
    if not shutil.which("mount") or subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode:  # noqa: S607
        pytest.skip("this user cannot mount file systems")
