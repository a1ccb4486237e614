"""LanceDB: tables of a folder, of LangChain's classes and of LlamaIndex's.

Its tables cannot be renamed, but they keep their versions. So the switch writes the new rows as the next version of
the table, in one commit, and the old index is the tagged version before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from embedbridge._core.types import Vectors
from embedbridge._threads.telling import warn
from embedbridge.errors import ConfigurationError

from .base import PAGE, Names, Row, check_options, package, without_password
from .flavours import embedded_text
from .several import SharedPlaceStore, chosen, only_name

MARK = b"embedbridge.migration"
"""In the metadata of a table's schema: the name of the new index that its rows come from."""
COLUMNS = {"id": "id", "text": "text", "vector": "vector", "metadata": "metadata"}
"""As all three frameworks' classes call them, unless they are told otherwise."""


class LanceStore(SharedPlaceStore):
    """The tables of a folder."""

    kind = "lancedb"

    def __init__(self, folder: Path, name: str, database: Any, columns: Mapping[str, str]) -> None:
        super().__init__(name, str(folder), folder)
        self._database, self._columns = database, columns
        self._there: NDArray[np.int64] | None = None
        """Hashes of the ids that the new table has when a run begins to write."""

    @staticmethod
    def recognises(place: str) -> bool:
        return next(Path(place).glob("*.lance"), None) is not None

    @classmethod
    def at(cls, place: str, name: str | None, options: Mapping[str, Any]) -> Self:
        check_options(cls.kind, options, tuple(COLUMNS))
        if "://" in place:
            raise ConfigurationError(
                f"{without_password(place)} is not a folder, and only LanceDB's folders can be moved; export its rows "
                "as JSONL with id, text and metadata, and move that"
            )
        if not cls.recognises(place):
            raise ConfigurationError(f"{place} is no folder with tables of LanceDB")
        lancedb = package("lancedb", "LanceDB's tables are read with its package; run: pip install lancedb")
        database = lancedb.connect(place)
        folder, there = Path(place).absolute(), _names(database)
        name = chosen(only_name(folder, there) if name is None else name, there, f"lancedb:{place}", "table")
        store = cls(folder, name, database, {**COLUMNS, **options})
        store._check()
        return store

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        from pyarrow import ArrowException

        return (RuntimeError, ValueError, ArrowException)

    def indexes(self) -> list[str]:
        return _names(self._database)

    @property
    def _tag(self) -> str:
        """The name of the old index: a tag of the table."""
        return self.name_with("previous")

    def _open(self, name: str) -> Any:
        table = self._database.open_table(self.name if name == self._tag else name)
        if name == self._tag:
            table.checkout(self._tag)
        return table

    def exists(self, name: str) -> bool:
        if name == self._tag:
            return name in self._open(self.name).tags.list()
        try:
            self._open(name)
        except ValueError:  # there is none, or a folder without a version
            return False
        return True

    def count(self, name: str) -> int:
        return int(self._open(name).count_rows())

    def dimensions(self, name: str) -> int | None:
        return int(self._vector(self._open(name)).type.list_size)

    def _vector(self, table: Any) -> Any:
        return table.schema.field(self._columns["vector"])

    def _check(self) -> None:
        """Refuse a table whose columns are not known."""
        import pyarrow as pa

        table = self._open(self.name)
        absent = [
            column for part, column in self._columns.items() if part != "metadata" and column not in table.schema.names
        ]
        if absent:
            raise ConfigurationError(
                f"{self.shown} has no column {absent[0]!r}; say its columns' names with the options id=, text= and "
                f"vector=, of: {', '.join(table.schema.names)}"
            )
        if not pa.types.is_fixed_size_list(self._vector(table).type):
            raise ConfigurationError(
                f"{self.shown}: the column {self._columns['vector']!r} has no vectors of one length"
            )

    def rows(self, name: str) -> Iterator[list[Row]]:
        table = self._open(name)
        kept = [column for column in table.schema.names if column != self._columns["vector"]]
        for batch in table.search().select(kept).to_batches(PAGE):
            yield [self._row(record) for record in batch.to_pylist()]

    def _row(self, record: dict[str, Any]) -> Row:
        identity, metadata = str(record[self._columns["id"]]), record.get(self._columns["metadata"])
        text = embedded_text(identity, record[self._columns["text"]], metadata if isinstance(metadata, dict) else None)
        return Row(identity, text, record)

    def ids(self, name: str) -> Iterator[tuple[int, Any]]:
        column, place = self._columns["id"], 0
        for batch in self._open(name).search().select([column]).to_batches(PAGE):
            yield from enumerate(batch.column(0).to_pylist(), place)
            place += batch.num_rows

    def vectors(self, name: str, ids: Sequence[str]) -> Mapping[str, Sequence[float]]:
        table, column, vector = self._open(name), self._columns["id"], self._columns["vector"]
        found = table.search().where(self._among(table, ids)).select([column, vector]).to_list() if ids else []
        return {str(row[column]): row[vector] for row in found}

    def _among(self, table: Any, ids: Sequence[str]) -> str:
        """SQL for the rows of some documents."""
        import pyarrow as pa

        column = self._columns["id"]
        number = pa.types.is_integer(table.schema.field(column).type)
        words = (str(int(identity)) if number else "'" + identity.replace("'", "''") + "'" for identity in ids)
        return f"`{column}` IN ({', '.join(words)})"

    def create(self, name: str, like: str, dimensions: int) -> None:
        import pyarrow as pa

        self._there = None
        if self.exists(name):
            return
        table = self._open(like)
        if indexes := [f"{index.name} on {', '.join(index.columns)}" for index in table.list_indices()]:
            warn(
                f"{self.shown} has indexes for quicker searches ({'; '.join(indexes)}), which LanceDB does not carry "
                "over: make them again after the switch. Until then it searches all rows, and finds no less"
            )
        field = self._vector(table)
        position = table.schema.get_field_index(field.name)
        schema = table.schema.set(position, field.with_type(pa.list_(field.type.value_type, dimensions)))
        marked = schema.with_metadata({**(schema.metadata or {}), MARK: name.encode()})
        self._database.create_table(name, schema=marked)

    def upsert(self, name: str, rows: Sequence[Row], vectors: Vectors) -> None:
        import pyarrow as pa

        table = self._open(name)
        field = self._vector(table)
        kept = pa.schema([other for other in table.schema if other.name != field.name])
        values = pa.FixedSizeListArray.from_arrays(
            pa.array(vectors.reshape(-1)).cast(field.type.value_type), vectors.shape[1]
        )
        data = pa.Table.from_pylist([row.record for row in rows], schema=kept).append_column(field, values)
        if self._there is None:
            self._there = np.fromiter((hash(str(identity)) for _, identity in self.ids(name)), np.int64)
        there = np.isin([hash(row.id) for row in rows], self._there)
        if some := [row.id for row, known in zip(rows, there, strict=True) if known]:
            table.delete(self._among(table, some))  # merge_insert joins with all rows of the table, in memory
        table.add(data.select(table.schema.names))

    def delete(self, name: str, ids: Sequence[str]) -> None:
        if ids:
            table = self._open(name)
            table.delete(self._among(table, ids))

    # The names: the marked version of the table is the new index, and the tagged one the old.

    def _is_switched(self, names: Names) -> bool:
        metadata = self._open(names.current).schema.metadata or {}
        return metadata.get(MARK) == names.new.encode()

    def switch(self, names: Names) -> None:
        if not self._is_switched(names):
            if not self.exists(names.new):
                return
            table = self._open(names.current)
            (table.tags.update if self.exists(names.previous) else table.tags.create)(self._tag, table.version)
            self._overwrite(names.current, names.new)
        if self.exists(names.new):
            self._database.drop_table(names.new)

    def back(self, names: Names) -> None:
        if self._is_switched(names):
            self._overwrite(names.new, names.current)
            self._restore(names.current)
        if self.exists(names.previous):
            self._open(names.current).tags.delete(self._tag)

    def _restore(self, name: str) -> None:
        """Write the tagged version of a table as its next version, in one commit."""
        self._open(name).restore(self._tag)

    def _overwrite(self, name: str, source: str) -> None:
        """Write the rows of another table as the next version of a table, in one commit."""
        table, mode = self._open(source), "overwrite" if self.exists(name) else "create"
        self._database.create_table(name, data=table.search().to_batches(PAGE), schema=table.schema, mode=mode)


def _names(database: Any) -> list[str]:
    """All tables of a folder."""
    names: list[str] = []
    page = None
    while True:
        answer = database.list_tables(page_token=page)
        names += answer.tables
        page = answer.page_token
        if not page:
            return names
