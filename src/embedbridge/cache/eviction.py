"""Which rows make room when the cache has a limit: the oldest, but none that the running job has written or read.

A job larger than the limit would otherwise throw out its own beginning, and find nothing when it is run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from .table import Table

_DAY = 86_400.0
_SPARED_ROWS = 2**27  # rows beyond are not spared; this bounds the memory, two bytes a row
_STEP = 100  # rows deleted at once


class Eviction:
    """Deletes rows, oldest first. Rows that were written or read within the last 24 hours of this object are spared.

    Args:
        started: when this object's job began, in seconds of the clock on the wall.
        clock: seconds that never go back.
    """

    def __init__(self, started: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._started = started
        self._clock, self._zero = clock, clock()
        self._read_in = np.zeros(1024, np.uint16)  # by row: the hour of the last reading, 0 for never
        self._passed = (0, (float("-inf"), 0))  # the hour, and the last row that was looked at in it

    def spare(self, rowids: Sequence[int]) -> None:
        """These rows were read now."""
        rows = np.array([rowid for rowid in rowids if 0 <= rowid < _SPARED_ROWS], np.int64)
        if not rows.size:
            return
        short = int(rows.max()) + 1 - self._read_in.size
        if short > 0:
            self._read_in = np.pad(self._read_in, (0, max(short, self._read_in.size)))
        self._read_in[rows] = self._hour()

    def step(self, table: Table, now: float, ttl: float | None) -> bool:
        """Delete some rows, in the transaction that is open; False when all that is left is to be spared."""
        self._started = min(self._started, now)  # the clock on the wall may go back
        oldest = max(self._started, now - _DAY, float("-inf") if ttl is None else now - ttl)
        hour, after = self._passed
        if hour != self._hour():
            after = (float("-inf"), 0)
        while rows := table.oldest(after, oldest, _STEP):
            after = rows[-1]
            self._passed = (self._hour(), after)
            victims = self._unread([rowid for _, rowid in rows])
            if victims:
                table.delete_rows(victims)
                return True
        astray = table.newest(now + _DAY, _STEP)  # written while the clock was wrong
        table.delete_rows(astray)
        return bool(astray)

    def _unread(self, rowids: list[int]) -> list[int]:
        first = max(1, self._hour() - 24)
        known = self._read_in.size
        return [rowid for rowid in rowids if not (0 <= rowid < known and self._read_in[rowid] >= first)]

    def _hour(self) -> int:
        return min(int((self._clock() - self._zero) // 3600) + 1, 2**16 - 1)
