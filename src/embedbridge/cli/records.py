"""The records of a JSONL, CSV, TSV, TXT or Parquet file, one after another, and the text in each."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from embedbridge.errors import ConfigurationError, InvalidInputError

from ._formats import READERS, USUAL, BadRecord, Record, form_of, load_parquet, opened

__all__ = ["PIPE", "READERS", "Entry", "Source", "form_of", "load_parquet", "standard"]

PIPE = "-"
"""The path of standard input and output."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, the text in it, and where it stands."""

    record: Record
    text: str
    place: int


class Source:
    """A file of records, or standard input.

    Args:
        path: "-" for standard input.
        form: None: as the file's name says.
        column: where the text stands; None: `text`, or the only column.

    Raises:
        ConfigurationError: no format that can be read here.
    """

    def __init__(self, path: str, form: str | None = None, column: str | None = None) -> None:
        self.name = "standard input" if path == PIPE else path
        self._guessed = path == PIPE and form is None
        self.form = "txt" if self._guessed else form_of(path, form, READERS, "--format")
        self._path, self._column = path, column
        self.schema: Any = None
        """Arrow's, once the records of a Parquet file are being read."""
        if self.form == "parquet":
            load_parquet()

    def count(self) -> int | None:
        """About how many records there are.

        Returns:
            None where that cannot be known before all is read.
        """
        if self._path == PIPE:
            return None
        try:
            with self._open() as stream:
                if self.form == "parquet":
                    count: int = load_parquet().read_metadata(stream).num_rows
                    return count
                if self.form in {"csv", "tsv"}:
                    return sum(1 for _ in READERS[self.form](stream, []))
                return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
        except ValueError:  # what is wrong is told when the records are read
            return None

    def entries(self, *, whole: bool, blank: bool) -> Iterator[Entry]:
        """Every record with its text.

        Args:
            whole: all columns are wanted, and not the text alone.
            blank: empty texts are right.

        Yields:
            Entries in the file's order.

        Raises:
            InvalidInputError: a record cannot be read, or has no text; with its line.
        """
        column = self._column
        try:
            with self._open() as stream:
                wanted = [] if whole else [column or USUAL]
                if self.form == "parquet":
                    self.schema = opened(stream).schema_arrow.remove_metadata()
                for place, record in READERS[self.form](stream, wanted):
                    column = column or _choose(record, self.name, cells=self.form in {"csv", "tsv"})
                    text = record.get(column)
                    if not isinstance(text, str) or not (blank or text.strip()):
                        raise InvalidInputError(f"{self.at(place)}: {_fault(record, column)}")
                    yield Entry(record, text, place)
        except UnicodeDecodeError as error:
            raise InvalidInputError(
                f"{self.name} is not UTF-8 text: byte {error.object[error.start]:#04x}; save it as UTF-8"
            ) from None
        except BadRecord as error:
            raise InvalidInputError(f"{self.at(error.place)}: {error}") from None

    def is_file(self, path: str) -> bool:
        """Whether a path is that of the records.

        Args:
            path: of another file.

        Returns:
            True where both are one file.
        """
        files = [Path(each) for each in (self._path, path) if each != PIPE]
        return len(files) == 2 and all(file.is_file() for file in files) and files[0].samefile(files[1])

    def at(self, place: int) -> str:
        """The file's name with the line or record, for messages.

        Args:
            place: counted from 1.

        Returns:
            `in.jsonl, line 3`.
        """
        return f"{self.name}, {'line' if self.form in {'jsonl', 'txt'} else 'record'} {place}"

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        if self._path != PIPE:
            with Path(self._path).open("rb") as stream:
                yield stream
        elif self._guessed:
            piped: BinaryIO = standard(sys.stdin, "input").buffer
            first = piped.readline()
            self.form = "jsonl" if _is_object(first) else "txt"
            yield io.BufferedReader(_Again(first, piped))
        elif self.form != "parquet":
            yield standard(sys.stdin, "input").buffer
        else:
            with tempfile.TemporaryFile() as stream:  # Parquet is read from its end
                shutil.copyfileobj(standard(sys.stdin, "input").buffer, stream)
                yield stream


def standard(stream: Any, name: str) -> Any:
    """Standard input or output.

    Args:
        stream: `sys.stdin` or `sys.stdout`.
        name: `input` or `output`, for messages.

    Returns:
        The stream.

    Raises:
        ConfigurationError: the program was started without it.
    """
    if stream is None:
        raise ConfigurationError(f"standard {name} is closed; name a file")
    return stream


def _is_object(line: bytes) -> bool:
    """Whether a line is a JSON object, as no text of a person is."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


class _Again(io.RawIOBase):
    """A stream of which the beginning was read already."""

    def __init__(self, beginning: bytes, stream: BinaryIO) -> None:
        self._beginning, self._stream = beginning, stream

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the beginning, then the rest."""
        read = getattr(self._stream, "read1", self._stream.read)
        found = self._beginning[: len(buffer)] or read(len(buffer))
        self._beginning = self._beginning[len(buffer) :]
        buffer[: len(found)] = found
        return len(found)


def _choose(record: Record, name: str, *, cells: bool) -> str:
    if USUAL in record or not record:
        return USUAL
    if len(record) == 1:
        (only,) = record
        if cells and any(mark in only for mark in ",;|\t"):
            raise InvalidInputError(
                f"{name} has one column, {only!r}: its cells seem to be divided by another character than a comma "
                "(csv) or a tab (tsv); say which with --format, or name this column with --column"
            )
        return only
    columns = ", ".join(map(repr, record))
    raise InvalidInputError(f"{name} has no column {USUAL!r} but {columns}; name the one to embed with --column")


def _fault(record: Record, column: str) -> str:
    if column not in record:
        return f"no column {column!r} but {', '.join(map(repr, record)) or 'none at all'}"
    value = record[column]
    if isinstance(value, str):
        return "the text is empty; leave it out, or get a zero vector with --empty zero"
    return f"{column!r} is {'nothing' if value is None else type(value).__name__}, and not a text"
