"""SQL that reads the table. Rows that do not hold bytes under bytes, or name a file, are not ours and are ignored."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ._counters import Tally
from .base import CacheError

APPLICATION = 0x45425247  # "EBRG", in the file's header
SCHEMA = 1
WIDTH = "width of "
"""Before a label: the kind under which a model's dimensions stand among the counters."""
_OURS = "raw = 1 AND mode = 1 AND filename IS NULL AND typeof(key) = 'blob' AND typeof(value) = 'blob'"
_INDEX = "Cache_key_raw"  # without it nothing can be stored
_HEX = re.compile("(?:[0-9a-f]{2})+")
_COLUMNS = {
    "Cache": "rowid, key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value",
    "Settings": "key, value",
    "Tally": "kind, label, number",
}


class NotOursError(Exception):
    """The file is no cache of ours, or no longer one."""


class Row(NamedTuple):
    """One entry."""

    key: bytes
    value: bytes
    label: str
    stored: float
    """Seconds of the clock on the wall."""
    number: int = 0


def select(connection: sqlite3.Connection, keys: Sequence[bytes], since: float) -> list[tuple[bytes, bytes | None]]:
    """Key and value of every row among `keys` that was stored after the time `since`; None: the row is not ours."""
    return _select(connection, f"raw = 1 AND {_among('key', keys)}", keys, since)


def select_numbers(
    connection: sqlite3.Connection, rows: Sequence[int], since: float
) -> list[tuple[bytes, bytes | None]]:
    """`select` by row numbers instead of keys, in the order of the rows in the file."""
    return _select(connection, _among("rowid", rows), rows, since)


def _select(connection: sqlite3.Connection, which: str, these: Sequence[object], since: float) -> list[Any]:
    return connection.execute(
        f"SELECT key, CASE WHEN {_OURS} THEN value END FROM Cache WHERE {which} AND store_time > ?",  # noqa: S608
        (*these, since),
    ).fetchall()


def numbers(connection: sqlite3.Connection, keys: Sequence[bytes]) -> list[int]:
    """Numbers of the rows with these keys; reads the index only."""
    rows = connection.execute(f"SELECT rowid FROM Cache WHERE raw = 1 AND {_among('key', keys)}", keys)  # noqa: S608
    return [number for (number,) in rows]


def _among(column: str, these: Sequence[object]) -> str:
    return f"{column} IN ({','.join('?' * len(these))})"


def scan(connection: sqlite3.Connection, after: int, count: int) -> list[Row]:
    """Up to `count` rows of ours after row `after`, in order."""
    columns = "key, value, IFNULL(CAST(tag AS TEXT), ''), IFNULL(CAST(store_time AS REAL), 0), rowid"
    found = connection.execute(
        f"SELECT {columns} FROM Cache WHERE rowid > ? AND {_OURS} ORDER BY rowid LIMIT ?",  # noqa: S608
        (after, count),
    )
    return [Row(*row) for row in found]


def widths(connection: sqlite3.Connection) -> dict[bytes, tuple[str, int]]:
    """Label and dimensions of each model of which they are held, by its key."""
    rows = connection.execute(
        "SELECT substr(kind, ?), label, CAST(number AS INTEGER) FROM Tally WHERE substr(kind, 1, ?) = ?",
        (len(WIDTH) + 1, len(WIDTH), WIDTH),
    )
    return {bytes.fromhex(key): (label, width) for label, key, width in rows if _HEX.fullmatch(key) and width > 0}


def width(connection: sqlite3.Connection, key: bytes, label: str) -> int | None:
    """The dimensions that are held of a model."""
    rows = connection.execute("SELECT number FROM Tally WHERE kind = ? AND label = ?", (WIDTH + label, key.hex()))
    return next((number for (number,) in rows if type(number) is int and number > 0), None)


def contents(connection: sqlite3.Connection) -> tuple[dict[str, tuple[int, int]], Tally]:
    """Entries and bytes of values by label, and the counters."""
    by_label = connection.execute(
        "SELECT CAST(tag AS TEXT), count(*), CAST(total(size) AS INTEGER) FROM Cache GROUP BY tag"
    )
    tally = connection.execute("SELECT kind, label, CAST(number AS INTEGER) FROM Tally")
    return (
        {label or "": (entries, size) for label, entries, size in by_label},
        Counter({(kind, label): number for kind, label, number in tally}),
    )


def check(connection: sqlite3.Connection) -> bool:
    """Whether the database is one of ours: False when it is empty.

    Raises `NotOursError` for another's, and `CacheError` for one that a later version of this package has written.
    """
    connection.execute("BEGIN")  # one look: another process may make the tables meanwhile
    try:
        return _check(connection)
    finally:
        connection.execute("ROLLBACK")


def _check(connection: sqlite3.Connection) -> bool:
    ((application,),) = connection.execute("PRAGMA application_id")
    ((schema,),) = connection.execute("PRAGMA user_version")
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
    if application == APPLICATION and schema > SCHEMA:
        raise CacheError("the cache was written by a later version of embedbridge; it is left alone and not used")
    if tables == 0:
        return False
    if application != APPLICATION:
        raise NotOursError("the file is another program's database")
    ((index,),) = connection.execute("SELECT count(*) FROM sqlite_master WHERE (type, name) = ('index', ?)", (_INDEX,))
    if not index:
        raise NotOursError(f"the database lacks a part: no such index: {_INDEX}")
    try:
        for name, columns in _COLUMNS.items():
            connection.execute(f"SELECT {columns} FROM {name} LIMIT 0")  # noqa: S608
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise NotOursError(f"the database lacks a part: {error}") from error
    return True
