"""Hits, misses and savings, counted in memory and written together with the next vectors: a read costs no write."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from embedbridge._core.locks import OwnLock

if TYPE_CHECKING:
    from ._table import Table

Tally: TypeAlias = Counter[tuple[str, str]]
"""By kind and label: `hits` and `misses` under "", `saved_hits` and `saved_tokens` under `provider:model`."""


class Counters:
    """Counts that are not yet in the file."""

    def __init__(self) -> None:
        self._tally: Tally = Counter()
        self._lock = OwnLock()

    def add(self, label: str, **numbers: int) -> None:
        """Add numbers to the counts of a label, in memory."""
        with self._lock:
            for kind, number in numbers.items():
                self._tally[kind, label] += number

    def now(self) -> Tally:
        """A copy of the counts."""
        with self._lock:
            return self._tally.copy()

    def write(self, table: Table) -> None:
        """Add the counts to those in the file, and begin anew."""
        with self.drained() as tally, table.transact():
            table.add_counts(tally)

    @contextlib.contextmanager
    def drained(self) -> Iterator[Tally]:
        """The counts, for the block to write. They are reset, and restored if the block fails."""
        with self._lock:
            tally, self._tally = self._tally, Counter()
        try:
            yield tally
        except BaseException:
            with self._lock:
                self._tally += tally
            raise
