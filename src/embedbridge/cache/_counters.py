"""Hits, misses and savings, counted in memory and written together with the next vectors: a read costs no write."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Iterator
from typing import TypeAlias

from embedbridge._core.locks import OwnLock

Tally: TypeAlias = Counter[tuple[str, str]]
"""By kind and label: `hits` and `misses` under "", `saved_hits` and `saved_tokens` under `provider:model`."""

_MOST = 1000  # counts that wait to be added up


class Counters:
    """Counts that are not yet in the file."""

    def __init__(self) -> None:
        self._tally: Tally = Counter()
        self._added: deque[tuple[tuple[str, str], int]] = deque()  # appending needs no lock, and each query does it
        self._lock = OwnLock()

    def add(self, kind: str, label: str, number: int) -> None:
        """Add to a count of a label, in memory."""
        self._added.append(((kind, label), number))
        if len(self._added) > _MOST:
            self.now()

    def now(self) -> Tally:
        """A copy of the counts."""
        with self._lock:
            with contextlib.suppress(IndexError):
                while True:
                    name, number = self._added.popleft()
                    self._tally[name] += number
            return self._tally.copy()

    @contextlib.contextmanager
    def drained(self) -> Iterator[Tally]:
        """The counts, for the block to write. They are reset, and restored if the block fails."""
        with self._lock:
            tally, self._tally = self.now(), Counter()
        try:
            yield tally
        except BaseException:
            with self._lock:
                self._tally += tally
            raise
