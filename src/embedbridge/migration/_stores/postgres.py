"""PostgreSQL: connections, and what its catalogue says of a table with vectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from embedbridge.errors import ConfigurationError

from .base import package

LOCKED = "10s"
"""How long a change of names waits for others' transactions, while all that come later wait behind it."""
LONGEST = 63
"""Bytes of a name; PostgreSQL cuts off the rest."""

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', a.attidentity, t.typname
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_KEY = """
SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
WHERE i.indrelid = $1::regclass AND i.indisprimary"""
_TIED = """
SELECT 'the view ' || r.ev_class::regclass FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = $1::regclass AND r.ev_class <> $1::regclass
UNION SELECT 'the trigger ' || tgname FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal
UNION SELECT 'the foreign key ' || conname FROM pg_constraint
WHERE contype = 'f' AND (conrelid = $1::regclass OR confrelid = $1::regclass)
UNION SELECT 'the policy ' || polname FROM pg_policy WHERE polrelid = $1::regclass
UNION SELECT 'the partition or child ' || inhrelid::regclass FROM pg_inherits
WHERE inhparent = $1::regclass OR inhrelid = $1::regclass
UNION SELECT 'the publication ' || p.pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
WHERE r.prrelid = $1::regclass
UNION SELECT 'the owner ' || relowner::regrole || ', whom you are not' FROM pg_class
WHERE oid = $1::regclass AND NOT pg_has_role(relowner, 'USAGE') ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table with vectors."""

    key: str
    """The one column of the primary key."""
    key_type: str
    vector: str
    vector_type: str
    """Without its dimensions: `vector` or `halfvec`."""
    dimensions: int | None
    """None: the column takes vectors of any length."""
    kept: tuple[str, ...]
    """All that is copied: neither the vector, nor what PostgreSQL computes itself."""
    settable: tuple[str, ...]
    """Those of them that an UPDATE may set."""

    @property
    def whole_type(self) -> str:
        """Of the vectors, as SQL has it."""
        return self.vector_type + (f"({self.dimensions})" if self.dimensions else "")


class Database:
    """A database; each step has a connection of its own, so that none is open through the night."""

    def __init__(self, place: str) -> None:
        scheme, rest = place.split("://", 1)
        self._words = f"{scheme.split('+')[0]}://{rest}"  # SQLAlchemy's URLs name a driver too
        parts = urlsplit(self._words)
        self.shown = urlunsplit(("postgresql", parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def __repr__(self) -> str:
        return f"Database({self.shown!r})"

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A connection whose work is done at the end as a whole, or not at all."""
        psycopg = package("psycopg", 'PostgreSQL is asked with psycopg; run: pip install "psycopg[binary]"')
        try:
            line = psycopg.connect(  # a raw cursor, because names may have a % in them
                self._words, connect_timeout=10, prepare_threshold=None, cursor_factory=psycopg.RawCursor
            )
        except psycopg.ProgrammingError:  # whose message repeats the URL
            raise ConfigurationError(
                f"{self.shown} is no address of a database: write postgresql://user:password@host:5432/database, with "
                "%-codes for special characters"
            ) from None
        except psycopg.Error as error:
            raise ConfigurationError(f"{self.shown} does not answer: {error}") from error
        try:
            with line:
                yield line
        except psycopg.errors.LockNotAvailable as error:
            raise ConfigurationError(
                f"{self.shown}: others use the table, and a change of its name waited {LOCKED} for them; nothing is "
                "changed. Do it again when their transactions have ended"
            ) from error
        except (psycopg.DataError, psycopg.IntegrityError) as error:  # whose messages repeat values
            where = error.diag.constraint_name or error.diag.column_name or error.diag.table_name
            raise ConfigurationError(
                f"{self.shown}: {type(error).__name__}{f' at {where}' if where else ''}: a document does not fit the "
                "new table"
            ) from None
        except psycopg.Error as error:
            raise ConfigurationError(f"{self.shown}: {type(error).__name__}: {error.diag.message_primary}") from error


def columns_of(line: Any, table: str, shown: str, vector: str | None) -> Columns:
    """What the catalogue says of a table.

    Args:
        line: a connection.
        table: quoted, with its schema.
        shown: the index, for messages.
        vector: the column with the vectors; None: the only one of its kind.

    Raises:
        ConfigurationError: it has no primary key of one column, or no such column of vectors.
    """
    key = [name for (name,) in line.execute(_KEY, (table,))]
    if len(key) != 1:
        raise ConfigurationError(f"{shown} has no primary key of one column, so its rows cannot be told apart; add one")
    found = {name: rest for name, *rest in line.execute(_COLUMNS, (table,))}
    vectors = [name for name, (*_, kind) in found.items() if kind in {"vector", "halfvec"} and vector in {None, name}]
    if len(vectors) != 1:
        raise ConfigurationError(
            f"{shown} has {len(vectors)} columns of vectors{f' called {vector!r}' if vector else ''}; say which with "
            f"the option vector=, of: {', '.join(found)}"
        )
    kind, _, length = found[vectors[0]][0].rstrip(")").partition("(")
    kept = tuple(name for name, (_, generated, *_) in found.items() if name != vectors[0] and not generated)
    return Columns(
        key=key[0],
        key_type=found[key[0]][0],
        vector=vectors[0],
        vector_type=kind,
        dimensions=int(length) if length else None,
        kept=kept,
        settable=tuple(name for name in kept if name != key[0] and not found[name][2]),
    )


def tied_to(line: Any, table: str) -> list[str]:
    """What stands on a table, and would stay with the old one when names are exchanged."""
    return [words for (words,) in line.execute(_TIED, (table,))]


def quoted(*names: str) -> str:
    """Identifiers as PostgreSQL reads them, joined by dots."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
