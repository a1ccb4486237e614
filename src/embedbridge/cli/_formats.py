"""The formats of a file of records: which one a file has, and the records of each, one after another."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from embedbridge.errors import ConfigurationError, MissingExtraError

ENDINGS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "txt",
    ".parquet": "parquet",
    ".npy": "npy",
    ".npz": "npz",
}
USUAL = "text"
"""The column that is taken where none is named."""
ROWS = 1024
"""Of a Parquet file, read at once."""

Record: TypeAlias = dict[str, Any]
Numbered: TypeAlias = Iterator[tuple[int, Record]]
"""Line or record, counted from 1 as editors do."""


def form_of(path: str, form: str | None, known: Iterable[str], flag: str) -> str:
    """A file's format.

    Args:
        path: whose ending says it, where `form` does not.
        form: as given by a flag, or None.
        known: the formats that are possible.
        flag: the flag, for messages.

    Returns:
        One of `known`.

    Raises:
        ConfigurationError: it is none of `known`, or the path is a folder's.
    """
    if Path(path).is_dir():
        raise ConfigurationError(f"{path!r} is a folder; name a file")
    found = form or ENDINGS.get(Path(path).suffix.lower(), "")
    if found in known:
        return found
    told = ", ".join(known)
    raise ConfigurationError(f"the format of {path!r} is not one of {told}; name one with {flag}")


def load_parquet() -> Any:
    """PyArrow's Parquet module.

    Returns:
        `pyarrow.parquet`.

    Raises:
        MissingExtraError: PyArrow is not installed.
    """
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError('Parquet needs pyarrow; run: pip install "embedbridge[parquet]"') from None
    return parquet


class BadRecord(ValueError):  # noqa: N818 - named by its line before anybody sees it
    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.place = place


def _jsonl(stream: BinaryIO, _: list[str]) -> Numbered:
    with _text(stream) as lines:
        for place, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                raise BadRecord(place, f"this is not JSON: {error}") from None
            if isinstance(record, str):
                record = {USUAL: record}
            if not isinstance(record, dict):
                raise BadRecord(place, "neither an object nor a text")
            yield place, record


def _object(pairs: list[tuple[str, Any]]) -> Record:
    found = dict(pairs)
    if len(found) < len(pairs):  # one field would hide the other
        names = [name for name, _ in pairs]
        raise ValueError(f"it names {max(names, key=names.count)!r} more than once")
    return found


def _txt(stream: BinaryIO, _: list[str]) -> Numbered:
    with _text(stream) as lines:
        for place, line in enumerate(lines, 1):
            yield place, {USUAL: line.removesuffix("\n")}


def _csv(stream: BinaryIO, _: list[str], delimiter: str = ",") -> Numbered:
    csv.field_size_limit(1 << 30)  # the default refuses texts beyond 128 KiB
    place = 0
    with _text(stream, newline="") as lines:
        try:
            reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
            names = list(reader.fieldnames or ())
            if len(set(names)) < len(names):  # one column would hide the other
                raise BadRecord(1, f"the header names {max(names, key=names.count)!r} more than once")
            for place, record in enumerate(reader, 1):
                if None in record:
                    raise BadRecord(place, "more cells than the header names")
                yield place, dict(record)
        except csv.Error as error:
            raise BadRecord(place + 1, str(error)) from None


def _tsv(stream: BinaryIO, wanted: list[str]) -> Numbered:
    return _csv(stream, wanted, "\t")


def opened(stream: BinaryIO) -> Any:
    try:
        file = load_parquet().ParquetFile(stream)
    except (ValueError, OSError) as error:  # which pyarrow's errors are
        raise BadRecord(1, f"no Parquet file: {error}") from None
    names = file.schema_arrow.names
    if len(set(names)) < len(names):
        raise BadRecord(1, f"the schema names {max(names, key=names.count)!r} more than once")
    return file


def _parquet(stream: BinaryIO, wanted: list[str]) -> Numbered:
    file, place = opened(stream), 0
    columns = [name for name in file.schema_arrow.names if name in wanted] or None
    try:
        for batch in file.iter_batches(ROWS, columns=columns):
            for place, row in enumerate(batch.to_pylist(), place + 1):  # noqa: B020 - it goes on counting
                yield place, row
    except (ValueError, OSError, NotImplementedError) as error:
        raise BadRecord(
            place + 1, f"the file is damaged, or of a kind that cannot be read ({type(error).__name__})"
        ) from None


READERS: dict[str, Callable[[BinaryIO, list[str]], Numbered]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "tsv": _tsv,
    "txt": _txt,
    "parquet": _parquet,
}
"""Format → its reader, which gets the columns that are wanted (none: all) and need not read others."""


@contextmanager
def _text(stream: BinaryIO, newline: str | None = None) -> Iterator[io.TextIOWrapper]:
    """The stream as text; whoever opened the stream closes it."""
    wrapper = io.TextIOWrapper(stream, encoding="utf-8-sig", newline=newline)
    try:
        yield wrapper
    finally:
        wrapper.detach()
