"""Places that hold several indexes: which one is meant, and where its guard lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from embedbridge._frameworks.index_guard import space_files
from embedbridge.errors import ConfigurationError

from .base import JOURNAL, Store


class SharedPlaceStore(Store):
    """One of several indexes of a folder, or of a server.

    Args:
        name: of the index.
        place: as it is shown.
        folder: None: on a server.
    """

    def __init__(self, name: str, place: str, folder: Path | None) -> None:
        super().__init__(name, f"{self.kind}:{place}#{name}")
        self._folder = folder and folder.absolute()

    @property
    def beside(self) -> Path | None:
        return self._folder and self._folder / self.name

    def guard_path(self, name: str) -> Path | None:
        """The folder itself, where it stands for the current index alone; else the index's own name in it.

        Raises `ConfigurationError` where the guard's file of the folder stands for several indexes.
        """
        if (folder := self._folder) is None:
            return None
        others = len({*self.indexes()} - {self.name})
        if name != self.name or any(space_files(folder / name)):
            return folder / name
        if others and any(space_files(folder)):
            raise ConfigurationError(
                f"the guard has one file for all {others + 1} indexes of {folder}, and after the switch it would be "
                f"wrong for {others} of them: delete it, and give each its own path, as in guard({str(folder / name)!r}"
                ", …)"
            )
        return folder / name if others else folder


def only_name(folder: Path, names: Sequence[str]) -> str:
    """The index that is meant where none is named: the one that is being moved, or the only one.

    Raises:
        ConfigurationError: there is none, or there are several.
    """
    moved = sorted(file.name.removesuffix(JOURNAL) for file in folder.glob(f"*{JOURNAL}"))
    found = moved if len(moved) == 1 else list(names)
    if len(found) != 1:
        told = f"one of {', '.join(sorted(names))}" if names else "but there is none"
        raise ConfigurationError(f"say which index of {folder} is meant, as in {folder}#NAME: {told}")
    return found[0]


def chosen(name: str | None, there: Sequence[str], shown: str, noun: str) -> str:
    """The index that is asked for; without a name, the only one of the place.

    Args:
        name: as the user says it.
        there: the names of the indexes of the place.
        shown: the place, for messages.
        noun: what the store calls an index.

    Raises:
        ConfigurationError: there is no such index, or there are several and none was named.
    """
    if name in there:
        return str(name)
    if not there:
        raise ConfigurationError(f"{shown} has no {noun}")
    if name is None and len(there) == 1:
        return there[0]
    what = f"{shown} has several {noun}s, so say which" if name is None else f"{shown} has no {noun} {name!r}"
    raise ConfigurationError(f"{what}, as in {shown}#{min(there)}; there are: {', '.join(sorted(there))}")
