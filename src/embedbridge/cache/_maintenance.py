"""Checks a disk cache, exports it to one file, and imports such a file.

An export is one file without pickle:

    "EBCACHE1" · records · end
    record: label length uint16 · key length uint16 · value length uint32 · label · key · value
    end: eight zero bytes · number of records uint64

Lengths are little-endian. A value carries its own checksum (see `_codec`), so a reader can tell a damaged record, and
the end tells it whether the file is whole.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from embedbridge._files import open_file, replace_file

from ._codec import is_whole, seal_width, width_of
from ._salvage import salvage
from .base import CacheError
from .disk import DiskCache

Progress: TypeAlias = Callable[[int, int], None]
"""Called with entries done and entries in all (0 where that is not known)."""

_MAGIC = b"EBCACHE1"
_SQLITE = b"SQLite format 3\0"
_HEAD = struct.Struct("<HHI")
_COUNT = struct.Struct("<Q")
_LARGEST = 64 * 2**20
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` found."""

    entries: int
    damaged: int
    """Entries with a wrong checksum, or that cannot be read or found by their key: misses, to be paid for again."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What `import_` did."""

    entries: int
    damaged: int
    """Records that were left out because their checksum is wrong."""
    complete: bool
    """Whether the file ended where it should."""


def verify(cache: DiskCache, progress: Progress | None = None) -> Verified:
    """Read every entry and its checksum, and look it up by its key."""
    total, seen, sound = _count(cache), 0, 0
    for rows in cache.rows():
        seen += len(rows)
        sound += cache.reach([row for row in rows if is_whole(row.key, row.value)])
        if progress:
            progress(seen, max(total, seen))
    total = max(total, seen)
    return Verified(total, total - sound)


def export(cache: DiskCache, path: str | os.PathLike[str], progress: Progress | None = None) -> int:
    """Write all sound entries to one file, mode 0600; returns how many. The file gets its name when it is complete."""
    target, total, count = Path(os.path.realpath(path)), _count(cache), 0
    widths: dict[bytes, tuple[str, int]] = {}
    with suppress(sqlite3.DatabaseError):
        widths = cache.widths()
    if target.exists() and target.samefile(cache.file):
        raise CacheError(f"{target} is the cache itself; export to another file")
    if target.exists() and not target.is_file():
        raise CacheError(f"{path} is no file; export to one")

    def write(out: BinaryIO) -> None:
        nonlocal count
        out.write(_MAGIC)
        for rows in cache.rows():
            for row in rows:
                if is_whole(row.key, row.value):
                    label = row.label.encode()[:0xFFFF]
                    out.write(_HEAD.pack(len(label), len(row.key), len(row.value)) + label + row.key + row.value)
                    count += 1
            if progress:
                progress(count, max(total, count))
        for key, (name, width) in widths.items():
            label, value = name.encode()[:0xFFFF], seal_width(key, width)
            out.write(_HEAD.pack(len(label), len(key), len(value)) + label + key + value)
        out.write(bytes(_HEAD.size) + _COUNT.pack(count + len(widths)))

    replace_file(target, write, mode=0o600)
    return count


def _count(cache: DiskCache) -> int:
    with suppress(sqlite3.DatabaseError):  # the index that it is read from may be damaged
        return cache.stats().entries
    return 0


def import_(cache: DiskCache, path: str | os.PathLike[str], progress: Progress | None = None) -> Imported:
    """Store the sound entries of an export, or of a cache file that was renamed as damaged.

    Raises `CacheError` when the file is neither, OSError when it cannot be read.
    """
    source = Path(path).absolute()
    with open_file(source) as stream:
        begin = stream.read(len(_SQLITE))
        if begin == _SQLITE:
            records: Iterator[Record | None] = _records_of_database(source)
        elif begin.startswith(_MAGIC):
            stream.seek(len(_MAGIC))
            records = _records(stream)
        else:
            raise CacheError(f"{source} is neither an export nor a cache file")
        return _take_over(cache, records, progress)


Record: TypeAlias = tuple[str, bytes, bytes]
"""Label, key, value."""


def _take_over(cache: DiskCache, records: Iterator[Record | None], progress: Progress | None) -> Imported:
    """Store the sound ones of `records`, which end with None if the file is complete."""
    entries = damaged = 0
    complete, waiting = False, dict[str, dict[bytes, bytes]]()
    for record in records:
        if record is None:
            complete = True
            break
        label, key, value = record
        if not is_whole(key, value):
            damaged += 1
            continue
        if (width := width_of(key, value)) is not None:
            cache.hold_width(key, width, label=label)
            continue
        entries += 1
        batch = waiting.setdefault(label, {})
        batch[key] = value
        if len(batch) == _CHUNK:
            cache.put_many(waiting.pop(label), label=label)
            if progress:
                progress(entries, 0)
    for label, batch in waiting.items():
        cache.put_many(batch, label=label)
    return Imported(entries, damaged, complete)


def _records(stream: BinaryIO) -> Iterator[Record | None]:
    count = 0
    while len(head := stream.read(_HEAD.size)) == _HEAD.size:
        sizes = _HEAD.unpack(head)
        if sizes == (0, 0, 0):
            if stream.read() == _COUNT.pack(count):
                yield None
            return
        if sizes[2] > _LARGEST:
            return
        label, key, value = (stream.read(size) for size in sizes)
        if len(value) < sizes[2]:
            return
        count += 1
        yield label.decode(errors="replace"), key, value


def _records_of_database(file: Path) -> Iterator[Record | None]:
    for rows in salvage(file):
        yield from ((row.label, row.key, row.value) for row in rows)
    yield None
