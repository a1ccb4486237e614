"""One SQLite file for every thread and process: opened late, opened again after a fork or when it was deleted.

One connection reads and one writes, each behind a lock, so a reader never waits for a writer. Whatever stands in the
way of writing is tried again at the next write; until then the file is read as it is.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from .base import Alarm, CacheError
from .files import identity, log_size, private_file, private_folder, set_aside
from .table import SETTINGS, NotOursError, Table, check

T = TypeVar("T")

_READ_WAIT = 1.0  # seconds for another's lock
_WRITE_WAIT = 5.0
_CLOSE_WAIT = 0.25
_PAGE_SIZE = 8192  # one vector of 1536 numbers a page; larger pages make the index dear to write once it is large
_LOG_LIMIT = 16 * 2**20
_NO_WRITING = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
}
_ABANDONED: list[object] = []  # connections of the parent process: closing them here would release the parent's locks


@dataclass(slots=True)
class _Open:
    """The file as it is open now."""

    reader: sqlite3.Connection
    writer: Table | None
    identity: tuple[int, int] | None
    reading: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False

    def close(self, last: Callable[[Table], None] | None = None) -> None:
        with self.writing, self.reading:
            self.closed = True
            self.reader.close()
            if self.writer is not None:
                connection = self.writer.connection
                with contextlib.suppress(sqlite3.Error):
                    connection.execute(f"PRAGMA busy_timeout = {int(_CLOSE_WAIT * 1000)}")
                    if last is not None:
                        last(self.writer)
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                connection.close()


class Database:
    """Reading and writing `folder/cache.db`.

    Args:
        log_limit: bytes to which the write-ahead log is cut back.
    """

    def __init__(self, folder: Path, alarm: Alarm, *, log_limit: int | None = None) -> None:
        self.file = folder / "cache.db"
        self.alarm = alarm
        self._log_limit = min(_LOG_LIMIT, log_limit or _LOG_LIMIT)
        self._open: _Open | None = None
        self._opening = threading.Lock()
        self._pid = os.getpid()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with, for as long as the block lasts."""
        while True:
            now = self._current()
            with now.reading:
                if not now.closed:
                    yield now.reader
                    return

    @contextlib.contextmanager
    def writing(self) -> Iterator[Table]:
        """The table inside a transaction, for as long as the block lasts. Raises `CacheError` where it is read-only."""
        with self._writer() as table, table.transact():
            yield table

    def shrink(self) -> None:
        """Give the space of deleted rows back to the file system, some pages a transaction."""
        more = True
        while more:
            with self._writer() as table:
                more = table.shrink()

    @contextlib.contextmanager
    def _writer(self) -> Iterator[Table]:
        while True:
            now = self._current(to_write=True)
            if now.writer is None:
                raise CacheError(f"{self.file.parent} cannot be written to; what it holds is read")
            with now.writing:
                if not now.closed:
                    yield now.writer
                    return

    def size(self) -> int:
        """Bytes of the file and its log."""
        try:
            return self.file.stat().st_size + log_size(self.file)
        except OSError:
            return 0

    def close(self, last: Callable[[Table], None] | None = None) -> None:
        """Do `last`, fold the log into the file and close it, if it is open. The next use opens it again."""
        if self._pid == os.getpid():
            with self._opening:
                self._drop(last)

    def replace(self, cause: Exception) -> Path | None:
        """Set the damaged file aside, so that the next use starts a new one.

        Returns its new name, or None when another process has replaced it already.
        """
        with self._opening:
            damaged = self._open.identity if self._open else identity(self.file)
            self._drop()
            return self._set_aside(damaged, cause)

    def _current(self, *, to_write: bool = False) -> _Open:
        if self._pid != os.getpid():
            _ABANDONED.append(self._open)
            self._open, self._opening, self._pid = None, threading.Lock(), os.getpid()
        now = self._open
        usable = now is not None and not now.closed and now.identity == identity(self.file)
        if usable and now is not None and not (to_write and now.writer is None):
            return now
        with self._opening:
            if self._open is now:  # nobody else has opened it meanwhile
                self._drop()
                self._open = self._connect()
            return self._open or self._connect()

    def _drop(self, last: Callable[[Table], None] | None = None) -> None:
        if self._open is not None:
            self._open.close(last)
            self._open = None

    def _connect(self) -> _Open:
        try:
            return self._connect_to_write()
        except NotOursError as error:
            self._set_aside(identity(self.file), error)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                if error_code(error) not in _NO_WRITING:
                    raise
                return self._connect_to_read(error)
            self._set_aside(identity(self.file), error)
        except OSError as error:
            return self._connect_to_read(error)
        return self._connect_to_write()

    def _connect_to_write(self) -> _Open:
        private_folder(self.file.parent)
        private_file(self.file)
        found = identity(self.file)
        connection = _connect(f"{self.file.as_uri()}?mode=rw", _WRITE_WAIT)
        try:
            journal = _patiently(lambda: self._prepare(connection))
            table = _patiently(lambda: Table(self.file.parent, connection, create=not check(connection)))
            reader = _connect(f"{self.file.as_uri()}?mode=rw", _READ_WAIT)
            reader.execute("PRAGMA query_only = 1")
        except BaseException:
            connection.close()
            raise
        if journal != "wal":  # a file system without shared memory; there NORMAL does not survive a power cut
            connection.execute("PRAGMA synchronous = FULL")
        return _Open(reader, table, found)

    def _prepare(self, connection: sqlite3.Connection) -> str:
        """Set what counts for this connection, whatever the file says about itself; returns the journal mode."""
        if not check(connection):
            connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
            connection.execute(f"PRAGMA auto_vacuum = {SETTINGS['sqlite_auto_vacuum']}")
        ((journal,),) = connection.execute("PRAGMA journal_mode = wal")
        connection.execute(f"PRAGMA synchronous = {SETTINGS['sqlite_synchronous']}")
        connection.execute(f"PRAGMA journal_size_limit = {self._log_limit}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {max(1, self._log_limit // (2 * _PAGE_SIZE))}")
        return str(journal)

    def _connect_to_read(self, cause: Exception) -> _Open:
        try:
            reader = connect_to_read(self.file)
            if check(reader):
                return _Open(reader, None, identity(self.file))
        except (sqlite3.Error, NotOursError):
            pass
        raise cause

    def _set_aside(self, damaged: tuple[int, int] | None, cause: Exception) -> Path | None:
        """Rename the file, unless another process has done so already."""
        if identity(self.file) != damaged:
            return None
        aside = set_aside(self.file)
        self.alarm(f"the cache file was damaged ({cause}); it is now {aside}, and a new one was started")
        return aside


def connect_to_read(file: Path) -> sqlite3.Connection:
    """Open a file that cannot, or is not to, be written to.

    With a log beside it only `mode=ro` sees what is in the log; without one, on a read-only disk, only `immutable=1`
    can open it.
    """
    return _connect(f"{file.as_uri()}?{'mode=ro' if log_size(file) else 'immutable=1'}", _READ_WAIT)


def _connect(uri: str, wait: float) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None, check_same_thread=False)
    connection.text_factory = lambda text: text.decode(errors="replace")
    connection.execute("PRAGMA trusted_schema = 0")
    connection.execute(f"PRAGMA cache_size = {SETTINGS['sqlite_cache_size']}")
    connection.execute(f"PRAGMA mmap_size = {SETTINGS['sqlite_mmap_size']}")
    return connection


def _patiently(action: Callable[[], T]) -> T:
    """Changing to WAL and making tables fail at once where another process does the same, whatever the timeout says."""
    end = time.monotonic() + _WRITE_WAIT
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if error_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def error_code(error: Exception) -> int:
    """SQLite's primary error code; 0 where it gave none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_damage(error: Exception) -> bool:
    """Whether the file itself is at fault."""
    return error_code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
