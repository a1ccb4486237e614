"""The cache on disk: what is kept, for how long, and what makes room."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedbridge.core.errors import ConfigurationError, MissingExtraError

from .base import Alarm, CacheStats, LabelStats
from .database import Database, is_damage
from .eviction import Eviction
from .files import log_size
from .table import scan, select

if TYPE_CHECKING:
    from .byte_store import DiskByteStore

_CHUNK_ROWS = 256  # rows read in one statement, or written in one transaction of about 15 ms
_CHUNK_BYTES = 2 * 2**20


@dataclass(slots=True)
class _Counts:
    """What has happened since counters were last written to the file."""

    hits: int = 0
    misses: int = 0
    saved: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Hits and tokens saved, by label."""

    def add(self, hits: int, misses: int, saved: Mapping[str, tuple[int, int]]) -> None:
        self.hits += hits
        self.misses += misses
        for label, (more, tokens) in saved.items():
            before = self.saved.get(label, (0, 0))
            self.saved[label] = before[0] + more, before[1] + tokens


class DiskCache:
    """Vectors in one SQLite file, through diskcache; safe for threads, processes and forks on one machine.

    Nothing is opened before the first use. Methods raise OSError, sqlite3.Error or `CacheError`.

    Args:
        directory: everything stays below it; the user's cache directory unless told. Made with mode 0700.
        ttl: seconds that an entry is used after it was stored; None: for ever.
        size_limit: bytes on disk; None: no limit.
        clock: seconds of the clock on the wall.
    """

    blocking = True

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        ttl: float | None = None,
        size_limit: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.directory = _absolute(default_directory() if directory is None else directory)
        self.ttl = ttl
        self.size_limit = size_limit
        self._clock = clock
        self._counts, self._counting = _Counts(), threading.Lock()
        self._eviction = None if size_limit is None else Eviction(clock())
        self._log_limit = None if size_limit is None else max(1, size_limit // 16)
        self._database = Database(self.directory / "entries", Alarm(), log_limit=self._log_limit)
        weakref.finalize(self, self._database.close)

    def __repr__(self) -> str:
        return f"DiskCache({str(self.directory)!r}, ttl={self.ttl}, size_limit={self.size_limit})"

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, here or in another process, opens the same directory."""
        return partial(DiskCache, str(self.directory), ttl=self.ttl, size_limit=self.size_limit), ()

    @property
    def alarm(self) -> Alarm:
        """What warns of faults that do not stop the cache."""
        return self._database.alarm

    @alarm.setter
    def alarm(self, alarm: Alarm) -> None:
        self._database.alarm = alarm

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The entries there are. Nothing is written; where the file is damaged, what can be read is."""
        found: dict[bytes, bytes] = {}
        for at in range(0, len(keys), _CHUNK_ROWS):
            rows = self._select(keys[at : at + _CHUNK_ROWS])
            found.update([(key, value) for key, value, _ in rows])
            if self._eviction is not None:
                self._eviction.spare([rowid for _, _, rowid in rows])
        with self._counting:
            self._counts.add(len(found), len(keys) - len(found), {})
        return found

    def _select(self, keys: Sequence[bytes]) -> list[tuple[bytes, bytes, int]]:
        born = float("-inf") if self.ttl is None else self._clock() - self.ttl
        try:
            with self._database.reading() as connection:
                return select(connection, keys, born)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            if len(keys) > 1:
                return [row for key in keys for row in self._select([key])]
            self.alarm(f"a part of the cache in {self.directory} cannot be read ({error}); the rest is used")
            return []

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        """Keep all items, in transactions so short that other processes hardly wait. What was committed stays."""
        pairs, size = list(items.items()), max((len(value) for value in items.values()), default=0)
        budget = min(_CHUNK_BYTES, self._log_limit or _CHUNK_BYTES)
        step = max(1, min(_CHUNK_ROWS, budget // max(1, size)))
        for at in range(0, len(pairs), step):
            chunk = pairs[at : at + step]
            try:
                stored = self._write(chunk, label)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._start_afresh(error)
                stored = self._write(chunk, label)
            if not stored:
                self.alarm(
                    f"cache_size_limit is {self.size_limit:,} bytes, which is less than this job stores:"
                    f" {len(pairs) - at} vectors were not kept; a larger limit keeps them all"
                )
                return

    def _write(self, pairs: list[tuple[bytes, bytes]], label: str) -> bool:
        """One transaction; False where there is no room."""
        now = self._clock()
        if not self._make_room(2 * sum(len(value) for _, value in pairs), now):
            return False
        with self._counted() as counts, self._database.writing() as table:
            table.set_many(pairs, label=label, now=now)
            if self.ttl is not None:  # no more than was stored: a clock that is wrong once cannot empty the cache
                table.delete_rows([rowid for _, rowid in table.oldest(before=now - self.ttl, count=len(pairs))])
            table.add_counts(counts.hits, counts.misses, counts.saved)
        return True

    def _make_room(self, need: int, now: float) -> bool:
        if self.size_limit is None or self._eviction is None or self._log_limit is None:
            return True
        room = self.size_limit - self._log_limit - need
        while True:
            with self._database.writing() as table:
                if table.volume() <= room:
                    if self._database.size() > self.size_limit:
                        table.shrink()
                    return True
                if not self._eviction.step(table, now, self.ttl):
                    return False

    def _start_afresh(self, error: Exception) -> None:
        """Set the damaged file aside and take over what can still be read, for as long as that does not hold up a job."""
        aside = self._database.replace(error)
        if aside is None:
            return
        end = time.monotonic() + _SALVAGE_SECONDS
        for rows in salvage(aside):
            for label in {row.label for row in rows}:
                whole = [(row.key, row.value) for row in rows if row.label == label and is_whole(row.key, row.value)]
                self._write(whole, label)
            if time.monotonic() > end:
                return

    @contextlib.contextmanager
    def _counted(self) -> Iterator[_Counts]:
        """The counts so far, which count as written unless the block fails."""
        with self._counting:
            counts, self._counts = self._counts, _Counts()
        try:
            yield counts
        except BaseException:
            with self._counting:
                self._counts.add(counts.hits, counts.misses, counts.saved)
            raise

    def record(self, label: str, hits: int, tokens: int) -> None:
        """Count what hits have saved; written with the next vectors, or at close."""
        with self._counting:
            self._counts.add(0, 0, {label: (hits, tokens)})

    def stats(self) -> CacheStats:
        """What is in the file, and hits and misses of all processes that have closed or stored since."""
        with self._database.reading() as connection:
            entries, saved, counters = read_stats(connection)
        with self._counting:
            counts = _Counts(self._counts.hits, self._counts.misses, dict(self._counts.saved))
        counts.add(counters.get("hits", 0), counters.get("misses", 0), saved)
        labels = {
            label: LabelStats(*entries.get(label, (0, 0)), *counts.saved.get(label, (0, 0)))
            for label in sorted({*entries, *counts.saved})
        }
        total = sum(count for count, _ in entries.values())
        return CacheStats(total, self._database.size(), counts.hits, counts.misses, labels)

    def delete(self, keys: Sequence[bytes]) -> None:
        """Forget these entries."""
        for at in range(0, len(keys), _CHUNK_ROWS):
            rows = self._select(keys[at : at + _CHUNK_ROWS])
            with self._database.writing() as table:
                table.delete_rows([rowid for _, _, rowid in rows])
