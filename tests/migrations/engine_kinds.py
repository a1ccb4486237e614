"""Rows of the battery for stores with engines of their own: their addresses, and what their indexes have, bit by bit.

A database of PostgreSQL is named by the environment variable `TEST_POSTGRES`; an index that is built anew has its own.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .engines import ENGINES, Engine
from .stores import Kind, digest_of

NAME = "docs"


def _id(engine: Engine, name: str) -> Any:
    """Of a document, as its store takes it: Qdrant has whole numbers and UUIDs."""
    number = int(name[1:])
    return (
        number if engine.kind == "qdrant" and number % 2 and not engine.is_llama_index else str(uuid.UUID(int=number))
    )


def _place(engine: Engine, folder: Path) -> str:
    if engine.kind != "pgvector":
        return str(folder / "store")
    place = os.environ["TEST_POSTGRES"]
    return _database(f"{place}_anew") if folder.name == "anew" else place


def _database(place: str) -> str:
    """A database beside the test's own, made where there is none."""
    import psycopg

    name = place.rpartition("/")[2]
    with psycopg.connect(os.environ["TEST_POSTGRES"], autocommit=True) as line:
        if line.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            line.execute(f"CREATE DATABASE {name}")
            with psycopg.connect(place) as inside:
                inside.execute("CREATE EXTENSION vector")
    return place


@contextmanager
def another_database(ending: str) -> Iterator[None]:
    """Let kinds on a server have a database of their own in here, as those in folders have a folder."""
    place = os.environ.get("TEST_POSTGRES")
    if place is None:
        yield
        return
    os.environ["TEST_POSTGRES"] = _database(f"{place}_{ending}")
    try:
        yield
    finally:
        os.environ["TEST_POSTGRES"] = place


def _write(engine, folder, documents, embedder):
    place = _place(engine, folder)
    rows = [(_id(engine, name), text, metadata) for name, text, metadata in documents]
    if _is_there(engine, place):
        engine.remove(place, NAME, [identity for identity, _, _ in rows], embedder)
        engine.add(place, NAME, rows, embedder)
    else:
        engine.fill(place, NAME, rows, embedder)


def _is_there(engine, place):
    if engine.kind != "pgvector":
        return Path(place).exists()
    import psycopg

    with psycopg.connect(place) as line:
        return line.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").fetchone() is not None


def _remove(engine, folder, names, embedder):
    engine.remove(_place(engine, folder), NAME, [_id(engine, name) for name in names], embedder)


def _ask(engine, folder, questions, embedder):
    return engine.answers(_place(engine, folder), NAME, questions, embedder)


def _lance_content(_, folder, name):
    import lancedb

    table = lancedb.connect(folder / "store").open_table(name)
    rows = table.search().to_arrow().to_pylist()
    return digest_of([str(table.schema), sorted(rows, key=lambda row: row["id"])])


def _qdrant_content(_, folder, name):
    meta = json.loads((folder / "store/meta.json").read_text())
    collection = meta["aliases"].get(name, name)
    with closing(sqlite3.connect(folder / f"store/collection/{collection}/storage.sqlite")) as file:
        rows = file.execute("SELECT id, hex(point) FROM points ORDER BY id").fetchall()
    return digest_of([meta["collections"][collection], rows])


def _postgres_content(engine, folder, name):
    import psycopg

    with psycopg.connect(_place(engine, folder)) as line:
        collections = "langchain_pg_embedding"
        shared = line.execute("SELECT to_regclass(%s)", (collections,)).fetchone() != (None,) and name == NAME
        table = collections if shared else f'"{name}"'
        return digest_of(line.execute(f"SELECT row_to_json(t)::text FROM {table} t ORDER BY 1").fetchall())  # noqa: S608


MODULES = {
    "lancedb": ("lancedb", "pyarrow.compute"),
    "qdrant": ("qdrant_client.models", "portalocker"),
    "pgvector": ("psycopg", "pgvector.sqlalchemy"),
}
"""What they take seconds to load, and children are to have already."""
SERVED = {"guard": "{}/guarded", "journal": "{}/journal.db"}
"""What `open_index` is told of an index on a server."""
CONTENT = {"lancedb": _lance_content, "qdrant": _qdrant_content, "pgvector": _postgres_content}
PLACES = {"lancedb": "{}/store", "qdrant": "{}/store", "pgvector": "{TEST_POSTGRES}"}


def _kind(engine: Engine) -> Kind:
    bound = (partial(part, engine) for part in (_write, _remove, _ask, CONTENT[engine.kind]))
    served = engine.kind == "pgvector"
    guard, options = ("{}/guarded", SERVED) if served else ("{}/store", {})
    return Kind(
        (engine.needs, *MODULES[engine.kind]), f"{engine.kind}:{PLACES[engine.kind]}#{NAME}", guard, *bound, options
    )


ENGINE_KINDS = {name: _kind(engine) for name, engine in ENGINES.items()}
