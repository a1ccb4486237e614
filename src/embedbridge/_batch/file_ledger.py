"""The ledger in one SQLite file beside the cache, for all processes of one machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from operator import attrgetter
from pathlib import Path
from typing import Any

from embedbridge.cache import CacheError
from embedbridge.cache._connection import is_damage
from embedbridge.cache._files import private_file, private_folder
from embedbridge.errors import EmbeddingError

from .connections import Connections
from .ledger import BUSY_NOW, ENDED, Busy, Entry, StagedLedger, Text

VERSION = 1
APPLICATION = 0x45424254
"""In the file's header: EBBT."""
LOOK = 0.1
"""Seconds between two looks whether another process has handed over."""
MOST_KEYS = 500
"""Keys of one statement."""
TABLES = """
CREATE TABLE batch (
    tag TEXT PRIMARY KEY, identity TEXT NOT NULL, model TEXT NOT NULL, role TEXT NOT NULL, made_by TEXT NOT NULL,
    stage TEXT NOT NULL, at REAL NOT NULL, remote TEXT NOT NULL DEFAULT '', state TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '', texts INTEGER NOT NULL, lines INTEGER NOT NULL, tokens INTEGER NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0, billed INTEGER NOT NULL DEFAULT 0, price REAL, share REAL NOT NULL
);
CREATE TABLE text (
    key BLOB PRIMARY KEY, tag TEXT NOT NULL, line TEXT NOT NULL, position INTEGER NOT NULL, kept_under BLOB NOT NULL,
    size INTEGER NOT NULL, counted INTEGER, whole INTEGER, billed INTEGER
) WITHOUT ROWID;
CREATE INDEX text_of_line ON text (tag, line, position);
"""
DAMAGED = (
    "it is damaged, and left as it is: put a copy of it in its place; or move it away, and what is on its way can no "
    "longer be taken in, and is paid for again"
)
_connections = Connections()
_rest_of = attrgetter("line", "position", "kept_under", "size", "counted", "whole")
UNUSABLE = "nothing is lost: see to that, and do the same again"


class FileLedger(StagedLedger):
    """In a file that is opened for each look and closed again, so that no other process meets it open.

    Args:
        folder: of the cache.
        name: of the file.
    """

    def __init__(self, folder: Path, name: str = "batches") -> None:
        self.file = folder / f"{name}.db"
        self._lock_file = folder / f"{name}.lock"

    def now(self) -> float:
        """Seconds of this machine's clock."""
        return time.time()

    # Reading.

    def entries(self) -> list[Entry]:
        """All batches, in the order in which they were written down, whatever the clock said."""
        if not self.file.exists():
            return []
        with self._open() as ledger:
            return [Entry(*row) for row in ledger.execute("SELECT * FROM batch ORDER BY rowid")]

    def pending(self, keys: Sequence[bytes], *, stored: bool = False) -> dict[bytes, str]:
        if not keys or not self.file.exists():
            return {}
        with self._open() as ledger:
            return {key: tag for key, tag, billed in _among(ledger, keys) if stored or billed is None}

    def texts(self, tag: str, line: str) -> list[Text]:
        with self._open() as ledger:
            rows = ledger.execute(
                "SELECT key, line, position, kept_under, size, counted, whole, billed FROM text "
                "WHERE tag = ? AND line = ? ORDER BY position",
                (tag, line),
            )
            return [Text(*row) for row in rows]

    # Writing. Each is one transaction, which is there whole or not at all.

    def write_down(self, entry: Entry, texts: Iterable[Text]) -> None:
        """Write a batch down before anything of it is sent. Raises IntegrityError where a text is in another batch."""
        with self._writing() as ledger:
            ledger.execute(f"INSERT INTO batch VALUES ({', '.join('?' * len(Entry.__slots__))})", astuple(entry))  # noqa: S608
            ledger.executemany(
                "INSERT INTO text VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                ((text.key, entry.tag, *_rest_of(text)) for text in texts),
            )

    def drop(self, tag: str) -> None:
        with self._writing() as ledger:
            ledger.execute("DELETE FROM text WHERE tag = ?", (tag,))
            ledger.execute("DELETE FROM batch WHERE tag = ?", (tag,))

    def mark_stored(self, tag: str, texts: Sequence[Text], billed: Sequence[int]) -> None:
        with self._writing() as ledger:
            rows = ((tokens, text.key, tag) for tokens, text in zip(billed, texts, strict=True))
            ledger.executemany("UPDATE text SET billed = ? WHERE key = ? AND tag = ?", rows)

    def end(self, tag: str) -> bool:
        with self._writing() as ledger:
            ((stored, billed),) = ledger.execute(
                "SELECT count(billed), CAST(total(billed) AS INTEGER) FROM text WHERE tag = ?", (tag,)
            )
            ended = ledger.execute(
                "UPDATE batch SET stage = ?, stored = ?, billed = ? WHERE tag = ? AND stage != ?",
                (ENDED, stored, billed, tag, ENDED),
            )
            ledger.execute("DELETE FROM text WHERE tag = ?", (tag,))
            return ended.rowcount == 1

    @contextmanager
    def submitting(self, patience: float) -> Iterator[None]:
        """The right to hand over, which the operating system takes from a process that is killed."""
        last = time.monotonic() + patience
        with self._named(self._lock_file):
            private_folder(self._lock_file.parent)
            private_file(self._lock_file)
            while (lock := _connections.hold(self._lock_file)) is None:
                if time.monotonic() >= last:
                    raise Busy(BUSY_NOW)
                time.sleep(LOOK)
        try:
            yield
        finally:
            _connections.let_go(lock)

    def _set(self, tag: str, stages: Collection[str], **values: Any) -> bool:
        with self._writing() as ledger:
            named, marks = ", ".join(f"{name} = ?" for name in values), ", ".join("?" * len(stages))
            change = f"UPDATE batch SET {named} WHERE tag = ? AND stage IN ({marks})"  # noqa: S608
            return ledger.execute(change, (*values.values(), tag, *stages)).rowcount == 1

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._named(self.file):
            private_folder(self.file.parent)
            private_file(self.file)
        with self._open() as ledger, ledger:
            ledger.execute("BEGIN IMMEDIATE")
            yield ledger

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._named(self.file), _connections.open(self.file) as ledger:
            _make_or_check(ledger)
            yield ledger

    @contextmanager
    def _named(self, file: Path) -> Iterator[None]:
        """Raise what goes wrong with a file as `EmbeddingError`. The file is left as it is."""
        try:
            yield
        except (CacheError, OSError, sqlite3.Error) as error:
            advice = DAMAGED if isinstance(error, sqlite3.Error) and is_damage(error) else UNUSABLE
            raise EmbeddingError(f"the ledger of batches, {file}, cannot be used ({error}); {advice}") from error


def _make_or_check(ledger: sqlite3.Connection) -> None:
    """Make the tables where there are none. Raises `CacheError` for another program's file, or a later version's."""
    ((version,),) = ledger.execute("PRAGMA user_version")
    if version == VERSION:
        return
    with ledger:
        ledger.execute("BEGIN IMMEDIATE")
        ((version,),) = ledger.execute("PRAGMA user_version")
        if version == 0:
            for statement in TABLES.strip().split(";\n"):
                ledger.execute(statement.rstrip(";"))
            ledger.execute(f"PRAGMA application_id = {APPLICATION}")
            ledger.execute(f"PRAGMA user_version = {VERSION}")
    if version > VERSION:
        raise CacheError("a later version of embedbridge has written it; use that one")


def _among(ledger: sqlite3.Connection, keys: Sequence[bytes]) -> Iterator[tuple[bytes, str, int | None]]:
    for at in range(0, len(keys), MOST_KEYS):
        part = keys[at : at + MOST_KEYS]
        marks = ",".join("?" * len(part))
        yield from ledger.execute(f"SELECT key, tag, billed FROM text WHERE key IN ({marks})", tuple(part))  # noqa: S608
