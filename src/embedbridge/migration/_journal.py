"""The journal of a migration, one SQLite file beside the index: how far it is, and which documents the new index has.

It holds ids and digests of documents, but no text and no key. Whoever has it open has it alone.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Self

from embedbridge.cache import CacheError
from embedbridge.cache._files import private_file
from embedbridge.errors import ConfigurationError, EmbeddingError

from ._forks import Connection, check_process
from ._stores.base import Names, Row

BUILDING, BUILT, SWITCHING, SWITCHED, BACKING = "building", "built", "switching", "switched", "going back"
"""The stages: `run` is not through; it is; `switch` has begun; it is through; `back` has begun, and leads to BUILT."""
APPLICATION: Final = 0x45424D47
"""In the file's header: EBMG."""
MOST_IDS = 500
"""Ids of one statement."""
TABLES = """
CREATE TABLE IF NOT EXISTS migration (one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS document (id TEXT PRIMARY KEY, digest BLOB NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS handed (id TEXT PRIMARY KEY, digest BLOB NOT NULL, times INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS paid (dollars REAL NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class State:
    """All that a later process must know."""

    stage: str
    kind: str
    """Of the store."""
    names: Names
    space: str
    """The file of the new vector space, as the guard stores it."""
    fingerprint: str
    """Of the new space."""
    model: str
    """`provider:model` of the new space, for people."""
    guard: str = ""
    """What the guard is given for the current index; "": nobody has said it, or the file lies within the index."""
    guard_said: bool = False
    """It was said, and is not the store's own: the guard's files of the other two indexes lie beside it."""
    round: int = 0
    """How often the documents were gone through."""
    stamps: Mapping[str, str] = field(default_factory=dict)
    """Path → content of the guard's files as they were before the switch."""


def digest(row: Row) -> bytes:
    """Sixteen bytes that are equal for equal documents."""
    content = json.dumps([row.text, row.record], sort_keys=True, ensure_ascii=False, default=repr)
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Journal:
    """Open, it is locked against other processes until it is closed, or the process ends.

    Args:
        file: which is made where there is none.
    """

    def __init__(self, file: Path) -> None:
        self.file, self._process = file, os.getpid()
        with self._told():
            private_file(file)
            self._open = Connection(file, timeout=1.0, isolation_level=None)
            try:
                self._begin()
            except BaseException:
                self._open.close()
                raise

    def _begin(self) -> None:
        run = self._open.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA synchronous = FULL")
        run("BEGIN IMMEDIATE")
        ((application,),) = run("PRAGMA application_id")
        ((tables,),) = run("SELECT count(*) FROM sqlite_master")
        if tables and application != APPLICATION:
            raise ConfigurationError(f"{self.file} is no journal of a migration; move it away")
        run(f"PRAGMA application_id = {APPLICATION}")
        for table in filter(str.strip, TABLES.split(";")):
            run(table)
        run("COMMIT")

    def check_process(self) -> None:
        """Raise `EmbeddingError` in a child of a fork."""
        check_process(self._process, self.file)

    @contextmanager
    def _told(self) -> Iterator[None]:
        self.check_process()
        try:
            yield
        except (CacheError, OSError) as error:
            raise ConfigurationError(f"the journal {self.file} cannot be written: {error}") from error
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise EmbeddingError(f"another process is moving this index: it has {self.file} open") from error
            raise EmbeddingError(f"the journal {self.file} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise EmbeddingError(
                f"the journal {self.file} is damaged: {error}. Delete it and the index that was being built; the "
                "vectors are in the cache"
            ) from error

    # The state.

    def read(self) -> State | None:
        """How far the migration is; None before it begins."""
        with self._told():
            found = self._open.execute("SELECT state FROM migration")
        return _state(self.file, found[0][0]) if found else None

    def write(self, state: State) -> State:
        """Replace the state, at once and to stay."""
        with self._told():
            self._open.execute("INSERT OR REPLACE INTO migration VALUES (1, ?)", (_stored(self.file, state),))
        return state

    # The documents that the new index has.

    def digests(self, ids: Sequence[str]) -> dict[str, bytes]:
        """What the new index has of these documents."""
        found: dict[str, bytes] = {}
        with self._told():
            for first in range(0, len(ids), MOST_IDS):
                some = ids[first : first + MOST_IDS]
                marks = ", ".join("?" * len(some))
                found.update(self._open.execute(f"SELECT id, digest FROM document WHERE id IN ({marks})", some))  # noqa: S608
        return found

    def seen_already(self, ids: Sequence[str], number: int) -> bool:
        """Whether one of these documents comes twice in this round."""
        query = "SELECT 1 FROM document WHERE id = ? AND seen = ?"
        with self._told():
            return len({*ids}) < len(ids) or any(self._open.execute(query, (each, number)) for each in ids)

    def mark(self, seen: Mapping[str, bytes], number: int) -> None:
        """These documents were seen in this round, and the new index has them."""
        with self._told(), self._transaction():
            self._open.executemany(
                "INSERT OR REPLACE INTO document VALUES (?, ?, ?)", ((*each, number) for each in seen.items())
            )

    def count(self) -> int:
        """Documents that the new index has, as far as is written down."""
        with self._told():
            ((count,),) = self._open.execute("SELECT count(*) FROM document")
        return int(count)

    def unseen(self, number: int, most: int) -> list[str]:
        """Documents that the new index has, and that the old one had no more in this round."""
        with self._told():
            rows = self._open.execute("SELECT id FROM document WHERE seen != ? LIMIT ?", (number, most))
            return [name for (name,) in rows]

    def drop(self, ids: Sequence[str]) -> None:
        """The new index has them no more."""
        with self._told(), self._transaction():
            self._open.executemany("DELETE FROM document WHERE id = ?", ((name,) for name in ids))

    def forget(self) -> None:
        """The new index has nothing."""
        with self._told():
            self._open.execute("DELETE FROM document")

    # What runs have paid that did not come to their end.

    def pay(self, dollars: float) -> None:
        """So much more was paid."""
        with self._told():
            if dollars > 0:
                self._open.execute("INSERT INTO paid VALUES (?)", (dollars,))

    def forget_paid(self) -> None:
        """A run has come to its end."""
        with self._told():
            self._open.execute("DELETE FROM paid")

    # What a batch API was handed.

    def handed(self, documents: Mapping[str, bytes]) -> None:
        """These documents, as they are now, were handed over once more."""
        with self._told(), self._transaction():
            self._open.executemany(
                "INSERT INTO handed VALUES (?, ?, 1) ON CONFLICT (id) DO UPDATE SET "
                "times = CASE digest WHEN excluded.digest THEN times + 1 ELSE 1 END, digest = excluded.digest",
                documents.items(),
            )

    def handed_often(self, documents: Mapping[str, bytes], times: int) -> set[str]:
        """Those that were handed over so often, as they are now."""
        with self._told():
            found = dict(self._open.execute("SELECT id, digest FROM handed WHERE times >= ?", (times,)))
        return {name for name, content in documents.items() if found.get(name) == content}

    def forget_handed(self) -> None:
        """All may be handed over again."""
        with self._told():
            self._open.execute("DELETE FROM handed")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._open.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._open.execute("ROLLBACK")
            raise
        self._open.execute("COMMIT")

    def close(self) -> None:
        """Let other processes have it. A child of a fork leaves it to its parent."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def peek(file: Path) -> State | None:
    """How far a migration is, from outside; None where none has begun, or another process is at it."""
    found = _looked_up(file, "SELECT state FROM migration")
    return _state(file, found[0][0]) if found else None


def peek_paid(file: Path) -> float:
    """Dollars that runs have paid which did not come to their end, from outside."""
    return float(sum(dollars for (dollars,) in _looked_up(file, "SELECT dollars FROM paid")))


def _looked_up(file: Path, query: str) -> list[tuple[Any, ...]]:
    if not file.is_file():
        return []
    try:
        # Not mode=ro: what a killed process was writing is undone by who reads next.
        with closing(Connection(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as journal:
            return journal.execute(query)
    except sqlite3.Error:
        return []


def _stored(file: Path, state: State) -> str:
    """As JSON. Paths are relative to the journal's folder where they lie in it, which may be moved as a whole."""
    folder = file.absolute().parent

    def inside(path: str) -> str:
        return str(Path(path).relative_to(folder)) if path and Path(path).is_relative_to(folder) else path

    stamps = {inside(path): content for path, content in state.stamps.items()}
    return json.dumps({**asdict(state), "guard": inside(state.guard), "stamps": stamps})


def _state(file: Path, text: str) -> State:
    folder = file.absolute().parent
    try:
        stored: dict[str, Any] = json.loads(text)
        guard = stored["guard"] and str(folder / stored["guard"])
        stamps = {str(folder / path): content for path, content in stored["stamps"].items()}
        return State(**stored | {"names": Names(**stored["names"]), "guard": guard, "stamps": stamps})
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigurationError(
            f"the journal {file} was written by another version of embedbridge, which has to bring this move to its end"
        ) from None
