"""diskcache's table, restricted to bytes (CVE-2025-69872).

By itself diskcache unpickles rows, opens and deletes files that rows name, and uses the settings that it finds in the
file. Here nothing in a file can make code run or touch another file, and the settings are those of this module.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import METADATA, MODE_RAW, UNKNOWN

from ._counters import Tally
from ._queries import APPLICATION, SCHEMA, WIDTH, Row
from .base import CacheError

SETTINGS: dict[str, int | str] = {
    "statistics": 0,
    "tag_index": 0,  # the index over label and size below does its work
    "eviction_policy": "least-recently-stored",  # any other writes on every read
    "size_limit": 2**62,  # decided in eviction.py
    "cull_limit": 0,  # culling inside a transaction empties the cache: the page count does not fall before the commit
    "sqlite_auto_vacuum": 2,
    "sqlite_cache_size": 2048,  # 16 MiB a connection; with a million entries, four times as much saves 3 % of the time
    "sqlite_journal_mode": "wal",
    "sqlite_mmap_size": 0,  # a mapped file that somebody truncates kills the process
    "sqlite_synchronous": 1,
    "disk_min_file_size": 2**62,
    "disk_pickle_protocol": 0,
}

_SHRINK_PAGES = 1024
_UPSERT = (
    "INSERT INTO Cache (key, raw, store_time, access_time, access_count, tag, size, mode, value)"
    " VALUES (?, 1, ?, 0, 0, ?, ?, 1, ?)"
    " ON CONFLICT (key, raw) DO UPDATE SET store_time = excluded.store_time, expire_time = NULL, tag = excluded.tag,"
    " size = excluded.size, mode = 1, filename = NULL, value = excluded.value"
)
_EXTRAS = (
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {SCHEMA}",
    "CREATE INDEX IF NOT EXISTS Cache_tag_size ON Cache (tag, size)",
    "CREATE TABLE IF NOT EXISTS Tally (kind TEXT, label TEXT, number INTEGER, PRIMARY KEY (kind, label))",
)


class BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Stores bytes under bytes, in the row itself; never a pickle or a file."""

    def __init__(self, directory: str, **_settings: object) -> None:
        super().__init__(directory, min_file_size=2**62, pickle_protocol=0)

    def put(self, key: object) -> tuple[memoryview, bool]:
        """The key as a column."""
        if type(key) is not bytes:
            raise TypeError("cache keys are bytes")
        return sqlite3.Binary(key), True

    def get(self, key: object, raw: object) -> bytes:
        """The key from its column."""
        if not raw or type(key) is not bytes:
            raise CacheError("a row has a key that is not bytes; this package never writes one")
        return key

    def store(self, value: object, read: object, key: object = UNKNOWN) -> tuple[int, int, None, memoryview]:
        """The value as columns."""
        if read or type(value) is not bytes:
            raise TypeError("cache values are bytes")
        return 0, MODE_RAW, None, sqlite3.Binary(value)

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        """The value from its columns."""
        if mode != MODE_RAW or filename is not None or read or type(value) is not bytes:
            raise CacheError("a row has a value that is not bytes; this package never writes one")
        return value

    def remove(self, file_path: object) -> None:
        """Delete nothing: rows have no files of their own, whatever they name."""


class Table(diskcache.Cache):  # type: ignore[misc]
    """diskcache's cache, with methods for many rows at once, over a connection that `Database` opens, locks and closes.

    Args:
        create: make the tables; else they are taken as they are and nothing is written.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, *, create: bool) -> None:
        self.connection = connection
        self._directory, self._disk = str(folder), BytesDisk(str(folder))
        for key in SETTINGS:
            self.reset(key)
        if create:
            with self.transact():
                super().__init__(str(folder), timeout=0, disk=BytesDisk, **SETTINGS)
                for statement in _EXTRAS:
                    connection.execute(statement)

    @property
    def _con(self) -> sqlite3.Connection:
        return self.connection

    @property
    def _sql_retry(self) -> Callable[..., sqlite3.Cursor]:
        # diskcache quotes strings like names, which an SQLite built with SQLITE_DQS=0 refuses (python-diskcache #311).
        # Its retries, up to 60 seconds long, are left out.
        return lambda statement, *args: self.connection.execute(statement.replace('"', "'"), *args)

    @contextlib.contextmanager
    def _transact(self, retry: bool = False, filename: object = None) -> Iterator[Any]:  # noqa: FBT001, FBT002
        """As diskcache's, but an error keeps its name and nothing waits longer than the connection's own limit."""
        outermost = not self.connection.in_transaction
        try:  # a Ctrl-C at any moment must not leave the transaction open
            if outermost:
                self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection.execute, self._disk.remove
            if outermost:
                self.connection.execute("COMMIT")
        except BaseException:
            if outermost and self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def reset(self, key: str, value: object = None, update: bool = True) -> object:  # noqa: FBT001, FBT002
        """Take settings from this module and not from the file, and counters from the file."""
        if key in METADATA:
            rows = self.connection.execute("SELECT value FROM Settings WHERE key = ?", (key,)).fetchall()
            setting: object = next((value for (value,) in rows if type(value) is int), 0)
        else:
            setting = SETTINGS.get(key)
        if key in METADATA or key in SETTINGS:
            setattr(self, key, setting)
        return setting

    def close(self) -> None:
        """Nothing: the connection belongs to `Database`."""

    def set_many(self, rows: Iterable[Row]) -> None:
        """Store rows, in the open transaction, whatever their `number` is."""
        columns = []
        for row in rows:
            key, _ = self._disk.put(row.key)
            *_, value = self._disk.store(row.value, read=False)
            columns.append((key, row.stored, row.label, len(row.value), value))
        self.connection.executemany(_UPSERT, columns)

    def add_counts(self, tally: Tally) -> None:
        """Add to the counters in the file."""
        self.connection.executemany(
            "INSERT INTO Tally VALUES (?, ?, ?)"
            " ON CONFLICT (kind, label) DO UPDATE SET number = number + excluded.number",
            [(kind, label, number) for (kind, label), number in tally.items() if number],
        )

    def hold_width(self, key: bytes, width: int, label: str) -> None:
        """Keep the dimensions of a model's vectors, unless there are some."""
        self.connection.execute(
            "INSERT INTO Tally VALUES (?, ?, ?) ON CONFLICT (kind, label) DO NOTHING",
            (WIDTH + label, key.hex(), width),
        )

    def forget_widths(self, label: str) -> None:
        """Forget the dimensions of models with this label."""
        self.connection.execute("DELETE FROM Tally WHERE kind = ?", (WIDTH + label,))

    def oldest(
        self, before: float, count: int, after: tuple[float, int] = (float("-inf"), 0)
    ) -> list[tuple[float, int]]:
        """Time and number of up to `count` rows after `after` that were stored before `before`, oldest first."""
        return self.connection.execute(
            "SELECT store_time, rowid FROM Cache WHERE (store_time, rowid) > (?, ?) AND store_time < ?"
            " ORDER BY store_time, rowid LIMIT ?",
            (*after, before, count),
        ).fetchall()

    def oldest_rows(self, before: float, count: int) -> list[int]:
        """Numbers of up to `count` rows that were stored before `before`."""
        return [rowid for _, rowid in self.oldest(before, count)]

    def labelled(self, label: str | None, count: int) -> list[int]:
        """Numbers of up to `count` rows with this label, or of any label."""
        where = "" if label is None else "WHERE tag = ?"
        rows = self.connection.execute(
            f"SELECT rowid FROM Cache {where} LIMIT ?",  # noqa: S608
            (count,) if label is None else (label, count),
        )
        return [rowid for (rowid,) in rows]

    def newest(self, after: float, count: int) -> list[int]:
        """Numbers of up to `count` rows stored after `after`, newest first."""
        rows = self.connection.execute(
            "SELECT rowid FROM Cache WHERE store_time > ? ORDER BY store_time DESC LIMIT ?", (after, count)
        )
        return [rowid for (rowid,) in rows]

    def delete_rows(self, rowids: Sequence[int]) -> None:
        """Delete rows by their numbers."""
        self.connection.executemany("DELETE FROM Cache WHERE rowid = ?", [(rowid,) for rowid in rowids])

    def forget_counts(self) -> None:
        """Set all counters to zero."""
        self.connection.execute("DELETE FROM Tally")

    def shrink(self) -> bool:
        """Give some pages of deleted rows back to the file system, outside a transaction; False when none is left."""
        before = self._number("freelist_count")
        # execute() would stop at the first page; executescript() goes on to the end.
        self.connection.executescript(f"PRAGMA incremental_vacuum({_SHRINK_PAGES})")
        return 0 < self._number("freelist_count") < before

    def volume(self) -> int:
        """Bytes of the pages in use. What has been deleted is not counted: the next rows take its place."""
        return (self._number("page_count") - self._number("freelist_count")) * self._number("page_size")

    def _number(self, pragma: str) -> int:
        return int(self.connection.execute(f"PRAGMA {pragma}").fetchone()[0])
