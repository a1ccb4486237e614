"""Which rows are deleted when the cache reaches its limit: the oldest, but none that the running job wrote or read.

Otherwise a job larger than the limit would delete its own first rows, and find nothing when it is run again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence

import numpy as np

from ._database import Database
from ._table import delete_rows, newest, oldest, volume

_DAY = 86_400.0
_HOURS = 24
_SPARED_ROWS = 2**27  # rows beyond are not spared; this bounds the memory, two bytes a row
_STEP = 100  # rows deleted in one transaction


class Eviction:
    """Keeps a database within `limit` bytes, without deleting rows that this object saw written or read in 24 hours.

    Args:
        limit: bytes on disk.
        reserve: bytes of the limit that are left for the write-ahead log.
        ttl: seconds after which a row has expired and may be deleted in any case.
        started: when the running job began, in seconds of the clock on the wall.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        limit: int,
        reserve: int,
        ttl: float | None,
        started: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self._reserve = reserve
        self._ttl = float("inf") if ttl is None else ttl
        self._started = started
        self._clock, self._zero = clock, clock()
        self._read_in = np.zeros(1024, np.uint16)  # by row: the hour of the last reading, 0 for never
        self._looked_at: tuple[int, tuple[float, int]] = (0, (float("-inf"), 0))  # in which hour, up to which row

    def spare(self, rowids: Sequence[int]) -> None:
        """Note that these rows are read now."""
        rows = np.array([rowid for rowid in rowids if 0 <= rowid < _SPARED_ROWS], np.int64)
        if not rows.size:
            return
        short = int(rows.max()) + 1 - self._read_in.size
        if short > 0:
            self._read_in = np.pad(self._read_in, (0, max(short, self._read_in.size)))
        self._read_in[rows] = self._hour()

    def make_room(self, database: Database, need: int, now: float) -> bool:
        """Delete rows until `need` bytes fit; False when all rows that are left are to be spared."""
        room = self.limit - self._reserve - need
        while True:
            with database.writing() as connection:
                enough = volume(connection) <= room
                if not enough and not self._delete_some(connection, now):
                    return False
            if enough:
                if database.size() > self.limit:
                    database.shrink()
                return True

    def _delete_some(self, connection: sqlite3.Connection, now: float) -> bool:
        self._started = min(self._started, now)  # the clock on the wall may go back
        before = max(self._started, now - _DAY, now - self._ttl)
        hour, after = self._looked_at
        if hour != self._hour():
            after = (float("-inf"), 0)
        while rows := oldest(connection, before, _STEP, after):
            after = rows[-1]
            self._looked_at = (self._hour(), after)
            first, known = max(1, self._hour() - _HOURS), self._read_in.size
            if victims := [row for _, row in rows if not (0 <= row < known and self._read_in[row] >= first)]:
                delete_rows(connection, victims)
                return True
        astray = newest(connection, now + _DAY, _STEP)  # stored while the clock was wrong
        delete_rows(connection, astray)
        return bool(astray)

    def _hour(self) -> int:
        return min(int((self._clock() - self._zero) // 3600) + 1, 2**16 - 1)
