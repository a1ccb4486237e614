"""LangChain's older class for pgvector, `PGVector`: all collections lie in one table, by the id of their collection.

The id of a document is the table's primary key, so a collection's new rows cannot stand beside its old ones there: they
stand in a table of their own, and the switch exchanges the rows in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedbridge.errors import ConfigurationError

from .base import Names
from .pgvector import COLLECTIONS_TABLE, PgVectorStore
from .postgres import Database, columns_of, quoted

COLLECTIONS = "langchain_pg_collection"


def names_of(line: Any, schema: str) -> list[str]:
    """The collections of a schema."""
    if line.execute("SELECT to_regclass($1)", (quoted(schema, COLLECTIONS),)).fetchone() == (None,):
        return []
    return [name for (name,) in line.execute(f"SELECT name FROM {quoted(schema, COLLECTIONS)} ORDER BY name")]


class PgCollectionStore(PgVectorStore):
    """The collections of a schema."""

    joint = ":"

    def __init__(self, database: Database, name: str, options: Mapping[str, Any]) -> None:
        super().__init__(database, name, options)
        collections = quoted(self._schema, COLLECTIONS)
        with database.transaction() as line:
            (self._collection,) = line.execute(
                f"SELECT uuid::text FROM {collections} WHERE name = $1", (name,)
            ).fetchone()

    def _table(self, name: str) -> str:
        return quoted(self._schema, COLLECTIONS_TABLE if name == self.name else name)

    def _filter(self, name: str) -> str:
        return f"collection_id = '{self._collection}'" if name == self.name else "true"

    def indexes(self) -> list[str]:
        with self._database.transaction() as line:
            return names_of(line, self._schema)

    def exists(self, name: str) -> bool:
        with self._database.transaction() as line:
            return name in names_of(line, self._schema) if name == self.name else self._is_there(line, name)

    def create(self, name: str, like: str, dimensions: int) -> None:
        with self._database.transaction() as line:
            self._check_length(line, like, dimensions)
        super().create(name, like, dimensions)

    def _check_length(self, line: Any, name: str, dimensions: int | None) -> None:
        """The column of vectors is the other collections' too."""
        length, table = self._columns.dimensions, self._table(name)
        if length in {None, dimensions}:
            return
        others = f"SELECT 1 FROM {table} WHERE NOT {self._filter(name)} LIMIT 1"
        if line.execute(others).fetchone():
            raise ConfigurationError(
                f"{self.shown}: the column {self._columns.vector!r} takes vectors of {length} dimensions, which other "
                f"collections have, and this model makes {dimensions}. Let it take all: ALTER TABLE {table} ALTER "
                f"{quoted(self._columns.vector)} TYPE {self._columns.vector_type} (without an index of it)"
            )

    def _exchange_in(self, line: Any, current: str, incoming: str, outgoing: str) -> None:
        table, other, rows = self._table(current), self._table(incoming), self._filter(current)
        line.execute(f"LOCK TABLE {table}, {other}")
        columns = ", ".join(map(quoted, (*self._columns.kept, self._columns.vector)))
        self._make(line, outgoing, current, None)
        line.execute(f"INSERT INTO {self._table(outgoing)} ({columns}) SELECT {columns} FROM {table} WHERE {rows}")
        line.execute(f"DELETE FROM {table} WHERE {rows}")
        old, new = (columns_of(line, place, self.shown, self._columns.vector) for place in (table, other))
        if old.whole_type != new.whole_type:  # the other collections, if there are any, have no vectors in its way
            line.execute(f"ALTER TABLE {table} ALTER {quoted(old.vector)} TYPE {new.whole_type}")
        line.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {other}")
        line.execute(f"DROP TABLE {other}")

    def why_no_switch(self, names: Names) -> str:
        """Rows are exchanged and the table stays, with all that stands on it."""
        return ""
