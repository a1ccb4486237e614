"""A child of a fork has no part in its parent's move: it is told so, and what the parent has open is not touched.

A fork waits until no thread is inside SQLite. Closed in the child, a connection in a transaction would undo what the
parent is writing.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
from collections.abc import Iterable
from typing import Any

from embedbridge.cache._forks import watch
from embedbridge.errors import EmbeddingError

FORKED = (
    "this process was forked from the one that opened {}, and has no part in its move: start this process before the "
    "move, or open the index in a new one when the move is through"
)


class Connection:
    """One of SQLite's. A child of a fork neither uses nor closes it, not even when the child ends.

    Args:
        file: as of `sqlite3.connect`; "" is one of its own, which is gone when it is closed.
        **options: as of `sqlite3.connect`.
    """

    def __init__(self, file: Any, **options: Any) -> None:
        self._in_use = threading.Lock()
        self._open: sqlite3.Connection | None = sqlite3.connect(file, **options)
        watch(self)

    def execute(self, statement: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement; all rows of its answer."""
        with self._in_use:
            return self._ours().execute(statement, tuple(values)).fetchall()

    def executemany(self, statement: str, rows: Iterable[Iterable[Any]]) -> None:
        """Run a statement for each of these rows."""
        known = [tuple(row) for row in rows]
        with self._in_use:
            self._ours().executemany(statement, known)

    def _ours(self) -> sqlite3.Connection:
        if self._open is None:
            raise sqlite3.ProgrammingError("closed, or of another process")
        return self._open

    def close(self) -> None:
        """Close it; nothing in a child of a fork."""
        with self._in_use:
            if self._open is not None:
                self._open.close()

    def locks(self) -> Iterable[threading.Lock]:
        """See `cache._forks.Forkable`."""
        return [self._in_use]

    def start_again(self, *, at_rest: bool) -> None:
        """In the child of a fork: leave it to the parent."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._open))  # a reference that nobody gives back
        self._in_use, self._open = threading.Lock(), None


def check_process(process: int, what: object) -> None:
    """Raise `EmbeddingError` where something was opened by another process than this one.

    Args:
        process: the number of the process that opened it.
        what: for the message.
    """
    if process != os.getpid():
        raise EmbeddingError(FORKED.format(what))
