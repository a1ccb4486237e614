"""Reads all rows of a database, also of a damaged one: rows that cannot be read are skipped."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from ._codec import is_whole
from ._connection import connect_to_salvage, error_code
from ._table import Row, scan

_ROWS = 256
_PATIENCE = 10_000  # rows in a row that cannot be read, after which the rest is given up


def walk(fetch: Callable[[int, int], list[Row]]) -> Iterator[list[Row]]:
    """All rows that can be read, some at a time, in order.

    Args:
        fetch: called with a row number and a count; gives at most `count` rows after that row.
    """
    after, lost = -1, 0
    while lost < _PATIENCE:
        try:
            rows = fetch(after, 1 if lost else _ROWS)
        except sqlite3.DatabaseError as error:
            if error_code(error) != sqlite3.SQLITE_CORRUPT:
                raise
            after, lost = after + (lost > 0), lost + 1
            continue
        if not rows:
            return
        after, lost = rows[-1].number, 0
        yield rows


def salvage(file: Path) -> Iterator[list[Row]]:
    """All sound rows of a database that was renamed as damaged, some at a time."""
    connection = connect_to_salvage(file)
    try:
        for rows in walk(lambda after, count: scan(connection, after, count)):
            yield [row for row in rows if is_whole(row.key, row.value)]
    finally:
        connection.close()
