"""What is on its way: which texts were handed over in which batch, in one SQLite file beside the cache.

It holds keys of the cache and numbers, but no text and no API key. A key stands in it once, so no text can be in two
batches. A batch is written down before anything of it is sent.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedbridge.cache import CacheError
from embedbridge.cache._files import private_file, private_folder
from embedbridge.errors import EmbeddingError

VERSION = 1
APPLICATION = 0x45424254
"""In the file's header: EBBT."""
BUSY = 60.0
"""Seconds to wait for another process that writes; none holds the file for longer than it takes to write a batch."""
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
WRITTEN, CREATING, WAITING, ENDED = "written", "creating", "waiting", "ended"
"""The stages of a batch: written down; being made by the vendor; made; and its answers are in the cache."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a batch."""

    key: bytes
    """Under which an ordinary call looks for its vector."""
    line: str
    position: int
    """In its line."""
    kept_under: bytes
    """Under which its vector is stored."""
    size: int
    """Bytes of what is sent."""
    counted: int | None
    """Tokens of what is sent, where someone has counted."""
    whole: int | None
    """Tokens of the whole text, where it was cut."""
    billed: int | None = None
    """Tokens, once its vector is stored."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch."""

    tag: str
    """What the vendor's metadata name it by."""
    identity: str
    """Fingerprint of what decides its vectors."""
    model: str
    role: str
    made_by: str
    """The options of its embedder, as JSON, without secrets."""
    stage: str
    at: float
    """When it was last written down, in seconds of the clock on the wall."""
    remote: str
    """The vendor's name of it; "" where it is not known to be made."""
    state: str
    """The vendor's word, as it was last heard."""
    reason: str
    texts: int
    lines: int
    tokens: int
    """Estimated, when it was handed over."""
    stored: int
    """Texts whose vectors came back sound; known at its end."""
    billed: int
    """Tokens of these."""
    price: float | None
    """Ordinary dollars for a million tokens, when it was handed over."""
    share: float
    """The part of it that the batch costs."""


class Busy(EmbeddingError):  # noqa: N818 - it is no fault
    """Another process hands over texts at this moment."""


class Ledger:
    """Opened for each look and closed again, so that neither forks nor other processes meet an open file.

    Args:
        folder: of the cache.
        name: of the file.
        wall: seconds of the clock on the wall.
    """

    def __init__(self, folder: Path, name: str = "batches", wall: Callable[[], float] = time.time) -> None:
        self.file = folder / f"{name}.db"
        self._lock_file = folder / f"{name}.lock"
        self._wall = wall

    # Reading.

    def entries(self) -> list[Entry]:
        """All batches, oldest first."""
        if not self.file.exists():
            return []
        with self._open() as ledger:
            return [Entry(*row) for row in ledger.execute("SELECT * FROM batch ORDER BY at, tag")]

    def pending(self, keys: Sequence[bytes], *, stored: bool = False) -> set[bytes]:
        """Those keys whose vectors are on their way; with `stored`, also those that came, in a batch not yet ended."""
        if not keys or not self.file.exists():
            return set()
        with self._open() as ledger:
            return {key for key, billed in _among(ledger, keys) if stored or billed is None}

    def texts(self, tag: str, line: str) -> list[Text]:
        """The texts of a line, in its order; none of a line that is not in the batch."""
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
            ledger.execute(f"INSERT INTO batch VALUES ({', '.join('?' * len(Entry.__slots__))})", _row(entry))  # noqa: S608
            ledger.executemany(
                "INSERT INTO text VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (
                    (
                        text.key,
                        entry.tag,
                        text.line,
                        text.position,
                        text.kept_under,
                        text.size,
                        text.counted,
                        text.whole,
                    )
                    for text in texts
                ),
            )

    def creating(self, tag: str) -> None:
        """The vendor is about to be asked to make it."""
        self._set(tag, stage=CREATING, at=self._wall())

    def made(self, tag: str, remote: str, state: str) -> None:
        """The vendor has made it."""
        self._set(tag, stage=WAITING, remote=remote, state=state, at=self._wall())

    def heard(self, tag: str, state: str, reason: str = "") -> None:
        """What the vendor says of it."""
        self._set(tag, state=state, reason=reason)

    def drop(self, tag: str) -> None:
        """It was never made: its texts may be handed over anew."""
        with self._writing() as ledger:
            ledger.execute("DELETE FROM text WHERE tag = ?", (tag,))
            ledger.execute("DELETE FROM batch WHERE tag = ?", (tag,))

    def mark_stored(self, texts: Sequence[Text], billed: Sequence[int]) -> None:
        """The vectors of texts are in the cache."""
        with self._writing() as ledger:
            pairs = zip(billed, (text.key for text in texts), strict=True)
            ledger.executemany("UPDATE text SET billed = ? WHERE key = ?", pairs)

    def end(self, tag: str) -> bool:
        """Its answers are all in the cache: texts without one may be handed over anew. False: that was known."""
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
        """The right to hand over, which one process at a time has: whoever has it knows that no other is at it.

        The operating system takes it from a process that is killed. Raises `Busy` after `patience` seconds.
        """
        private_folder(self._lock_file.parent)
        private_file(self._lock_file)
        with closing(_connect(self._lock_file, patience)) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                raise Busy("another process hands over texts at this moment; try again later") from None
            try:
                yield
            finally:
                with suppress(sqlite3.Error):
                    lock.execute("ROLLBACK")

    def _set(self, tag: str, **values: Any) -> None:
        with self._writing() as ledger:
            named = ", ".join(f"{name} = ?" for name in values)
            ledger.execute(f"UPDATE batch SET {named} WHERE tag = ?", (*values.values(), tag))  # noqa: S608

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        private_folder(self.file.parent)
        private_file(self.file)
        with self._open() as ledger:
            ledger.execute("BEGIN IMMEDIATE")
            try:
                yield ledger
                ledger.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    ledger.execute("ROLLBACK")
                raise

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(_connect(self.file, BUSY)) as ledger:
            _make_or_check(ledger, self.file)
            yield ledger


def _connect(file: Path, patience: float) -> sqlite3.Connection:
    # In threads of ours a connection is opened and closed by one thread, but the lock's may be let go by another.
    return sqlite3.connect(file, timeout=patience, isolation_level=None, check_same_thread=False)


def _make_or_check(ledger: sqlite3.Connection, file: Path) -> None:
    """Make the tables where there are none. Raises `CacheError` for another program's file, or a later version's."""
    ((version,),) = ledger.execute("PRAGMA user_version")
    if version == VERSION:
        return
    ledger.execute("BEGIN IMMEDIATE")
    try:
        ((version,),) = ledger.execute("PRAGMA user_version")
        if version == 0:
            for statement in TABLES.strip().split(";\n"):
                ledger.execute(statement.rstrip(";"))
            ledger.execute(f"PRAGMA application_id = {APPLICATION}")
            ledger.execute(f"PRAGMA user_version = {VERSION}")
        ledger.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            ledger.execute("ROLLBACK")
        raise
    if version > VERSION:
        raise CacheError(f"{file} was written by a later version of embedbridge; use that one")


def _among(ledger: sqlite3.Connection, keys: Sequence[bytes]) -> Iterator[tuple[bytes, int | None]]:
    for at in range(0, len(keys), MOST_KEYS):
        part = keys[at : at + MOST_KEYS]
        marks = ",".join("?" * len(part))
        yield from ledger.execute(f"SELECT key, billed FROM text WHERE key IN ({marks})", tuple(part))  # noqa: S608


def _row(entry: Entry) -> tuple[Any, ...]:
    return tuple(getattr(entry, name) for name in Entry.__slots__)
