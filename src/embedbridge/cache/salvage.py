"""Reading every row of a database, also of one that is damaged: what cannot be read is stepped over."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from .database import connect_to_read, is_damage
from .table import scan

_ROWS = 256
_PATIENCE = 10_000  # rows in a row that cannot be read, after which the rest is given up


class Row(NamedTuple):
    """One entry as it stands in the file."""

    number: int
    key: bytes
    label: str
    value: bytes


Fetch: TypeAlias = Callable[[int, int], list[tuple[int, bytes, str, bytes]]]
"""Up to so many rows (second) after a row number (first), in order."""


def walk(fetch: Fetch) -> Iterator[list[Row]]:
    """All rows that can be read, some at a time."""
    after, lost = -(2**63), 0
    while lost < _PATIENCE:
        try:
            rows = [Row(*row) for row in fetch(after, 1 if lost else _ROWS)]
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            after, lost = max(after, 0) + (1 if lost else 0), lost + 1
            continue
        if not rows:
            return
        after, lost = rows[-1].number, 0
        yield rows


def salvage(file: Path) -> Iterator[list[Row]]:
    """All rows that can be read of a database that was set aside."""
    connection = connect_to_read(file)
    try:
        yield from walk(lambda after, count: scan(connection, after, count))
    finally:
        connection.close()
