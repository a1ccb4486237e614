"""What is done with a cache on disk besides reading and writing vectors: counting, walking, deleting."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from . import _table as table
from ._connection import is_damage
from ._database import Database
from ._files import remove_set_aside
from ._salvage import walk
from .base import BaseCache, CacheStats, LabelStats

T = TypeVar("T")

CHUNK_ROWS = 512  # rows read in one statement, or written in one transaction of about 20 ms


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Items, so many at a time."""
    return (items[at : at + size] for at in range(0, len(items), size))


class Upkeep(BaseCache):
    """The part of `DiskCache` that looks after the file."""

    ttl: float | None
    _clock: Callable[[], float]
    _counters: table.Counters
    _database: Database

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
        for part in chunks(keys, CHUNK_ROWS):
            with self._database.writing() as connection:
                table.delete_rows(connection, table.numbers(connection, part))

    def clear(self, label: str | None = None) -> None:
        """Forget all entries and counts, also those of a damaged file, or the entries with one label."""
        try:
            self._delete_all(partial(table.labelled, label=label, count=CHUNK_ROWS))
            with contextlib.ExitStack() as inside:
                if label is None:
                    inside.enter_context(self._counters.drained())
                table.forget_counts(inside.enter_context(self._database.writing()), label)
            self._database.shrink()
        except sqlite3.DatabaseError as error:
            if label is not None or not is_damage(error):
                raise
            self._database.discard()
            remove_set_aside(self._database.file)

    def prune(self) -> int:
        """Delete what has expired, and files that were set aside earlier, and give the space back.

        A file that had to be set aside just now stays: perhaps not all of it could be taken over in time.

        Returns:
            How many entries were deleted.
        """
        count = 0
        if self.ttl is not None:
            before = self._clock() - self.ttl
            expired = partial(table.oldest, before=before, count=CHUNK_ROWS)
            count = self._delete_all(lambda connection: [number for _, number in expired(connection)])
        self._database.shrink()
        remove_set_aside(self._database.file, keep=self._database.aside)
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

    def widths(self) -> dict[bytes, tuple[str, int]]:
        """The dimensions that are held of each model.

        Returns:
            Label and dimensions, by the model's key.
        """
        return self._database.read(table.widths)
