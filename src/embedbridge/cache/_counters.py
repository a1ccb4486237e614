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
_LOOKED_UP, _SAVED = ("hits", "misses"), ("saved_hits", "saved_tokens")


class Counters:
    """Counts that are not yet in the file."""

    def __init__(self) -> None:
        self._tally: Tally = Counter()
        # Kinds, label, and how many more of each kind. Appending needs no lock, and each query does it.
        self._added: deque[tuple[tuple[str, str], str, int, int]] = deque()
        self._lock = OwnLock()

    def add_lookup(self, asked: int, found: int, *, again: bool) -> None:
        """Count hits and misses, in memory; `again`: all were counted as misses before."""
        self._added.append((_LOOKED_UP, "", found, (0 if again else asked) - found))
        if len(self._added) > _MOST:
            self.now()

    def add_savings(self, label: str, hits: int, tokens: int) -> None:
        """Count what hits have saved, in memory; each was looked up."""
        self._added.append((_SAVED, label, hits, tokens))

    def now(self) -> Tally:
        """A copy of the counts."""
        with self._lock:
            self._add_up()
            return self._tally.copy()

    def _add_up(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                kinds, label, *numbers = self._added.popleft()
                for kind, number in zip(kinds, numbers, strict=True):
                    self._tally[kind, label] += number

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
