"""What lets diskcache itself open a cache file of ours, or of anybody, without running or touching what is in it.

By itself diskcache unpickles rows, and opens and deletes files that rows name (CVE-2025-69872).
"""

from __future__ import annotations

import diskcache

from ._database import Database
from ._schema import SETTINGS, count_for_diskcache
from .base import CacheError

_RAW = 1  # diskcache's mode of a value that stands in its row as it is


class BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Stores bytes under bytes, in the row itself; never a pickle or a file."""

    def __init__(self, directory: str, **_settings: object) -> None:
        super().__init__(directory, min_file_size=2**62, pickle_protocol=0)

    def put(self, key: object) -> tuple[memoryview, bool]:
        """The key as a column."""
        if type(key) is not bytes:
            raise TypeError("cache keys are bytes")
        return memoryview(key), True

    def get(self, key: object, raw: object) -> bytes:
        """The key from its column."""
        if not raw or type(key) is not bytes:
            raise CacheError("a row has a key that is not bytes; this package never writes one")
        return key

    def store(self, value: object, read: object, key: object = None) -> tuple[int, int, None, memoryview]:
        """The value as columns."""
        if read or type(value) is not bytes:
            raise TypeError("cache values are bytes")
        return 0, _RAW, None, memoryview(value)

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        """The value from its columns."""
        if mode != _RAW or filename is not None or read or type(value) is not bytes:
            raise CacheError("a row has a value that is not bytes; this package never writes one")
        return value

    def remove(self, file_path: object) -> None:
        """Delete nothing: rows have no files of their own, whatever they name."""


def open_diskcache(database: Database) -> diskcache.Cache:
    """See `DiskCache.as_diskcache`."""
    with database.writing():  # the file is made here, private to its owner, where there is none
        pass
    opened = diskcache.Cache(str(database.file.parent), disk=BytesDisk, **SETTINGS)
    with database.writing() as connection:
        count_for_diskcache(connection)
    return opened
