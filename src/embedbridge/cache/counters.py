"""Hits, misses and savings: counted in memory, written along with the next vectors, so that no read costs a write."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

from .table import Table

Tally = Counter[tuple[str, str]]
"""By kind (`hits`, `misses`, `saved_hits`, `saved_tokens`) and label ("" for the first two)."""


class Counters:
    """What has happened since the counters in the file were last brought up to date."""

    def __init__(self) -> None:
        self._tally: Tally = Counter()
        self._lock = threading.Lock()

    def add(self, label: str = "", **more: int) -> None:
        """Count; a plain addition in memory."""
        with self._lock:
            for kind, number in more.items():
                self._tally[kind, label] += number

    def now(self) -> Tally:
        """A copy of the counts."""
        with self._lock:
            return self._tally.copy()

    @contextlib.contextmanager
    def written(self, table: Table) -> Iterator[None]:
        """Write the counts in the transaction that is open; keep them when the block fails."""
        with self._lock:
            tally, self._tally = self._tally, Counter()
        try:
            table.add_counts(tally)
            yield
        except BaseException:
            with self._lock:
                self._tally += tally
            raise
