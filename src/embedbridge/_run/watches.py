"""What the guard leaves in an object that asks an index: a look, at each query and each write, whether it has moved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from embedbridge._core.canary import read_stored
from embedbridge._core.space import VectorSpace
from embedbridge.errors import ConfigurationError, SpaceMismatchError

MOVING = "embedbridge_moving"
"""In the file of an index while `embedbridge.migration` changes which one it is; then no model may ask it."""

_builds: ContextVar[bool] = ContextVar("_builds", default=False)


class Watch:
    """Looks at a file of the guard's; the file is read only when it has become another.

    Args:
        index: what the guard was given, for messages.
        file: that the guard keeps for it.
        space: of the vectors that the index is asked with.
    """

    __slots__ = ("_known", "_place", "_space", "file", "index")

    def __init__(self, index: Path, file: Path, space: VectorSpace) -> None:
        self.index, self.file = index, str(file.absolute())
        self._place, self._space = index.absolute(), space
        self._known: tuple[tuple[int, int, int], SpaceMismatchError | None] | None = None

    def __reduce__(self) -> tuple[type[Watch], tuple[Path, Path, VectorSpace]]:
        return type(self), (self._place, Path(self.file), self._space)

    def check(self) -> None:
        """Raise `SpaceMismatchError` unless the index has the space that it is asked with."""
        try:
            found = os.stat(self.file)  # noqa: PTH116 - half the time of Path.stat, at every query
        except (FileNotFoundError, NotADirectoryError):
            self._check_gone()
            return
        except OSError as error:
            raise ConfigurationError(f"{self.file} cannot be read: {error.strerror}") from error
        seen, known = (found.st_mtime_ns, found.st_size, found.st_ino), self._known
        if known is None or known[0] != seen:
            try:
                self._known = known = seen, self._fault()
            except FileNotFoundError:  # replaced in this moment
                self._check_gone()
                return
        if known[1] is not None and not _builds.get():
            raise SpaceMismatchError(str(known[1]), parts=known[1].parts) from None

    def _fault(self) -> SpaceMismatchError | None:
        try:
            stored = read_stored(self.file)
            if isinstance(stored, dict) and MOVING in stored:
                return SpaceMismatchError(
                    f"{self.index} is being moved to another model at this moment: try again. If the switch was cut "
                    "off, `embedbridge migrate switch` completes it, and `embedbridge migrate back` undoes it"
                )
            self._space.check(self.file)
        except SpaceMismatchError as error:
            if not error.parts:  # it is no file of ours
                return SpaceMismatchError(f"{self.index} can be asked with no model: {error}")
            return SpaceMismatchError(
                f"{self.index} has moved to another model since it was opened: {error}. Open it anew with its model; "
                "embedbridge.migration.follow does so by itself",
                parts=error.parts,
            )
        return None

    def _check_gone(self) -> None:
        """Raise `SpaceMismatchError` where the index is there and its file is not, as when it is to be built anew."""
        if self._place.exists() and not os.path.lexists(self.file) and not _builds.get():
            raise SpaceMismatchError(
                f"{self.file} was taken away, as it is before {self.index} is built anew, or when it has moved back: "
                "open the index anew, and call guard with what made it"
            )


def watched_with(watches: tuple[Watch, ...], new: Watch) -> tuple[Watch, ...]:
    """Watches and a new one, which replaces that of the same file."""
    return (*(each for each in watches if each.file != new.file), new)


def check_watches(watches: tuple[Watch, ...]) -> None:
    """Raise `SpaceMismatchError` where an index has moved."""
    for each in watches:
        each.check()


@contextmanager
def building() -> Iterator[None]:
    """Vectors that are asked for within are for no index that is guarded with the embedder."""
    token = _builds.set(True)
    try:
        yield
    finally:
        _builds.reset(token)


def is_building() -> bool:
    """Whether this is within `building`."""
    return _builds.get()
