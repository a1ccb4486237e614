"""Connections to one SQLite file, with settings of this package and not of the file."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ._files import log_size
from ._schema import SETTINGS, check, drop_triggers, make_tables

T = TypeVar("T")

READ_WAIT = 1.0  # seconds for another's lock
WRITE_WAIT = 5.0  # also to open a file, which needs the locks of writers
SHORT_WAIT = 0.25  # for what can be done another time
_READER_CACHE = -2048  # KiB: each write empties this cache, and a large one leaves holes all over memory
_PAGE_SIZE = 32_768  # of a new file: five vectors of 1536 numbers. With 8 KiB a page held one, and a quarter was empty
_SMALL_PAGE = 8192  # of a file with little room, of which the first pages of tables and indexes would take the half
_SMALL_LOG = 2**20  # bytes of log, and sixteen times as many in all, up to which a file has little room


@dataclass(slots=True)
class Open:
    """A file as it is open now: one connection reads and one writes, each behind a lock."""

    reader: sqlite3.Connection
    writer: sqlite3.Connection | None
    identity: tuple[int, int] | None
    reading: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False
    seen: float = float("-inf")
    """When its file was last seen where it should be."""

    def close(self, last: Callable[[sqlite3.Connection], None] | None) -> None:
        with self.writing, self.reading:
            self.closed = True
            self.reader.close()
            if self.writer is not None:
                with contextlib.suppress(sqlite3.Error):
                    wait(self.writer, SHORT_WAIT)
                    if last is not None:
                        last(self.writer)
                    cut_log(self.writer)
                self.writer.close()


def connect_to_write(file: Path, log_limit: int) -> sqlite3.Connection:
    """Open a file that exists, empty or one of ours. `log_limit`: bytes to which the write-ahead log is cut back."""
    connection = _connect(file, "rw", WRITE_WAIT)
    with closed_on_failure(connection):
        patiently(lambda: _prepare(connection, log_limit))
    return connection


def _prepare(connection: sqlite3.Connection, log_limit: int) -> None:
    complete = check(connection)
    if not complete:
        connection.execute(f"PRAGMA page_size = {_PAGE_SIZE if log_limit > _SMALL_LOG else _SMALL_PAGE}")
        connection.execute(f"PRAGMA auto_vacuum = {SETTINGS['sqlite_auto_vacuum']}")
    ((journal,),) = connection.execute(f"PRAGMA journal_mode = {SETTINGS['sqlite_journal_mode']}")
    # Without a shared log, as on a network's file system, NORMAL does not survive a power cut.
    connection.execute(f"PRAGMA synchronous = {SETTINGS['sqlite_synchronous'] if journal == 'wal' else 'FULL'}")
    connection.execute("PRAGMA secure_delete = 0")  # some builds write zeros over all that is deleted
    connection.execute(f"PRAGMA journal_size_limit = {log_limit}")
    ((page_size,),) = connection.execute("PRAGMA page_size")  # a file keeps the one that it was made with
    connection.execute(f"PRAGMA wal_autocheckpoint = {max(1, log_limit // (2 * page_size))}")
    if not complete:
        make_tables(connection)
    with contextlib.suppress(sqlite3.OperationalError):  # locked or full: at the next opening
        wait(connection, 0)
        drop_triggers(connection)
    wait(connection, WRITE_WAIT)


def wait(connection: sqlite3.Connection, seconds: float) -> None:
    """Have the connection wait so long for another's lock, from now on."""
    connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def cut_log(connection: sqlite3.Connection) -> None:
    """Move the write-ahead log into the file and empty it, unless others hinder it for more than a moment."""
    wait(connection, SHORT_WAIT)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # a row that says "busy", and no error
    finally:
        wait(connection, WRITE_WAIT)


def connect_beside(file: Path) -> sqlite3.Connection:
    """A connection that only reads, beside one that writes."""
    connection = _connect(file, "rw", WRITE_WAIT)
    with closed_on_failure(connection):
        patiently(lambda: check(connection))  # the first look at a log may have to wait for whoever restores it
        wait(connection, READ_WAIT)
        connection.execute("PRAGMA query_only = 1")
        connection.execute(f"PRAGMA cache_size = {_READER_CACHE}")
    return connection


def connect_to_read(file: Path) -> sqlite3.Connection:
    """Open a file that cannot, or is not to, be written to.

    With a log beside it only `mode=ro` sees what is in the log; without one, on a read-only disk, only `immutable=1`
    can open it.
    """
    return _connect(file, _read_mode(file), READ_WAIT)


def connect_to_salvage(file: Path) -> sqlite3.Connection:
    """Open a damaged file for reading, also one that is shorter than its header says."""
    # The switch makes SQLite go by the file's true length; nothing is written.
    return _connect(file, _read_mode(file), READ_WAIT, first="PRAGMA writable_schema = 1")


def _read_mode(file: Path) -> str:
    return "ro" if log_size(file) else "ro&immutable=1"


def _connect(file: Path, mode: str, wait: float, first: str = "") -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.as_uri()}?mode={mode}", uri=True, timeout=wait, isolation_level=None, check_same_thread=False
    )
    with closed_on_failure(connection):
        connection.text_factory = lambda text: text.decode(errors="replace")
        connection.execute(first)
        connection.execute("PRAGMA trusted_schema = 0")
        connection.execute(f"PRAGMA cache_size = {SETTINGS['sqlite_cache_size']}")
        connection.execute(f"PRAGMA mmap_size = {SETTINGS['sqlite_mmap_size']}")
    return connection


@contextlib.contextmanager
def closed_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    """Close a connection when the block that sets it up fails, since nobody else has it yet."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def patiently(action: Callable[[], T]) -> T:
    """Retry while the file is busy: changing to WAL and making tables do not wait for another process's lock."""
    end = time.monotonic() + WRITE_WAIT
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
    """Whether an error means that the file is damaged."""
    return error_code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
