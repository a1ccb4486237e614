"""The cache on disk: reading and writing in portions, expiry, and what happens when the file is damaged or full."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from embedbridge._threads.endings import close_without
from embedbridge.errors import MissingExtraError

from . import _table as table
from ._connection import is_damage
from ._database import Database
from ._eviction import Eviction
from ._files import cache_directory
from ._upkeep import CHUNK_ROWS, Upkeep, chunks
from .base import Alarm, check_limits

if TYPE_CHECKING:
    import diskcache

    from ._byte_store import DiskByteStore

__all__ = ["DiskCache"]

H = TypeVar("H", int, bytes)

_WINDOW = 1 << 15  # keys looked up before the first row is read: 5 MB
_CHUNK_BYTES = 2 * 2**20
_EVER = float("-inf")


class DiskCache(Upkeep):
    """Vectors in one SQLite file of diskcache's format; safe for threads, processes and forks on one machine.

    Nothing is opened before the first use. Methods raise OSError, sqlite3.Error or `CacheError`.
    A file that diskcache made with bytes under bytes is taken over as it is.

    Args:
        directory: everything stays below it; None: the user's cache directory. It is made with mode 0700.
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
        check_limits(ttl, size_limit)
        self.directory = cache_directory(directory)
        self.ttl = ttl
        self.size_limit = size_limit
        self._clock = clock
        self._counters = table.Counters()
        reserve = None if size_limit is None else max(1, size_limit // 16)  # for the write-ahead log
        self._chunk_bytes = min(_CHUNK_BYTES, reserve or _CHUNK_BYTES)
        self._eviction = Eviction(size_limit, reserve, ttl, clock()) if size_limit and reserve else None
        self._database = Database(self.directory / "entries", Alarm(), log_limit=reserve)
        close_without(self, partial(self._database.close, self._counters.write))

    def __repr__(self) -> str:
        return f"DiskCache({str(self.directory)!r}, ttl={self.ttl}, size_limit={self.size_limit})"

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, here or in another process, opens the same directory."""
        return partial(DiskCache, str(self.directory), ttl=self.ttl, size_limit=self.size_limit), ()

    @property
    def location(self) -> str:
        """The directory's real path, the same for all links to it."""
        return os.path.realpath(self.directory)

    @property
    def file(self) -> Path:
        """The database file; made when the cache is first used."""
        return self._database.file

    @property
    def alarm(self) -> Alarm:
        """What warns of faults that do not stop the cache."""
        return self._database.alarm

    @alarm.setter
    def alarm(self, alarm: Alarm) -> None:
        self._database.alarm = alarm

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The entries that the file has. Of a damaged file, those that can be read. Writes nothing."""
        return dict(chain.from_iterable(piece.items() for piece in self.get_pieces(keys)))

    def get_pieces(
        self, keys: Sequence[bytes], *, counted: bool = True, again: bool = False
    ) -> Iterable[Mapping[bytes, bytes]]:
        """As `BaseCache.get_pieces`. Many keys are looked up in the order of the file, so no page is read twice.

        For a single key, a file that was seen less than a tenth of a second ago is taken to be still there.
        """
        since = _EVER if self.ttl is None else self._clock() - self.ttl
        if len(keys) > CHUNK_ROWS:
            return self._get_in_order(keys, since, counted=counted, again=again)
        try:
            rows = self._database.read(table.select, keys, since, recent=len(keys) == 1)
        except sqlite3.DatabaseError as error:
            rows = self._database.read_rest(error, table.select, keys, since)
        if self._eviction is not None:
            self._eviction.spare(self._numbers([key for key, _ in rows]))
        found: dict[bytes, Any] = dict(rows)
        if None in found.values():  # a row that is not ours
            found = self._bytes_of(rows)
        if counted and (found or not again):
            self._counters.add_lookup(len(keys), len(found), again=again)
        return (found,)

    def _get_in_order(
        self, keys: Sequence[bytes], since: float, *, counted: bool, again: bool
    ) -> Iterator[Mapping[bytes, bytes]]:
        count = 0
        for window in chunks(keys, _WINDOW):
            for part in chunks(self._numbers(sorted(window)), CHUNK_ROWS):
                if self._eviction is not None:
                    self._eviction.spare(part)
                found = self._bytes_of(self._database.read_each(table.select_numbers, part, since))
                count += len(found)
                yield found
        if counted:
            self._counters.add_lookup(len(keys), count, again=again)

    def _bytes_of(self, rows: list[tuple[bytes, bytes | None]]) -> dict[bytes, bytes]:
        found = {key: value for key, value in rows if value is not None}
        if len(found) < len(rows):
            self.alarm(
                f"entries of the cache in {self.directory} are not bytes: somebody has changed the file; "
                "they are not used, and their texts are paid for again"
            )
        return found

    def _numbers(self, keys: Sequence[bytes]) -> list[int]:
        return sorted(
            number for part in chunks(keys, CHUNK_ROWS) for number in self._database.read_each(table.numbers, part)
        )

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        """Keep all items, in transactions so short that other processes hardly wait. What was committed stays."""
        pairs, largest = list(items.items()), max(map(len, items.values()), default=1)
        step = max(1, min(CHUNK_ROWS, self._chunk_bytes // max(1, largest)))
        for at in range(0, len(pairs), step):
            chunk = pairs[at : at + step]
            try:
                stored = self._write(chunk, label)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._database.replace(error)
                stored = self._write(chunk, label)
            if not stored:
                self.alarm(
                    f"the cache's size limit is {self.size_limit:,} bytes, less than this job stores:"
                    f" {len(pairs) - at} vectors were not kept; they will be paid for again"
                )
                return

    def _write(self, pairs: list[tuple[bytes, bytes]], label: str) -> bool:
        """One transaction; False where there is no room."""
        now, need = self._clock(), 2 * sum(len(value) for _, value in pairs)
        if self._eviction is not None and not self._eviction.make_room(self._database, need, now):
            return False
        with self._counters.drained() as tally, self._database.writing() as connection:
            table.store_rows(connection, ((key, value, label, now) for key, value in pairs))
            table.add_counts(connection, tally)
        return True

    def hold_width(self, key: bytes, width: int | None, *, label: str = "") -> int | None:
        """As `BaseCache.hold_width`, apart from the entries."""
        return self._hold(int, key, width, label)

    def hold(self, key: bytes, value: bytes | None, *, label: str = "") -> bytes | None:
        """As `BaseCache.hold`, apart from the entries."""
        return self._hold(bytes, key, value, label)

    def _hold(self, kind: type[H], key: bytes, value: H | None, label: str) -> H | None:
        held = self._database.read(table.held, kind, key, label)
        if held is not None or value is None:
            return held
        with self._database.writing() as connection:
            table.hold(connection, key, value, label)
            return table.held(connection, kind, key, label)

    def record_savings(self, label: str, *, hits: int, tokens: int) -> bool:
        """As `BaseCache.record_savings`; written with the next vectors, or at close."""
        self._counters.add_savings(label, hits, tokens)
        return True

    def close(self) -> None:
        """Write the counts, move the log into the file and close it."""
        self._database.close(self._counters.write)

    def as_diskcache(self) -> diskcache.Cache:
        """The same file as a `diskcache.Cache`, for what diskcache can do and this class cannot.

        It takes and gives sealed bytes of vectors under 32-byte keys, and refuses what else it finds. While it is open
        every write costs more, because diskcache counts rows by triggers; these are taken out, and its counts are 0,
        when this class opens the file again. It obeys settings in the file, which only the file's owner can change.

        Returns:
            An open cache, which the caller closes.
        """
        from ._bytes_disk import open_diskcache

        return open_diskcache(self._database)

    def as_byte_store(self) -> DiskByteStore:
        """A LangChain `ByteStore` below the same directory, in a file of its own: vectors and its values never meet.

        Returns:
            The store.

        Raises:
            MissingExtraError: langchain-core is not installed.
        """
        try:
            from ._byte_store import DiskByteStore
        except ImportError as error:
            raise MissingExtraError('a byte store needs LangChain: pip install "embedbridge[langchain]"') from error
        return DiskByteStore(DiskCache(self.directory / "byte-store"))
