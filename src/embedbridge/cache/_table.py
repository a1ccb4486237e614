"""The rows and counts of a cache file: what is read and written, each function with one connection.

Hits, misses and savings are counted in memory and written together with the next vectors: a read costs no write.
Rows that do not hold bytes under bytes, or that name a file, are not ours and are ignored: nothing in a file can make
code run or touch another file (CVE-2025-69872).
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple, TypeAlias, TypeVar

H = TypeVar("H", int, bytes)

Tally: TypeAlias = Counter[tuple[str, str]]
"""Counts by kind and label: `hits` and `misses` under "", `saved_hits` and `saved_tokens` under `provider:model`."""
_OURS = "raw = 1 AND mode = 1 AND filename IS NULL AND typeof(key) = 'blob' AND typeof(value) = 'blob'"
_SELECT = f"SELECT key, CASE WHEN {_OURS} THEN value END FROM Cache WHERE store_time > ? AND"  # noqa: S608
_SELECT_ONE = _SELECT.replace("store_time > ? AND", "raw = 1 AND key = ? AND store_time > ?")
_WIDTH = "width of "
_HELD: dict[type, str] = {int: _WIDTH, bytes: "held of "}
"""Before a label: the kind under which a model's dimensions, and other values that are never evicted, stand there."""
_HITS, _MISSES = ("hits", ""), ("misses", "")
_MOST = 2000  # counts that wait to be added up
_HEX = re.compile("(?:[0-9a-f]{2})+")
_UPSERT = (
    "INSERT INTO Cache (key, raw, store_time, access_time, access_count, tag, size, mode, value)"
    " VALUES (?, 1, ?, 0, 0, ?, ?, 1, ?)"
    " ON CONFLICT (key, raw) DO UPDATE SET store_time = excluded.store_time, expire_time = NULL, tag = excluded.tag,"
    " size = excluded.size, mode = 1, filename = NULL, value = excluded.value"
)


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
    if len(keys) == 1:
        return connection.execute(_SELECT_ONE, (keys[0], since)).fetchall()
    return connection.execute(f"{_SELECT} raw = 1 AND {_among('key', keys)}", (since, *keys)).fetchall()


def select_numbers(
    connection: sqlite3.Connection, rows: Sequence[int], since: float
) -> list[tuple[bytes, bytes | None]]:
    """`select` by row numbers instead of keys, in the order of the rows in the file."""
    return connection.execute(f"{_SELECT} {_among('rowid', rows)}", (since, *rows)).fetchall()


def numbers(connection: sqlite3.Connection, keys: Sequence[bytes]) -> list[int]:
    """Numbers of the rows with these keys; reads the index only."""
    return _first(connection, f"SELECT rowid FROM Cache WHERE raw = 1 AND {_among('key', keys)}", keys)  # noqa: S608


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


def contents(connection: sqlite3.Connection) -> tuple[dict[str, tuple[int, int]], Tally]:
    """Entries and bytes of values by label, and the counters."""
    held: dict[str, tuple[int, int]] = {}
    for label, entries, size in connection.execute(
        "SELECT IFNULL(CAST(tag AS TEXT), ''), count(*), CAST(total(size) AS INTEGER) FROM Cache GROUP BY tag"
    ):  # diskcache's rows have no label, which is another group than an empty one
        others = held.get(label, (0, 0))
        held[label] = others[0] + entries, others[1] + size
    tally = connection.execute("SELECT kind, label, CAST(number AS INTEGER) FROM Tally")
    return held, Counter({(kind, label): number for kind, label, number in tally})


def store_rows(connection: sqlite3.Connection, rows: Iterable[tuple[bytes, bytes, str, float]]) -> None:
    """Store key, value, label and time of storing of each row, in the open transaction."""
    columns = [(key, stored, label, len(value), value) for key, value, label, stored in rows]
    connection.executemany(_UPSERT, columns)


def delete_rows(connection: sqlite3.Connection, rowids: Sequence[int]) -> None:
    """Delete rows by their numbers."""
    connection.executemany("DELETE FROM Cache WHERE rowid = ?", [(rowid,) for rowid in rowids])


def oldest(
    connection: sqlite3.Connection, before: float, count: int, after: tuple[float, int] = (float("-inf"), 0)
) -> list[tuple[float, int]]:
    """Time and number of up to `count` rows after `after` that were stored before `before`, oldest first."""
    return connection.execute(
        "SELECT store_time, rowid FROM Cache WHERE (store_time, rowid) > (?, ?) AND store_time < ?"
        " ORDER BY store_time, rowid LIMIT ?",
        (*after, before, count),
    ).fetchall()


def newest(connection: sqlite3.Connection, after: float, count: int) -> list[int]:
    """Numbers of up to `count` rows stored after `after`, newest first."""
    query = "SELECT rowid FROM Cache WHERE store_time > ? ORDER BY store_time DESC LIMIT ?"
    return _first(connection, query, (after, count))


def labelled(connection: sqlite3.Connection, label: str | None, count: int) -> list[int]:
    """Numbers of up to `count` rows with this label, or of any label."""
    if label is None:
        return _first(connection, "SELECT rowid FROM Cache LIMIT ?", (count,))
    return _first(connection, "SELECT rowid FROM Cache WHERE tag = ? LIMIT ?", (label, count))


def _first(connection: sqlite3.Connection, query: str, values: Sequence[object]) -> list[int]:
    return [number for (number,) in connection.execute(query, values)]


def add_counts(connection: sqlite3.Connection, tally: Tally) -> None:
    """Add to the counters in the file."""
    connection.executemany(
        "INSERT INTO Tally VALUES (?, ?, ?) ON CONFLICT (kind, label) DO UPDATE SET number = number + excluded.number",
        [(kind, label, number) for (kind, label), number in tally.items() if number],
    )


def forget_counts(connection: sqlite3.Connection, label: str | None) -> None:
    """Set all counters to zero, or forget the dimensions, and what else is held, of models with this label."""
    if label is None:
        connection.execute("DELETE FROM Tally")
    else:
        connection.execute("DELETE FROM Tally WHERE kind IN (?, ?)", [kind + label for kind in _HELD.values()])


def hold(connection: sqlite3.Connection, key: bytes, value: int | bytes, label: str) -> None:
    """Keep the dimensions of a model's vectors, or another value, unless there is one."""
    connection.execute(
        "INSERT INTO Tally VALUES (?, ?, ?) ON CONFLICT (kind, label) DO NOTHING",
        (_HELD[type(value)] + label, key.hex(), value),
    )


def held(connection: sqlite3.Connection, kind: type[H], key: bytes, label: str) -> H | None:
    """What is held of this kind: dimensions, which are above 0, or bytes."""
    query = "SELECT number FROM Tally WHERE kind = ? AND label = ? AND number > 0"  # which bytes are, for SQLite
    return next(
        (value for (value,) in connection.execute(query, (_HELD[kind] + label, key.hex())) if type(value) is kind), None
    )


def widths(connection: sqlite3.Connection) -> dict[bytes, tuple[str, int]]:
    """Label and dimensions of each model of which they are held, by its key."""
    rows = connection.execute(
        "SELECT substr(kind, ?), label, CAST(number AS INTEGER) FROM Tally WHERE substr(kind, 1, ?) = ?",
        (len(_WIDTH) + 1, len(_WIDTH), _WIDTH),
    )
    return {bytes.fromhex(key): (label, width) for label, key, width in rows if _HEX.fullmatch(key) and width > 0}


def shrink(connection: sqlite3.Connection, size: int) -> bool:
    """Give up to `size` bytes of deleted rows back to the file system, outside a transaction; False when all are."""
    before = _number(connection, "freelist_count")
    # execute() would stop at the first page; executescript() goes on to the end.
    connection.executescript(f"PRAGMA incremental_vacuum({max(1, size // _number(connection, 'page_size'))})")
    return 0 < _number(connection, "freelist_count") < before


def volume(connection: sqlite3.Connection) -> int:
    """Bytes of the pages in use. What has been deleted is not counted: the next rows take its place."""
    pages = _number(connection, "page_count") - _number(connection, "freelist_count")
    return pages * _number(connection, "page_size")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


class Counters:
    """Counts that are not yet in the file. They need no lock: each is taken once, whoever takes it."""

    def __init__(self) -> None:
        # Kind and label, and how many more. Each query appends.
        self._added: deque[tuple[tuple[str, str], int]] = deque()

    def add_lookup(self, asked: int, found: int, *, again: bool) -> None:
        """Count hits and misses, in memory; `again`: all were counted as misses before."""
        self._added.extend(((_HITS, found), (_MISSES, (0 if again else asked) - found)))
        if len(self._added) > _MOST:
            with self.drained() as tally:
                self._added.extend(tally.items())

    def add_savings(self, label: str, hits: int, tokens: int) -> None:
        """Count what hits have saved, in memory; each was looked up."""
        self._added.extend(((("saved_hits", label), hits), (("saved_tokens", label), tokens)))

    def now(self) -> Tally:
        """A copy of the counts."""
        tally: Tally = Counter()
        for kind, number in self._added.copy():
            tally[kind] += number
        return tally

    def write(self, connection: sqlite3.Connection) -> None:
        """Add the counts to those in the file, and begin anew."""
        with self.drained() as tally, connection:
            connection.execute("BEGIN IMMEDIATE")
            add_counts(connection, tally)

    @contextmanager
    def drained(self) -> Iterator[Tally]:
        """The counts, for the block to write. They are taken, and given back if the block fails."""
        tally: Tally = Counter()
        try:
            with suppress(IndexError):
                while True:
                    kind, number = self._added.popleft()
                    tally[kind] += number
            yield tally
        except BaseException:
            self._added.extend(tally.items())
            raise
