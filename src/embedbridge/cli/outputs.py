"""Writes vectors to npy, npz, JSONL and Parquet files, chunk by chunk. A file gets its name when it is complete."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from embedbridge._arrays import as_arrow
from embedbridge._core.prepare import is_utf8
from embedbridge._core.types import Vectors
from embedbridge.errors import ConfigurationError, InvalidInputError

from .records import PIPE, Entry, load_parquet, standard

__all__ = ["OUTPUTS", "WITH_RECORDS", "Output", "open_output"]


class Output(ABC):
    """What vectors are written to."""

    schema: Any = None
    """Arrow's, of the records, where they have one."""

    @abstractmethod
    def write(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Write the next records and their vectors.

        Args:
            entries: in the order of the input.
            vectors: shape `(len(entries), d)`.

        Raises:
            InvalidInputError: the format cannot hold a record.
        """

    def finish(self) -> None:  # noqa: B027 - not every format has an end
        """Write what stands at the end, once everything was written."""

    def close(self) -> None:  # noqa: B027 - as above
        """Close what is open, whether it is finished or not."""


class Npy(Output):
    """An array `(n, d)`, float32, in the file's order."""

    def __init__(self, stream: BinaryIO, _: str = "") -> None:
        self._stream = stream
        self._count = 0
        self._width: int | None = None

    def write(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Append rows."""
        if self._width is None:
            self._width = vectors.shape[1]
            self._header()
        self._count += len(entries)
        self._stream.write(np.ascontiguousarray(vectors, "<f4").data)

    def finish(self) -> None:
        """Say at the beginning how many rows there are: NumPy's header has room for that."""
        self._stream.seek(0)
        self._header()

    def _header(self) -> None:
        shape = (self._count, self._width)
        told = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._stream, told)


class Npz(Output):
    """The same array as `vectors`, compressed."""

    def __init__(self, stream: BinaryIO, _: str = "") -> None:
        self._stream = stream
        self._plain: Any = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._npy = Npy(self._plain)

    def write(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Append rows to the array, which is put into the archive at the end."""
        self._npy.write(entries, vectors)

    def finish(self) -> None:
        """Write the archive."""
        self._npy.finish()
        self._plain.seek(0)
        with (
            zipfile.ZipFile(self._stream, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("vectors.npy", "w", force_zip64=True) as member,
        ):
            shutil.copyfileobj(self._plain, member, 1 << 20)

    def close(self) -> None:
        """Delete the plain array."""
        self._plain.close()


class Jsonl(Output):
    """Each record with its vector in one more field."""

    def __init__(self, stream: BinaryIO, column: str) -> None:
        self._stream, self._column = stream, column

    def write(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Write a line for each record."""
        for entry, vector in zip(entries, vectors.tolist(), strict=True):
            _check_free(entry, self._column)
            record = entry.record | {self._column: vector}
            line = json.dumps(record, ensure_ascii=False, default=str)
            if not is_utf8(line):  # a lone surrogate in another field: JSON holds it escaped
                line = json.dumps(record, default=str)
            self._stream.write(line.encode() + b"\n")
        self._stream.flush()


class Parquet(Output):
    """Each record with its vector in one more column. Where no Parquet file did, the first chunk decides the types."""

    def __init__(self, stream: BinaryIO, column: str) -> None:
        self._parquet, self._stream, self._column = load_parquet(), stream, column
        self._writer: Any = None

    def write(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        """Write a row group."""
        import pyarrow as pa

        records = [entry.record for entry in entries]
        try:
            if self.schema is None:
                self.schema = _without_nulls(pa.Table.from_pylist(records).schema)
            for entry in entries:
                _check_free(entry, self._column)
                if unknown := entry.record.keys() - set(self.schema.names):
                    raise InvalidInputError(
                        f"a record has a field {min(unknown)!r} that the first ones lack; write JSONL"
                    )
            table = pa.Table.from_pylist(records, schema=self.schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
            raise InvalidInputError(f"the records' fields have no common types ({error}); write JSONL") from None
        table = table.append_column(self._column, as_arrow(vectors, vectors.shape[1]))
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._stream, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the footer."""
        if self._writer is not None:
            self._writer.close()


OUTPUTS: dict[str, Callable[[BinaryIO, str], Output]] = {"npy": Npy, "npz": Npz, "jsonl": Jsonl, "parquet": Parquet}
"""Format → what writes it, made with a stream and the name of the vectors' field."""
WITH_RECORDS = ("jsonl", "parquet")
"""Formats that hold the records too."""


@contextmanager
def open_output(path: str, form: str, column: str) -> Iterator[Output]:
    """An output to write to. A file gets its name when the block ends without an error; else there is no file.

    Args:
        path: "-" for standard output.
        form: a key of `OUTPUTS`.
        column: the field that holds the vectors, in formats with records.

    Yields:
        The output.

    Raises:
        ConfigurationError: no file can be made there, or another run writes the same.
    """
    place, target = Path(path), Path(os.path.realpath(path))  # a link stays one
    if path == PIPE or (place.exists() and not place.is_file() and not place.is_dir()):
        with _pipe(path) as pipe, tempfile.TemporaryFile() as spool:
            stream: Any = pipe if form == "jsonl" else spool
            with closing(OUTPUTS[form](stream, column)) as output:
                yield output
                output.finish()
            spool.seek(0)
            shutil.copyfileobj(spool, pipe)
            pipe.flush()
        return
    if target.is_dir():
        raise ConfigurationError(f"{path!r} is a folder; name a file for the vectors")
    if not target.parent.is_dir():
        raise ConfigurationError(f"there is no folder {str(Path(path).parent)!r} for the vectors")
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)  # a killed run's; should that run be alive, it goes on in a file of its own
    made = None
    try:
        with part.open("xb") as stream:
            made = os.fstat(stream.fileno())
            with closing(OUTPUTS[form](stream, column)) as output:
                yield output
                output.finish()
        if not _is(part, made):
            raise ConfigurationError(f"another run writes {path!r} too; the vectors of this one were left out")
        part.replace(target)
    except KeyboardInterrupt:
        if made is None and part.exists() and not part.stat().st_size:  # it came right after the file was made
            part.unlink()
        raise
    finally:
        if made is not None and _is(part, made):
            part.unlink()


def _is(path: Path, made: os.stat_result) -> bool:
    return path.exists() and os.path.samestat(path.stat(), made)


def _pipe(path: str) -> AbstractContextManager[BinaryIO]:
    """Standard output, or a device or named pipe, which a file must not take the place of."""
    return nullcontext(standard(sys.stdout, "output").buffer) if path == PIPE else Path(path).open("wb")


def _check_free(entry: Entry, column: str) -> None:
    if column in entry.record:
        raise InvalidInputError(f"the records have a field {column!r} already; name another with --output-column")


def _without_nulls(schema: Any) -> Any:
    """A column that is empty so far may hold text later."""
    import pyarrow as pa

    return pa.schema([field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema])
