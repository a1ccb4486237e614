"""The folder and the files of a disk cache, which only their owner can enter and read."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from pathlib import Path

from embedbridge._core.prepare import as_path
from embedbridge.errors import ConfigurationError

from .base import CacheError

_ADDRESS = re.compile(r"://|^[a-z][a-z+]+:/")  # the second is what a Path makes of the first
_LOGS = ("-wal", "-shm")
_ROOT = 0


def cache_directory(directory: str | os.PathLike[str] | None) -> Path:
    """The directory as an absolute path; None: `EMBEDBRIDGE_CACHE_DIR`, else where this system keeps users' caches."""
    chosen = directory if directory is not None else os.environ.get("EMBEDBRIDGE_CACHE_DIR")
    if directory is not None:
        as_path(directory)
    if directory is not None and not os.fspath(directory).strip():
        raise ConfigurationError("the cache's directory is an empty string; leave it out for the usual one, or name it")
    if not chosen:
        from platformdirs import user_cache_path

        return user_cache_path("embedbridge", appauthor=False)
    if "\0" in os.fspath(chosen):
        raise ConfigurationError("a cache directory cannot have a NUL character in its name")
    if _ADDRESS.search(os.fspath(chosen)):  # it may hold a password, which a directory's name would show
        raise ConfigurationError("a URL was given where the cache's directory is wanted; redis:// goes with cache=")
    return Path(chosen).expanduser().absolute()


def private_folder(folder: Path) -> None:
    """Make `folder` (mode 0700) where there is none.

    Raises `CacheError` when it, or the directory it is in, belongs to somebody else: whoever owns a directory can put
    other files in the place of ours. And when a file is where a directory should be.
    """
    for missing in reversed([folder, *folder.parents]):
        if missing.is_file():
            raise CacheError(f"{missing} is a file, and the cache's directory cannot be there; choose another")
        if not missing.exists():
            with contextlib.suppress(FileExistsError):
                missing.mkdir(mode=0o700)
    for place, owners in ((folder, {_me()}), (folder.parent, {_me(), _ROOT})):
        if place.stat().st_uid not in owners:
            raise CacheError(f"the cache directory {place} belongs to another user; choose one of your own")


def _me() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else _ROOT  # where there are no owners, stat says 0


def private_file(file: Path) -> None:
    """Make `file` (mode 0600) where there is none, before a library does so with a wider mode.

    Raises `CacheError` for a device or a pipe, which the library would wait for without end.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(file, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CacheError(f"{file} is no regular file; choose another directory for the cache")
        if hasattr(os, "fchmod") and os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def log_size(file: Path) -> int:
    """Bytes in the database's write-ahead log; 0 where there is none."""
    try:
        return file.with_name(file.name + "-wal").stat().st_size
    except OSError:
        return 0


def remove_set_aside(file: Path, keep: Path | None = None) -> None:
    """Delete files that `set_aside` has renamed, except `keep` and its logs."""
    for aside in file.parent.glob(f"{file.name}.corrupt-*"):
        if keep is None or not aside.name.startswith(keep.name):
            aside.unlink(missing_ok=True)


def set_aside(file: Path) -> Path:
    """Rename a database and its logs; returns the new name.

    The logs go first: a log left beside a fresh database would be played back into it.
    """
    aside = file.with_name(f"{file.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09}")
    for ending in (*_LOGS, ""):
        with contextlib.suppress(FileNotFoundError):
            file.with_name(file.name + ending).rename(aside.with_name(aside.name + ending))
    return aside
