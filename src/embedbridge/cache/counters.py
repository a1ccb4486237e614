"""Hits, misses and savings: counted in memory, written along with the next vectors, so that no read costs a write."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .table import Table

Tally: TypeAlias = Counter[tuple[str, str]]
"""By kind and label: `hits` and `misses` under "", `saved_hits` and `saved_tokens` under `provider:model`."""


class Counters:
    """What has happened since the counters in the file were last brought up to date."""

    def __init__(self) -> None:
        self._tally: Tally = Counter()
        self._lock = threading.Lock()

    def add(self, label: str, **numbers: int) -> None:
        """Count; no more than an addition in memory."""
        with self._lock:
            for kind, number in numbers.items():
                self._tally[kind, label] += number

    def now(self) -> Tally:
        """A copy of the counts."""
        with self._lock:
            return self._tally.copy()

    def write(self, table: Table) -> None:
        """Bring the counters in the file up to date."""
        with self.drained() as tally, table.transact():
            table.add_counts(tally)

    @contextlib.contextmanager
    def drained(self) -> Iterator[Tally]:
        """The counts, which are zero from here on, unless the block that writes them fails."""
        with self._lock:
            tally, self._tally = self._tally, Counter()
        try:
            yield tally
        except BaseException:
            with self._lock:
                self._tally += tally
            raise
