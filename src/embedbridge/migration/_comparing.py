"""Whether two indexes have the same documents: read once each, and compared in bounded memory."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from ._forks import Connection
from ._journal import digest
from ._stores.base import Row, Store

SHOWN = 5
"""Ids that are told of each difference."""
SAMPLE = 64
"""Documents of the old index that are drawn, each as likely as any other."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What an old index and a new one have in common."""

    old: int
    """Documents of the old index."""
    new: int
    """Documents of the new index."""
    missing: int
    """Documents that only the old one has."""
    extra: int
    """Documents that only the new one has."""
    changed: int
    """Documents whose text or metadata differ."""
    ids: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    """Some of the missing, of the extra, and of the changed."""
    sample: tuple[Row, ...]
    """Documents of the old index, drawn at random."""

    @property
    def examples(self) -> tuple[str, ...]:
        """Some ids of all that differ."""
        return tuple(name for ids in self.ids for name in ids)[:SHOWN]

    @property
    def differing(self) -> int:
        """Documents that the next `run` would write or take out."""
        return self.missing + self.extra + self.changed


def compare(store: Store, old: str, new: str) -> Comparison:
    """Compare two indexes of a store."""
    with closing(Connection("")) as notes:  # a file that is gone when it is closed
        notes.execute("CREATE TABLE old (id TEXT PRIMARY KEY, digest BLOB) WITHOUT ROWID")
        notes.execute("CREATE TABLE new (id TEXT PRIMARY KEY, digest BLOB) WITHOUT ROWID")
        sample = drawn(_noted(notes, "old", store.rows(old)), SAMPLE)
        for _ in _noted(notes, "new", store.rows(new)):
            pass
        queries = (
            "SELECT id FROM old WHERE id NOT IN (SELECT id FROM new)",
            "SELECT id FROM new WHERE id NOT IN (SELECT id FROM old)",
            "SELECT id FROM old JOIN new USING (id) WHERE old.digest != new.digest",
        )
        missing, extra, changed = (_count(notes, query) for query in queries)
        lost, added, altered = (tuple(name for (name,) in notes.execute(f"{each} LIMIT {SHOWN}")) for each in queries)
        before, after = _count(notes, "SELECT id FROM old"), _count(notes, "SELECT id FROM new")
        return Comparison(before, after, missing, extra, changed, (lost, added, altered), tuple(sample))


def drawn(pages: Iterable[list[Row]], size: int) -> list[Row]:
    """Documents, each as likely as any other (reservoir sampling), and the same ones each time."""
    sample: list[Row] = []
    draw, read = random.Random(0).randrange, 0  # noqa: S311 - no secret
    for page in pages:
        for row in page:
            read += 1
            if len(sample) < size:
                sample.append(row)
            elif (place := draw(read)) < size:
                sample[place] = row
    return sample


def _noted(notes: Connection, table: str, pages: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """The same pages; what is in them is written down."""
    for page in pages:
        pairs = ((row.id.encode(errors="replace").decode(), digest(row)) for row in page)
        notes.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", pairs)  # noqa: S608 - our own names
        yield page


def _count(notes: Connection, query: str) -> int:
    ((count,),) = notes.execute(f"SELECT count(*) FROM ({query})")  # noqa: S608 - our own queries
    return int(count)
