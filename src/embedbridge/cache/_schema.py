"""diskcache's file format: how such a file is made here, and how one of ours is told from another's.

The statements are those of diskcache 5.6 with strings in single quotes, because an SQLite that is built with
SQLITE_DQS=0 refuses other ones (python-diskcache #311). Its triggers are left out: they count rows for diskcache alone,
and every write pays for it. What diskcache does not have is the table `Tally`, the index over labels, and two numbers
in the header.
"""

from __future__ import annotations

import sqlite3

from .base import CacheError

APPLICATION = 0x45425247  # "EBRG", in the file's header
SCHEMA = 1
SETTINGS: dict[str, int | str] = {
    "statistics": 0,
    "tag_index": 0,  # the index over label and size below does its work
    "eviction_policy": "least-recently-stored",  # any other writes on every read
    "size_limit": 2**62,  # decided in _eviction.py
    "cull_limit": 0,  # culling inside a transaction empties the cache: the page count does not fall before the commit
    "sqlite_auto_vacuum": 2,
    "sqlite_cache_size": -16_384,  # KiB a connection; with a million entries, four times as much saves 3 % of the time
    "sqlite_journal_mode": "wal",
    "sqlite_mmap_size": 0,  # a mapped file that somebody truncates kills the process
    "sqlite_synchronous": 1,
    "disk_min_file_size": 2**62,
    "disk_pickle_protocol": 0,
}
"""What diskcache finds in the file. This package obeys these and never what a file says."""
_COUNTS = ("count", "size", "hits", "misses")  # diskcache's own, which stay 0
_COLUMNS = {
    "Cache": "rowid, key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value",
    "Settings": "key, value",
    "Tally": "kind, label, number",
}
_KEY_INDEX = "Cache_key_raw"  # without it nothing can be stored
_STATEMENTS = (
    "CREATE TABLE IF NOT EXISTS Settings (key TEXT NOT NULL UNIQUE, value)",
    """CREATE TABLE IF NOT EXISTS Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL,
    expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0,
    mode INTEGER DEFAULT 0, filename TEXT, value BLOB)""",
    f"CREATE UNIQUE INDEX IF NOT EXISTS {_KEY_INDEX} ON Cache (key, raw)",
    "CREATE INDEX IF NOT EXISTS Cache_expire_time ON Cache (expire_time)",
    "CREATE INDEX IF NOT EXISTS Cache_store_time ON Cache (store_time)",
    "CREATE INDEX IF NOT EXISTS Cache_tag_size ON Cache (tag, size)",
    "CREATE TABLE IF NOT EXISTS Tally (kind TEXT, label TEXT, number INTEGER, PRIMARY KEY (kind, label))",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {SCHEMA}",
)
_TRIGGERS = {
    *("Settings_count_insert", "Settings_count_delete"),
    *("Settings_size_insert", "Settings_size_update", "Settings_size_delete"),
}


class NotOursError(Exception):
    """The file is no cache of ours, or no longer one."""


def make_tables(connection: sqlite3.Connection) -> None:
    """Make what a file lacks, be it empty or one that diskcache made; its settings stay as they are."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _STATEMENTS:
            connection.execute(statement)
        rows = SETTINGS | dict.fromkeys(_COUNTS, 0)
        connection.executemany("INSERT OR IGNORE INTO Settings VALUES (?, ?)", rows.items())


def drop_triggers(connection: sqlite3.Connection) -> None:
    """Take diskcache's triggers out, which it and earlier releases make; its counts go to 0, and are not stale."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    if triggers := _TRIGGERS.intersection(name for (name,) in found):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for name in triggers:
                connection.execute(f"DROP TRIGGER IF EXISTS {name}")
            connection.execute("UPDATE Settings SET value = 0 WHERE key IN ('count', 'size')")


def count_for_diskcache(connection: sqlite3.Connection) -> None:
    """Set diskcache's counts, which its triggers then keep."""
    for name, number in (("count", "count(*)"), ("size", "IFNULL(sum(size), 0)")):
        connection.execute(f"UPDATE Settings SET value = (SELECT {number} FROM Cache) WHERE key = ?", (name,))  # noqa: S608


def check(connection: sqlite3.Connection) -> bool:
    """Whether the file has all tables of ours: False when it is empty, or as diskcache makes one.

    Raises `NotOursError` for another's, and `CacheError` for one that a later version of this package has written.
    """
    connection.execute("BEGIN")  # one look: another process may make the tables meanwhile
    try:
        return _check(connection)
    finally:
        connection.execute("ROLLBACK")


def _check(connection: sqlite3.Connection) -> bool:
    ((application,),) = connection.execute("PRAGMA application_id")
    ((schema,),) = connection.execute("PRAGMA user_version")
    names = set(connection.execute("SELECT type, name FROM sqlite_master"))
    tables = {name for kind, name in names if kind == "table"}
    if application == APPLICATION and schema > SCHEMA:
        raise CacheError("the cache was written by a later version of embedbridge; it is left alone and not used")
    if not tables:
        return False
    ours: bool = application == APPLICATION
    if not ours and (application or tables - {"sqlite_sequence"} != _COLUMNS.keys() - {"Tally"}):
        raise NotOursError("the file is another program's database")
    if ("index", _KEY_INDEX) not in names:
        raise NotOursError(f"the database lacks a part: no such index: {_KEY_INDEX}")
    try:
        for name, columns in _COLUMNS.items():
            if ours or name in tables:
                connection.execute(f"SELECT {columns} FROM {name} LIMIT 0")  # noqa: S608
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise NotOursError(f"the database lacks a part: {error}") from error
    return ours
