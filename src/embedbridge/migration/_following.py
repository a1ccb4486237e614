"""What an application holds that asks an index: made anew when the index has moved to another model."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from embedbridge._core.space import VectorSpace
from embedbridge._frameworks.index_guard import space_files
from embedbridge._run.watches import MOVING
from embedbridge.errors import ConfigurationError, SpaceMismatchError

T = TypeVar("T")


class Following(Generic[T]):
    """Gives what `make` makes of the model that an index has now. Safe to call from any thread.

    Args:
        index: what the guard is given for the index.
        make: is called with the space of the index at the first call, and whenever it has become another.
    """

    def __init__(self, index: str | os.PathLike[str], make: Callable[[VectorSpace], T]) -> None:
        if not isinstance(index, str | os.PathLike) or not os.fspath(index) or not callable(make):
            raise ConfigurationError(f"follow takes the path of an index and a function, not {index!r} and {make!r}")
        self._index, self._make = Path(index), make
        self._lock = threading.Lock()
        self._made: tuple[bytes, T] | None = None

    def __call__(self) -> T:
        """What was made for the index as it is now."""
        file = next(space_files(self._index), None)
        if file is None:
            raise ConfigurationError(
                f"nobody knows the model of {self._index}: call guard({str(self._index)!r}, …) once with what made it"
            )
        with self._lock:
            content = file.read_bytes()
            if self._made is not None and (self._made[0] == content or MOVING.encode() in content):
                return self._made[1]  # while the index moves, what is open goes on asking the old one
            if MOVING.encode() in content:
                raise SpaceMismatchError(f"{self._index} is being moved to another model at this moment; try again")
            self._made = content, self._make(VectorSpace.load(file))
            return self._made[1]
