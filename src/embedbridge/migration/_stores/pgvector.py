"""pgvector: a table of PostgreSQL for each index, as LangChain's `PGVectorStore` and LlamaIndex's make them.

All names change in one transaction. LangChain's older `PGVector`, whose collections share a table, is beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from embedbridge._core.types import Vectors
from embedbridge.errors import ConfigurationError

from .base import PAGE, Names, Row, check_options
from .flavours import embedded_text
from .postgres import LOCKED, LONGEST, Database, columns_of, quoted, tied_to
from .several import SharedPlaceStore, chosen

TEXTS = ("content", "text", "document")
METADATA = ("langchain_metadata", "metadata_", "cmetadata")
"""What the frameworks' classes call their columns."""
COLLECTIONS_TABLE = "langchain_pg_embedding"
"""Of LangChain's class `PGVector`."""
OPTIONS = {"schema": "public", "text": None, "metadata": None, "vector": None}
_TABLES = """
SELECT DISTINCT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p') AND t.typname IN ('vector', 'halfvec') AND n.nspname = $1 ORDER BY 1"""


class PgVectorStore(SharedPlaceStore):
    """The tables of a schema."""

    kind = "pgvector"
    longest_name = LONGEST

    def __init__(self, database: Database, name: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, database.shown, None)
        self._database, self._schema = database, options["schema"]
        with database.transaction() as line:
            self._columns = columns_of(line, self._table(name), self.shown, options["vector"])
        self._text = self._column("text", options["text"], TEXTS)
        self._metadata = self._column("metadata", options["metadata"], METADATA, needed=False)

    @staticmethod
    def recognises(place: str) -> bool:
        return place.startswith(("postgresql://", "postgres://", "postgresql+"))

    @classmethod
    def at(cls, place: str, name: str | None, options: Mapping[str, Any]) -> Self:
        from .pgvector_collections import PgCollectionStore, names_of

        check_options(cls.kind, options, tuple(OPTIONS))
        given = {**OPTIONS, **options}
        if not cls.recognises(place):
            raise ConfigurationError(
                "an address of pgvector is pgvector:postgresql://user:password@host:5432/database#table"
            )
        database = Database(place)
        with database.transaction() as line:
            tables, collections = _tables(line, given["schema"]), names_of(line, given["schema"])
        mine = f"data_{name}".lower()  # what LlamaIndex makes of its table_name
        if name not in tables and name not in collections and mine in tables:
            name = mine
        name = chosen(name, [*tables, *collections], f"pgvector:{database.shown}", "table or collection")
        kind = PgCollectionStore if name in collections and name not in tables else PgVectorStore
        found: Any = kind(database, name, given)
        return found  # type: ignore[no-any-return]

    def _table(self, name: str) -> str:
        """The table in which an index lies, quoted."""
        return quoted(self._schema, name)

    def _filter(self, name: str) -> str:
        """SQL for the rows of an index, where its table has others too."""
        return "true"

    def _column(self, part: str, given: str | None, usual: Sequence[str], *, needed: bool = True) -> str | None:
        found = given or next((name for name in usual if name in self._columns.kept), None)
        if found in self._columns.kept or (found is None and not needed):
            return found
        raise ConfigurationError(
            f"{self.shown} has no column {given or ' or '.join(usual)!r}; say which has the {part} with the option "
            f"{part}=, of: {', '.join(self._columns.kept)}"
        )

    def indexes(self) -> list[str]:
        with self._database.transaction() as line:
            return _tables(line, self._schema)

    def exists(self, name: str) -> bool:
        with self._database.transaction() as line:
            return self._is_there(line, name)

    def _is_there(self, line: Any, name: str) -> bool:
        return bool(line.execute("SELECT to_regclass($1)", (quoted(self._schema, name),)).fetchone() != (None,))

    def count(self, name: str) -> int:
        with self._database.transaction() as line:
            (found,) = line.execute(f"SELECT count(*) FROM {self._table(name)} WHERE {self._filter(name)}").fetchone()
        return int(found)

    def dimensions(self, name: str) -> int | None:
        with self._database.transaction() as line:
            columns = columns_of(line, self._table(name), self.shown, self._columns.vector)
            if columns.dimensions:
                return columns.dimensions
            found = line.execute(
                f"SELECT vector_dims({quoted(columns.vector)}) FROM {self._table(name)} "
                f"WHERE {self._filter(name)} LIMIT 1"
            ).fetchone()
        return found and int(found[0])

    def rows(self, name: str) -> Iterator[list[Row]]:
        columns, last = self._columns, None
        kept = ", ".join(quoted("t", column) for column in columns.kept)
        metadata = quoted("t", self._metadata) if self._metadata else "NULL"
        query = f"""
            SELECT t.{quoted(columns.key)}::text, t.{quoted(self._text or "")}, {metadata}::text,
                   (SELECT row_to_json(r) FROM (SELECT {kept}) r)::text
            FROM {self._table(name)} t WHERE {self._filter(name)} AND {{}}
            ORDER BY t.{quoted(columns.key)} LIMIT {PAGE}"""
        later = f"t.{quoted(columns.key)} > $1::text::{columns.key_type}"
        while True:
            with self._database.transaction() as line:
                found = line.execute(
                    query.format("true" if last is None else later), () if last is None else (last,)
                ).fetchall()
            if not found:
                return
            yield [_row(*row) for row in found]
            last = found[-1][0]

    def vectors(self, name: str, ids: Sequence[str]) -> Mapping[str, Sequence[float]]:
        columns = self._columns
        with self._database.transaction() as line:
            found = line.execute(
                f"SELECT {quoted(columns.key)}::text, {quoted(columns.vector)}::text FROM {self._table(name)} "
                f"WHERE {self._filter(name)} AND {quoted(columns.key)} = ANY($1::text[]::{columns.key_type}[])",
                (list(ids),),
            ).fetchall()
        return {identity: json.loads(vector) for identity, vector in found if vector is not None}

    def create(self, name: str, like: str, dimensions: int) -> None:
        with self._database.transaction() as line:
            if not self._is_there(line, name):
                self._make(line, name, like, dimensions)

    def _make(self, line: Any, name: str, like: str, dimensions: int | None) -> None:
        """An empty table with the columns, indexes, owner and rights of another; None: and its vectors' length."""
        new, old, columns = quoted(self._schema, name), self._table(like), self._columns
        line.execute(f"CREATE TABLE {new} (LIKE {old} INCLUDING ALL)")
        if dimensions is not None and columns.dimensions:
            line.execute(f"ALTER TABLE {new} ALTER {quoted(columns.vector)} TYPE {columns.vector_type}({dimensions})")
        (owner,) = line.execute(
            "SELECT relowner::regrole::text FROM pg_class WHERE oid = $1::regclass", (old,)
        ).fetchone()
        rights = line.execute(
            "SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type, is_grantable "
            "FROM pg_class, aclexplode(relacl) WHERE oid = $1::regclass AND grantee <> relowner",
            (old,),
        ).fetchall()
        for grantee, right, grantable in rights:
            line.execute(f"GRANT {right} ON {new} TO {grantee}{' WITH GRANT OPTION' if grantable else ''}")
        line.execute(f"ALTER TABLE {new} OWNER TO {owner}")

    def upsert(self, name: str, rows: Sequence[Row], vectors: Vectors) -> None:
        columns, table = self._columns, quoted(self._schema, name)
        kept = ", ".join(map(quoted, columns.kept))
        values = ", ".join(quoted("r", column) for column in columns.kept)
        changed = ", ".join(
            f"{quoted(column)} = EXCLUDED.{quoted(column)}" for column in (*columns.settable, columns.vector)
        )
        query = f"""
            INSERT INTO {table} ({kept}, {quoted(columns.vector)}) OVERRIDING SYSTEM VALUE
            SELECT {values}, $1::text::{columns.vector_type} FROM json_populate_record(NULL::{table}, $2::text::json) r
            ON CONFLICT ({quoted(columns.key)}) DO UPDATE SET {changed}"""
        with self._database.transaction() as line, line.cursor() as cursor:
            pairs = zip(rows, vectors.tolist(), strict=True)
            cursor.executemany(query, [(json.dumps(vector), row.record) for row, vector in pairs])

    def delete(self, name: str, ids: Sequence[str]) -> None:
        key, kind = quoted(self._columns.key), self._columns.key_type
        with self._database.transaction() as line:
            line.execute(
                f"DELETE FROM {quoted(self._schema, name)} WHERE {key} = ANY($1::text[]::{kind}[])", (list(ids),)
            )

    def switch(self, names: Names) -> None:
        self._exchange(names.current, incoming=names.new, outgoing=names.previous)

    def back(self, names: Names) -> None:
        self._exchange(names.current, incoming=names.previous, outgoing=names.new)

    def _exchange(self, current: str, *, incoming: str, outgoing: str) -> None:
        """Have an index take the name of another, in one transaction; done already where it is not there any more."""
        with self._database.transaction() as line:
            line.execute(f"SET LOCAL lock_timeout = '{LOCKED}'")
            if not self._is_there(line, incoming):
                return
            if self._is_there(line, outgoing):
                raise ConfigurationError(
                    f"{self.shown}: there is a table {outgoing!r} already, of an earlier migration; nothing is "
                    f"changed. If you do not need it any more: DROP TABLE {quoted(self._schema, outgoing)}"
                )
            self._exchange_in(line, current, incoming, outgoing)

    def _exchange_in(self, line: Any, current: str, incoming: str, outgoing: str) -> None:
        table, other = self._table(current), self._table(incoming)
        line.execute(f"LOCK TABLE {table}, {other}")
        for column in self._columns.kept:  # numbers that PostgreSQL gives go on where they are
            _move_sequence(line, table, other, column)
        line.execute(f"ALTER TABLE {table} RENAME TO {quoted(outgoing)}")
        line.execute(f"ALTER TABLE {other} RENAME TO {quoted(current)}")

    def why_no_switch(self, names: Names) -> str:
        with self._database.transaction() as line:
            tied = tied_to(line, self._table(names.current))
        if not tied:
            return ""
        return (
            f"tables change their names, and {', '.join(tied)} would stay with the old table of {self.shown}: remove "
            "what stands there before the switch, and make it again after it"
        )


def _tables(line: Any, schema: str) -> list[str]:
    """The tables with vectors, but for that of LangChain's collections."""
    return [table for (table,) in line.execute(_TABLES, (schema,)) if table != COLLECTIONS_TABLE]


def _row(identity: str, text: str | None, metadata: str | None, record: str) -> Row:
    known = json.loads(metadata) if metadata else None
    return Row(identity, embedded_text(identity, text, known if isinstance(known, dict) else None), record)


def _move_sequence(line: Any, table: str, other: str, column: str) -> None:
    """Give the sequence behind a column's default to the table that takes its place, or the state of an identity's."""
    (old,) = line.execute("SELECT pg_get_serial_sequence($1, $2)", (table, column)).fetchone()
    (new,) = line.execute("SELECT pg_get_serial_sequence($1, $2)", (other, column)).fetchone()
    if old and new:
        line.execute(f"SELECT setval($1::regclass, last_value, is_called) FROM {old}", (new,))
    elif old:
        line.execute(f"ALTER SEQUENCE {old} OWNED BY {other}.{quoted(column)}")
