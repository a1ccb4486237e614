"""This process's connections to ledgers in files. None of them is in use during a fork, and a child uses none of them.

SQLite would take its parent's locks for the child's own, and the child would wait for them for ever.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from embedbridge.cache._forks import watch

BUSY = 60.0
"""Seconds to wait for another process that writes; none holds a file for longer than it takes to write a batch."""
_left: list[sqlite3.Connection] = []
"""In a child: what its parent was using, and nobody ever touches again."""


class Connections:
    """See `cache._forks.Forkable`."""

    def __init__(self) -> None:
        self._in_use = threading.Lock()
        self._held: set[sqlite3.Connection] = set()
        """Those that hold the right to hand over, which takes long."""
        watch(self)

    def locks(self) -> Iterable[threading.Lock]:
        """While it is held, no connection is in use."""
        return [self._in_use]

    def start_again(self, *, at_rest: bool) -> None:
        """In the child of a fork: drop what the parent has."""
        self._in_use = threading.Lock()
        if at_rest:
            for connection in self._held:
                with suppress(sqlite3.Error):
                    connection.close()
        else:
            _left.extend(self._held)
        self._held = set()

    @contextmanager
    def _use(self) -> Iterator[None]:
        """Use connections, one thread at a time. Raises `sqlite3.OperationalError` where another one takes too long."""
        in_use = self._in_use
        if not in_use.acquire(timeout=BUSY):  # as a thread in the midst of which a signal handler calls us
            raise sqlite3.OperationalError("another thread of this process uses it")
        try:
            yield
        finally:
            in_use.release()

    @contextmanager
    def open(self, file: Path) -> Iterator[sqlite3.Connection]:
        """A connection for a short use."""
        with self._use(), closing(sqlite3.connect(file, timeout=BUSY, isolation_level=None)) as connection:
            yield connection

    def hold(self, file: Path) -> sqlite3.Connection | None:
        """A connection that holds a file until it is let go, in any thread; None where another one holds it."""
        with self._use():
            connection = sqlite3.connect(file, timeout=0.0, isolation_level=None, check_same_thread=False)
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                connection.close()
                if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_BUSY:
                    raise
                return None
            self._held.add(connection)
            return connection

    def let_go(self, connection: sqlite3.Connection) -> None:
        """End `hold`. In the child of a fork it is over already."""
        with suppress(sqlite3.Error), self._use():
            self._held.discard(connection)
            connection.close()
