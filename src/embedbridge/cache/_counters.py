"""Hits, misses and savings, counted in memory and written together with the next vectors: a read costs no write."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter, deque
from collections.abc import Iterator

from embedbridge._core.locks import OwnLock

from ._schema import transaction
from ._table import Tally, add_counts

_MOST = 1000  # counts that wait to be added up
_HITS, _MISSES = ("hits", ""), ("misses", "")


class Counters:
    """Counts that are not yet in the file."""

    def __init__(self) -> None:
        self._tally: Tally = Counter()
        self._added: deque[tuple[tuple[str, str], int]] = deque()  # appending needs no lock, and each query does it
        self._lock = OwnLock()

    def add(self, *counts: tuple[tuple[str, str], int]) -> None:
        """Add to counts, each by kind and label, in memory."""
        self._added.extend(counts)
        if len(self._added) > _MOST:
            self.now()

    def add_lookup(self, asked: int, found: int, *, again: bool) -> None:
        """Count hits and misses; `again`: all were counted as misses before."""
        missing = (0 if again else asked) - found
        self._added.append((_HITS, found))
        if missing or len(self._added) > _MOST:
            self.add((_MISSES, missing))

    def now(self) -> Tally:
        """A copy of the counts."""
        with self._lock:
            self._add_up()
            return self._tally.copy()

    def _add_up(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                name, number = self._added.popleft()
                self._tally[name] += number

    def write(self, connection: sqlite3.Connection) -> None:
        """Add the counts to those in the file, and begin anew."""
        with self.drained() as tally, transaction(connection):
            add_counts(connection, tally)

    @contextlib.contextmanager
    def drained(self) -> Iterator[Tally]:
        """The counts, for the block to write. They are reset, and restored if the block fails."""
        with self._lock:
            self._add_up()
            tally, self._tally = self._tally, Counter()
        try:
            yield tally
        except BaseException:
            with self._lock:
                self._tally += tally
            raise
