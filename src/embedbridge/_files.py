"""Files that appear whole or not at all, files that anybody may have put in their place, and the package's own."""

from __future__ import annotations

import contextlib
import errno
import os
import pkgutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

Write = Callable[[BinaryIO], object]
"""Writes a file's content to a stream."""


def replace_file(path: Path, write: Write, *, mode: int = 0o666) -> None:
    """Write a file, in place of what stood there: a reader finds the old content or the new one, never a part.

    Any number of threads and processes may do so at once; the last one stays. A link stays a link.

    Args:
        path: the file. Its folder exists.
        write: called once, with a stream opened for writing.
        mode: permissions of a new file, less the process's umask.

    Raises:
        OSError: it cannot be written, or something that is no file stands there.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a file would take the place of a device
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with _written(target, write, mode) as part:
        part.replace(target)


def create_file(path: Path, write: Write) -> bool:
    """Write a file where there is none. Of several at once, in any process, one wins and the others change nothing.

    Returns:
        Whether the file is ours. False: there is one already, and it is whole.
    """
    if os.path.lexists(path):
        return False
    with _written(path, write, 0o666) as part:
        try:
            os.link(part, path)  # unlike a rename, it fails where a file is
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            return _create_by_name(path, part.read_bytes())
    return True


def _create_by_name(path: Path, content: bytes) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    return True


@contextmanager
def _written(target: Path, write: Write, mode: int) -> Iterator[Path]:
    """A file beside `target` with the content, under a name that nobody else has; it is gone after the block."""
    import secrets

    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(8)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        yield part
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises OSError, also for a folder, a device or a pipe, which might never end."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_text(path: Path) -> str:
    """The text of a regular file in UTF-8.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        OSError: it cannot be read, or it is no regular file.
        UnicodeDecodeError: it holds something other than UTF-8.
    """
    with open_file(path) as stream:
        return stream.read().decode()


def read_own(package: str, name: str) -> str:
    """The text of a file that comes with the package, also where that is a zip.

    Args:
        package: the folder, as it is imported.
        name: of the file in it.

    Returns:
        The text; empty where there is no such file.
    """
    try:
        return (pkgutil.get_data(package, name) or b"").decode()  # `importlib.resources` takes 10 ms to import
    except FileNotFoundError:
        return ""
