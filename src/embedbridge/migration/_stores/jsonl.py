"""No store: a JSONL file with an id and a text in each line, which gets vectors of the new model as `embedding`.

Files change names in one step each, and the current name always has a file: a link keeps the old one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar

from embedbridge._core.types import Vectors
from embedbridge.errors import ConfigurationError, EmbeddingError, InvalidInputError

from .base import NO_ID, Names, Row, joined, pages
from .folders import PathStore, sync_folder
from .lines import VECTOR, Line, read_line


class JsonlStore(PathStore):
    """A file of documents.

    Args:
        file: as applications open it.
    """

    kind: ClassVar[str] = "jsonl"
    noun: ClassVar[str] = "line"

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._part: FileIO | None = None
        self._read: tuple[int, int, int] | None = None

    @staticmethod
    def recognises(place: str) -> bool:
        return Path(place).suffix.lower() in {".jsonl", ".ndjson"}

    def names(self, fingerprint: str) -> Names:
        """With the file's ending."""
        file = Path(self.name)
        endings = (f"-{each}{file.suffix}" for each in (fingerprint[:8], "previous"))
        return Names(self.name, *(joined(file.stem, ending, self.longest_name) for ending in endings))

    def indexes(self) -> list[str]:
        return sorted(file.name for file in self._folder.glob(f"*{Path(self.name).suffix}"))

    def exists(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def count(self, name: str) -> int:
        """Lines that are not blank."""
        with (self._folder / name).open("rb") as file:
            return sum(1 for line in file if line.strip())

    def dimensions(self, name: str) -> int | None:
        vector = next((line.fields.get(VECTOR) for _, line in self._lines(name)), None)
        return len(vector) if isinstance(vector, list) else None

    def rows(self, name: str) -> Iterator[list[Row]]:
        """Line by line. Ids are compared as text."""
        found = (line for _, line in self._documents(name))
        return pages(Row(str(line.fields.get("id")), line.fields["text"], [line.before, line.after]) for line in found)

    def ids(self, name: str) -> Iterator[tuple[int, Any]]:
        """By the number of the line."""
        for number, line in self._documents(name):
            yield number, line.fields.get("id", NO_ID)
        if name == self.name:
            self._check_unchanged()

    def _documents(self, name: str) -> Iterator[tuple[int, Line]]:
        """Line numbers and lines with a text."""
        try:
            for number, line in self._lines(name):
                _check_text(line, name, number)
                yield number, line
        except InvalidInputError:
            if name == self.name:
                self._check_unchanged()
            raise

    def vectors(self, name: str, ids: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """The whole file is read for them."""
        wanted = {*ids}
        found = ((str(line.fields["id"]), line.fields.get(VECTOR)) for _, line in self._lines(name))
        return {identity: vector for identity, vector in found if identity in wanted and isinstance(vector, list)}

    def create(self, name: str, like: str, dimensions: int) -> None:
        """Begin a file, which the same people may read as the other."""
        self.close()
        self._part = self._part_of(name).open("wb", buffering=0)  # a child of a fork would write a buffer once more
        shutil.copymode(self._folder / like, self._part_of(name))

    def upsert(self, name: str, rows: Sequence[Row], vectors: Vectors) -> None:
        """Add lines, which stay as they are but for their vectors."""
        assert self._part is not None  # noqa: S101 - `create` comes first
        for row, vector in zip(rows, vectors, strict=True):
            before, after = row.record
            line = f"{before}{json.dumps(vector.tolist())}{after}\n".encode("utf-8", "surrogatepass")
            while line:
                line = line[self._part.write(line) :]

    def commit(self, name: str) -> None:
        assert self._part is not None  # noqa: S101 - `create` comes first
        os.fsync(self._part.fileno())
        self.close()
        self._check_unchanged()
        self._part_of(name).replace(self._folder / name)
        sync_folder(self._folder)

    def _check_unchanged(self) -> None:
        """Raise `EmbeddingError` where the file is not the one that was read, whose lines may be torn."""
        if _signature((self._folder / self.name).stat()) != self._read:
            raise EmbeddingError(f"{self.shown} was written to while it was read; run the migration again")

    def rename(self, name: str, to: str) -> None:
        (self._folder / name).replace(self._folder / to)
        sync_folder(self._folder)

    def switch(self, names: Names) -> None:
        """In one step: the old file gets a second name, and the new one takes the place of its first."""
        self._replace(names.current, names.new, names.previous)

    def back(self, names: Names) -> None:
        self._replace(names.current, names.previous, names.new)

    def _replace(self, current: str, by: str, kept: str) -> None:
        """Have `by` take the place of `current`, which is `kept` under another name."""
        if not self.exists(by):
            return
        if self._same(current, by):  # the way there was cut off after its link
            (self._folder / by).unlink()
            return
        if self.exists(current) and not self._same(current, kept):
            if self.exists(kept):
                raise ConfigurationError(f"{self._folder / kept} stands in the way; move it away")
            try:
                os.link(self._folder / current, self._folder / kept)
            except OSError:  # a file system without links: for a moment there is no current file
                self.rename(current, kept)
        self.rename(by, current)

    def _same(self, one: str, other: str) -> bool:
        return self.exists(one) and self.exists(other) and (self._folder / one).samefile(self._folder / other)

    def close(self) -> None:
        """Close the file that is written."""
        if self._part is not None:
            with suppress(OSError):  # as of a full disk, which `upsert` and `commit` have told
                self._part.close()
            self._part = None

    def _part_of(self, name: str) -> Path:
        return self._folder / f".{name}.part"

    def _lines(self, name: str) -> Iterator[tuple[int, Line]]:
        """Line numbers and lines; blank ones are passed over, and are not in the new file."""
        with (self._folder / name).open("rb") as file:
            if name == self.name:
                self._read = _signature(os.fstat(file.fileno()))
            for number, content in enumerate(file, 1):
                if not content.strip():
                    continue
                try:
                    yield number, read_line(content.decode("utf-8", "surrogatepass").removesuffix("\n"))
                except (ValueError, RecursionError):
                    raise InvalidInputError(
                        f"{name}, line {number}: not an object with an id and a text, in UTF-8"
                    ) from None


def _signature(found: os.stat_result) -> tuple[int, int, int]:
    """What changes when a file is written."""
    return found.st_size, found.st_mtime_ns, found.st_ino


def _check_text(line: Line, name: str, number: int) -> None:
    """Raise `InvalidInputError` for a line without one."""
    if not isinstance(text := line.fields.get("text"), str):
        told = f"its text is {type(text).__name__}" if "text" in line.fields else "it has no text"
        raise InvalidInputError(f"{name}, line {number}: {told}; what is embedded is a text")
