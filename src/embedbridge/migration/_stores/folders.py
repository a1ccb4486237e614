"""Indexes that are a file or a folder. A folder is written anew beside the old one, and then takes its place."""

from __future__ import annotations

import filecmp
import os
import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from embedbridge._core.types import Vectors
from embedbridge._frameworks.index_guard import NAME as STAMP
from embedbridge.errors import ConfigurationError, EmbeddingError

from .base import Row, Store, check_options


def sync_folder(folder: Path) -> None:
    """Have the names in a folder last, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


class PathStore(Store):
    """A file or a folder that is one index, and its neighbours.

    Args:
        path: as applications open it.
    """

    written_whole: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        super().__init__(path.absolute().name, str(path))
        self._folder = path.absolute().parent

    @classmethod
    def at(cls, place: str, name: str | None, options: Mapping[str, Any]) -> Self:
        check_options(cls.kind, options)
        if name is not None:
            raise ConfigurationError(f"{place} holds one index; leave #{name} out")
        return cls(Path(place))

    @property
    def beside(self) -> Path:
        return self._folder / self.name

    def guard_path(self, name: str) -> Path:
        return self._folder / name


class FolderStore(PathStore):
    """A folder that is one index, and its neighbours.

    Args:
        folder: as applications open it.
    """

    carries_stamp: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._read: dict[str, tuple[int, int]] = {}
        self._ids: list[str] = []
        self._vectors: list[Vectors] = []

    def indexes(self) -> list[str]:
        return sorted(folder.name for folder in self._folder.iterdir() if self.recognises(str(folder)))

    def exists(self, name: str) -> bool:
        """Whether there is such a folder; one with the guard's file alone was made by it, between two renames."""
        folder = self._folder / name
        return folder.is_dir() and any(file.name != STAMP for file in folder.iterdir())

    def create(self, name: str, like: str, dimensions: int) -> None:
        self._ids, self._vectors = [], []

    def upsert(self, name: str, rows: Sequence[Row], vectors: Vectors) -> None:
        """Hold vectors until they are written."""
        self._ids += [row.id for row in rows]
        self._vectors.append(vectors)

    def commit(self, name: str) -> None:
        """Write a folder and have it take its place."""
        part, old = self._folder / f".{name}.part", self._folder / self.name
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        self.write(part, self._ids, np.concatenate(self._vectors))
        for file in old.iterdir():
            if file.name not in {*self.written, STAMP}:
                (shutil.copytree if file.is_dir() else shutil.copy2)(file, part / file.name)
        for file in filter(lambda each: each.exists(), (part / name for name in self.written)):
            if (like := old / file.name).exists():
                shutil.copymode(like, file)
        shutil.copymode(old, part)
        if self._signature(old) != self._read:
            raise EmbeddingError(f"{self.shown} was written to while it was read; run the migration again")
        shutil.rmtree(self._folder / name, ignore_errors=True)
        part.rename(self._folder / name)
        sync_folder(self._folder)
        self._ids, self._vectors = [], []

    def differing_files(self, old: str, new: str) -> list[str]:
        """Of those that `commit` copies."""
        one, other, own = self._folder / old, self._folder / new, {*self.written, STAMP}
        copied = [file.name for file in one.glob("[!.]*") if file.is_file() and file.name not in own]
        return [name for name in sorted(copied) if not _same(one / name, other / name)]

    @property
    @abstractmethod
    def written(self) -> Sequence[str]:
        """The names of the files that hold vectors; all others are copied."""

    @abstractmethod
    def write(self, folder: Path, ids: Sequence[str], vectors: Vectors) -> None:
        """Write the files that hold vectors.

        Args:
            folder: a new one.
            ids: of the documents, in the order of `rows`.
            vectors: of shape `(n, d)`.
        """

    def rename(self, name: str, to: str) -> None:
        target = self._folder / to
        if not self.exists(to):
            shutil.rmtree(target, ignore_errors=True)
        (self._folder / name).rename(target)
        sync_folder(self._folder)

    def begin_reading(self, name: str) -> Path:
        """The folder of an index that is about to be read whole."""
        folder = self._folder / name
        if name == self.name:
            self._read = self._signature(folder)
        return folder

    def _signature(self, folder: Path) -> dict[str, tuple[int, int]]:
        """What changes when a file is written."""
        return {file.name: ((found := file.stat()).st_size, found.st_mtime_ns) for file in folder.iterdir()}
