"""The cache on disk: reading and writing in portions, expiry, and what happens when the file is damaged or full."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from embedbridge._threads.endings import close_without
from embedbridge.errors import MissingExtraError

from . import _table as table
from ._connection import is_damage
from ._counters import Counters
from ._database import Database
from ._eviction import Eviction
from ._files import cache_directory, remove_set_aside
from ._salvage import walk
from .base import Alarm, BaseCache, CacheStats, LabelStats, check_limits

if TYPE_CHECKING:
    import diskcache

    from ._byte_store import DiskByteStore

__all__ = ["DiskCache"]

T = TypeVar("T")

_WINDOW = 1 << 15  # keys looked up before the first row is read: 5 MB
_CHUNK_ROWS = 512  # rows read in one statement, or written in one transaction of about 20 ms
_CHUNK_BYTES = 2 * 2**20
_EVER = float("-inf")


class DiskCache(BaseCache):
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
        self._counters = Counters()
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
        found: dict[bytes, bytes] = {}
        for piece in self.get_pieces(keys):
            found.update(piece)
        return found

    def get_pieces(
        self, keys: Sequence[bytes], *, counted: bool = True, again: bool = False
    ) -> Iterable[Mapping[bytes, bytes]]:
        """As `BaseCache.get_pieces`. Many keys are looked up in the order of the file, so no page is read twice.

        For a single key, a file that was seen less than a tenth of a second ago is taken to be still there.
        """
        since = _EVER if self.ttl is None else self._clock() - self.ttl
        if len(keys) > _CHUNK_ROWS:
            return self._get_in_order(keys, since, counted=counted, again=again)
        rows = self._database.read_each(table.select, keys, since, recent=len(keys) == 1)
        if self._eviction is not None:
            self._eviction.spare(self._numbers([key for key, _ in rows]))
        found: dict[bytes, Any] = dict(rows)
        if None in found.values():  # a row that is not ours
            found = self._bytes_of(rows)
        if counted:
            self._counters.add_lookup(len(keys), len(found), again=again)
        return (found,)

    def _get_in_order(
        self, keys: Sequence[bytes], since: float, *, counted: bool, again: bool
    ) -> Iterator[Mapping[bytes, bytes]]:
        count = 0
        for window in _chunks(keys, _WINDOW):
            for part in _chunks(self._numbers(sorted(window)), _CHUNK_ROWS):
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
            number for part in _chunks(keys, _CHUNK_ROWS) for number in self._database.read_each(table.numbers, part)
        )

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        """Keep all items, in transactions so short that other processes hardly wait. What was committed stays."""
        pairs, largest = list(items.items()), max(map(len, items.values()), default=1)
        step = max(1, min(_CHUNK_ROWS, self._chunk_bytes // max(1, largest)))
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
        held = self._database.read(table.width_of, key, label)
        if held is not None or width is None:
            return held
        with self._database.writing() as connection:
            table.hold_width(connection, key, width, label)
            return table.width_of(connection, key, label)

    def hold(self, key: bytes, value: bytes | None, *, label: str = "") -> bytes | None:
        """As `BaseCache.hold`, apart from the entries."""
        held = self._database.read(table.held, key, label)
        if held is not None or value is None:
            return held
        with self._database.writing() as connection:
            table.hold(connection, key, value, label)
            return table.held(connection, key, label)

    def widths(self) -> dict[bytes, tuple[str, int]]:
        """The dimensions that are held of each model.

        Returns:
            Label and dimensions, by the model's key.
        """
        return self._database.read(table.widths)

    def record_savings(self, label: str, *, hits: int, tokens: int) -> bool:
        """As `BaseCache.record_savings`; written with the next vectors, or at close."""
        self._counters.add_savings(label, hits, tokens)
        return True

    def stats(self) -> CacheStats:
        """What the file holds; hits and misses are those of all runs."""
        entries, tally = self._database.read(table.contents)
        tally.update(self._counters.now())
        labels = {
            label: LabelStats(*entries.get(label, (0, 0)), tally["saved_hits", label], tally["saved_tokens", label])
            for label in sorted({*entries, *(label for kind, label in tally if kind == "saved_hits")})
        }
        total = sum(count for count, _ in entries.values())
        return CacheStats(total, self._database.size(), tally["hits", ""], tally["misses", ""], labels)

    def rows(self) -> Iterator[list[table.Row]]:
        """Every entry that can be read, expired ones too.

        Yields:
            Some entries at a time.
        """
        return walk(partial(self._database.read, table.scan))

    def reach(self, rows: Sequence[table.Row]) -> int:
        """How many of these rows can be found by their keys: not all, where the index over keys is damaged.

        Args:
            rows: as `rows` gives them.

        Returns:
            Their number.
        """
        found = self._database.read_each(table.numbers, [row.key for row in rows], quiet=True)
        return len({row.number for row in rows}.intersection(found))

    def delete(self, keys: Sequence[bytes]) -> None:
        """Delete entries.

        Args:
            keys: of the entries.
        """
        for part in _chunks(keys, _CHUNK_ROWS):
            with self._database.writing() as connection:
                table.delete_rows(connection, table.numbers(connection, part))

    def clear(self, label: str | None = None) -> None:
        """Forget all entries and counts, also those of a damaged file, or the entries with one label."""
        try:
            self._delete_all(partial(table.labelled, label=label, count=_CHUNK_ROWS))
            with contextlib.ExitStack() as inside:
                if label is None:
                    inside.enter_context(self._counters.drained())
                table.forget_counts(inside.enter_context(self._database.writing()), label)
            self._database.shrink()
        except sqlite3.DatabaseError as error:
            if label is not None or not is_damage(error):
                raise
            self._database.discard()
            remove_set_aside(self.file)

    def prune(self) -> int:
        """Delete what has expired, and files that were set aside earlier, and give the space back.

        A file that had to be set aside just now stays: perhaps not all of it could be taken over in time.

        Returns:
            How many entries were deleted.
        """
        count = 0
        if self.ttl is not None:
            before = self._clock() - self.ttl
            expired = partial(table.oldest, before=before, count=_CHUNK_ROWS)
            count = self._delete_all(lambda connection: [number for _, number in expired(connection)])
        self._database.shrink()
        remove_set_aside(self.file, keep=self._database.aside)
        return count

    def _delete_all(self, choose: Callable[[sqlite3.Connection], list[int]]) -> int:
        """Delete what `choose` names, one transaction each time, until it names nothing."""
        count = 0
        while True:
            with self._database.writing() as connection:
                rows = choose(connection)
                table.delete_rows(connection, rows)
            if not rows:
                return count
            count += len(rows)

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


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))
