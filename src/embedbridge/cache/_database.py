"""One SQLite file for all threads and processes: opened at the first use, and again after a fork or a deletion.

One connection reads and one writes, each behind a lock, so a reader never waits for a writer. A damaged file is
renamed, and what can be read of it is copied into a new one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from embedbridge._threads.endings import be_ready

from ._connection import (
    Open,
    closed_on_failure,
    connect_beside,
    connect_to_read,
    connect_to_write,
    cut_log,
    error_code,
    is_damage,
)
from ._files import log_size, private_file, private_folder, set_aside
from ._forks import watch
from ._salvage import salvage
from ._schema import NotOursError, check
from ._table import shrink, store_rows
from .base import Alarm, CacheError

T = TypeVar("T")
R = TypeVar("R")

_LOG_LIMIT = 32 * 2**20  # it is moved into the file at half of that; moved twice as often, a row costs a sixth more
_SHRINK_BYTES = 8 * 2**20  # given back in one transaction
_SALVAGE_SECONDS = 10.0
_LOOK_SECONDS = 0.1  # for which the file need not be looked at again before a single entry is read
_NO_WRITING = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
}
_ABANDONED: list[object] = []  # connections that must not even be closed


def identity(file: str | Path) -> tuple[int, int] | None:
    """Device and inode, which tell a file from another one under the same name; None where there is no file."""
    try:
        found = os.stat(file)  # noqa: PTH116 - Path.stat costs twice as much, and every read pays for it
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Database:
    """Reading and writing `folder/cache.db`.

    Args:
        log_limit: bytes to which the write-ahead log is cut back; writing waits a moment for others who hinder it.
            None: to 32 MiB, as soon as nobody hinders it.
    """

    def __init__(self, folder: Path, alarm: Alarm, *, log_limit: int | None = None) -> None:
        self.file = folder / "cache.db"
        self._path = str(self.file)
        self.alarm = alarm
        self._limited = log_limit is not None
        self._log_limit = min(_LOG_LIMIT, log_limit or _LOG_LIMIT)
        self.aside: Path | None = None
        """The file that was set aside last, by this object."""
        self._open: Open | None = None
        self._damaged: tuple[int, int] | None = None
        self._locked = float("-inf")  # when somebody last waited in vain for another process's lock
        self._opening = threading.Lock()
        watch(self)

    def read(self, query: Callable[..., T], *values: object, recent: bool = False) -> T:
        """What `query` gives, called with a connection that only reads, and the values.

        `recent`: a file that was seen less than a tenth of a second ago is taken to be still there.
        """
        while True:
            now = self._open
            if now is None or now.closed or not recent or time.monotonic() > now.seen + _LOOK_SECONDS:
                now = self._current()
            with now.reading:
                if not now.closed:
                    return query(now.reader, *values)

    def read_each(
        self,
        query: Callable[..., list[R]],
        wanted: Sequence[T],
        *values: object,
        quiet: bool = False,
    ) -> list[R]:
        """`read` for all that is wanted; of a damaged file, for each of it that can be read, `quiet` without alarm."""
        try:
            return self.read(query, wanted, *values)
        except sqlite3.DatabaseError as error:
            return self.read_rest(error, query, wanted, *values, quiet=quiet)

    def read_rest(
        self,
        cause: sqlite3.DatabaseError,
        query: Callable[..., list[R]],
        wanted: Sequence[T],
        *values: object,
        quiet: bool = False,
    ) -> list[R]:
        """What `read` can still give after it has raised `cause`: of a damaged file, each that can be read."""
        if not is_damage(cause):
            raise cause
        if len(wanted) > 1:
            return [row for one in wanted for row in self.read_each(query, [one], *values, quiet=quiet)]
        if not quiet:
            self.alarm(f"a part of the cache in {self.file.parent} cannot be read ({cause}); the rest is used")
        return []

    @contextlib.contextmanager
    def writing(self, *, at_once: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection for as long as the block lasts, in a transaction unless `at_once` is False.

        Raises `CacheError` where the file is read-only.
        """
        while True:
            now = self._current(to_write=True)
            if (writer := now.writer) is None:
                raise CacheError(f"{self.file.parent} cannot be written to; what it holds is read")
            with self._in_turn(now.writing):
                if now.closed:
                    continue
                try:
                    with writer:  # which ends a transaction, whatever happens, and a Ctrl-C at any moment
                        if at_once:
                            writer.execute("BEGIN IMMEDIATE")
                        yield writer
                    if self._limited and log_size(self.file) > 2 * self._log_limit:  # others read it, or move it
                        cut_log(writer)
                except sqlite3.DatabaseError as error:
                    if is_damage(error):
                        self._damaged = now.identity
                    raise
                return

    def shrink(self) -> None:
        """Give the space of deleted rows and of the log back to the file system, some pages a transaction."""
        more = True
        while more:
            with self.writing(at_once=False) as connection:
                more = shrink(connection, min(_SHRINK_BYTES, self._log_limit))
                cut_log(connection)

    def size(self) -> int:
        """Bytes of the file and its log."""
        try:
            return self.file.stat().st_size + log_size(self.file)
        except OSError:
            return 0

    def replace(self, cause: Exception) -> None:
        """Rename the file that was found damaged, and copy what can be read of it into a new one."""
        with self._opening:
            if self._open is not None and self._open.identity == self._damaged:
                self._drop()
            aside = self._set_aside(self._damaged, cause)
        if aside is not None:
            self._take_over(aside)

    def discard(self) -> None:
        """Rename the file that was found damaged; the next use starts an empty one."""
        with self._opening:
            self._drop()
            if identity(self.file) == self._damaged:
                set_aside(self.file)

    def close(self, last: Callable[[sqlite3.Connection], None] | None = None) -> None:
        """Call `last`, move the log into the file and close it, if it is open. The next use opens it again."""
        with self._opening:
            self._drop(last)

    def locks(self) -> Iterator[threading.Lock]:
        """In the order in which they are taken here."""
        yield self._opening
        if self._open is not None:
            yield self._open.writing
            yield self._open.reading

    def start_again(self, *, at_rest: bool) -> None:
        """In the child of a fork: close the parent's connections, or abandon them where they were in use."""
        now, self._open, self._opening = self._open, None, threading.Lock()
        if now is not None and at_rest:
            now.reader.close()
            if now.writer is not None:
                now.writer.close()
        else:
            _ABANDONED.append(now)

    @contextlib.contextmanager
    def _in_turn(self, lock: threading.Lock) -> Iterator[None]:
        """Hold the lock. When a holder waits in vain for another process, those queued behind it fail at once."""
        came = time.monotonic()
        with lock:
            if self._locked > came:
                raise CacheError(f"{self.file} is locked by another process")
            try:
                yield
            except sqlite3.OperationalError as error:
                if error_code(error) == sqlite3.SQLITE_BUSY:
                    self._locked = time.monotonic()
                raise

    def _current(self, *, to_write: bool = False) -> Open:
        now, aside = self._open, None
        if now is None or now.identity != identity(self._path) or now.closed or (to_write and now.writer is None):
            with self._in_turn(self._opening):
                if self._open is now or self._open is None:  # else somebody has opened it meanwhile
                    self._drop()
                    self._open, aside = self._connect()
                now = self._open
        now.seen = time.monotonic()
        if aside is not None:
            self._take_over(aside)
        return now

    def _drop(self, last: Callable[[sqlite3.Connection], None] | None = None) -> None:
        if self._open is not None:
            self._open.close(last)
            self._open = None

    def _connect(self) -> tuple[Open, Path | None]:
        """Open the file; returns also the file that had to be set aside for it."""
        found = identity(self.file)
        try:
            return self._connect_to_write(), None
        except NotOursError as error:
            aside = self._set_aside(found, error)
        except sqlite3.DatabaseError as error:
            if error_code(error) in _NO_WRITING:
                return self._connect_to_read(error), None
            if not is_damage(error):
                raise
            aside = self._set_aside(found, error)
        except OSError as error:
            return self._connect_to_read(error), None
        return self._connect_to_write(), aside

    def _connect_to_write(self) -> Open:
        be_ready()
        private_folder(self.file.parent)
        private_file(self.file)
        found = identity(self.file)
        connection = connect_to_write(self.file, self._log_limit)
        with closed_on_failure(connection):
            return Open(connect_beside(self.file), connection, found)

    def _connect_to_read(self, cause: Exception) -> Open:
        with contextlib.suppress(sqlite3.Error, NotOursError):
            reader = connect_to_read(self.file)
            with closed_on_failure(reader):
                if check(reader):
                    return Open(reader, None, identity(self.file))
                raise NotOursError
        raise cause

    def _set_aside(self, damaged: tuple[int, int] | None, cause: Exception) -> Path | None:
        """Rename the damaged file, unless somebody else has done so already."""
        if identity(self.file) != damaged:
            return None
        self.aside = set_aside(self.file)
        self.alarm(f"the cache file was damaged ({cause}); it is now {self.aside}, and a new one was started")
        return self.aside

    def _take_over(self, aside: Path) -> None:
        """Copy what can be read of a renamed file, for at most `_SALVAGE_SECONDS`: a job waits for it."""
        end = time.monotonic() + _SALVAGE_SECONDS
        with contextlib.suppress(sqlite3.Error):
            for rows in salvage(aside):
                with self.writing() as connection:
                    store_rows(connection, (row[:4] for row in rows))
                if time.monotonic() > end:
                    return
