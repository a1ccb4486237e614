"""What else stands on a table of PostgreSQL goes with the switch, or is named before anything is paid."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge.errors import ConfigurationError
from embedbridge.migration import open_index, run
from embedbridge.migration._stores import adapter
from embedbridge.migration._stores.base import Row

from .engines import ENGINES, FINGERPRINT, documents_of, moved

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def line(postgres):
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as line:
        yield line


def _opened(place, name, **options):
    return adapter("pgvector").at(place, name, options)


def _rows(store, name):
    return [row for page in store.rows(name) for row in page]


def test_what_a_table_has_goes_with_the_switch(postgres, line):
    odd = 'odd "näme" of 100% a.b'
    table = '"sch""ema"."odd ""näme"" of 100% a.b"'
    line.execute('CREATE SCHEMA "sch""ema"')
    columns = (
        "content text, tsv tsvector GENERATED ALWAYS AS (to_tsvector('english', content)) STORED, "
        "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, embedding halfvec(2) NOT NULL, "
        "made timestamptz DEFAULT now(), amount numeric, raw bytea, tags text[], langchain_metadata json"
    )
    line.execute(f"CREATE TABLE {table} ({columns})")
    line.execute(f"CREATE INDEX ON {table} USING hnsw (embedding halfvec_cosine_ops)")
    line.execute("DROP ROLE IF EXISTS reader")
    line.execute("CREATE ROLE reader")
    line.execute('GRANT USAGE ON SCHEMA "sch""ema" TO reader')
    line.execute(f"GRANT SELECT, UPDATE ON {table} TO reader")
    insert = (
        f"INSERT INTO {table.replace('%', '%%')} (content, embedding, amount, raw, tags, langchain_metadata) "
        "VALUES (%s, %s, %s, %s, %s, %s)"
    )
    large = "1234567890.12345678901234567890"
    values = (large, b"\x00\xff", ["a", "ü,\"'", None], '{"b": 1,  "a": 1e400, "b": [null]}')
    for number in range(5):
        line.execute(insert, (f"text {number}", "[1,2]", *values))
    store = _opened(postgres, odd, schema='sch"ema')
    before = _rows(store, odd)
    kept = "SELECT content, tsv::text, id, made, amount, raw, tags, langchain_metadata::text FROM {} ORDER BY id"
    stored = line.execute(kept.format(table)).fetchall()

    names = moved(store)

    assert _rows(store, odd) == before == _rows(store, names.previous)
    assert line.execute(kept.format(table)).fetchall() == stored
    ((kind, index),) = line.execute(
        "SELECT format_type(a.atttypid, a.atttypmod), pg_get_indexdef(i.indexrelid) FROM pg_attribute a "
        "JOIN pg_index i ON i.indrelid = a.attrelid AND a.attnum = ANY(i.indkey) "
        "WHERE a.attrelid = %s::regclass AND a.attname = 'embedding'",
        (table,),
    )
    assert kind == "halfvec(3)"
    assert "halfvec_cosine_ops" in index
    line.execute("SET ROLE reader")
    line.execute(f"UPDATE {table} SET amount = 1")
    line.execute("RESET ROLE")
    line.execute(insert, ("the next", "[1,2,3]", *values))  # its number is given by PostgreSQL
    assert line.execute(f"SELECT max(id) FROM {table}").fetchone() == (6,)
    line.execute("DROP OWNED BY reader")
    line.execute("DROP ROLE reader")


def test_the_old_table_can_be_deleted_and_the_numbers_of_new_rows_go_on(postgres, line):
    engine = ENGINES["pgvector, LlamaIndex"]
    pytest.importorskip(engine.needs)
    engine.fill(postgres, "docs", documents_of({}, 4), Embedder("fake:2"))
    store = _opened(postgres, "docs")  # as LlamaIndex is told it
    names = moved(store)
    assert names.current == "data_docs"
    line.execute(f'DROP TABLE "{names.previous}"')
    assert not store.exists(names.previous)
    engine.add(postgres, "docs", documents_of({}, 5)[4:], Embedder("fake:3"))
    assert line.execute("SELECT count(*), max(id) FROM data_docs").fetchone() == (5, 5)


def test_a_long_name_is_shortened_and_stays_one_of_its_own(postgres, line):
    for name in ("n" * 62 + "a", "n" * 62 + "b"):
        line.execute(f'CREATE TABLE "{name}" (id int PRIMARY KEY, content text, embedding vector(2))')
    first, second = (_opened(postgres, "n" * 62 + end).names(FINGERPRINT) for end in "ab")
    assert len({first.new, first.previous, second.new, second.previous}) == 4
    assert max(map(len, (first.new, second.previous))) <= 63


def test_what_would_stay_with_the_old_table_is_named_before_anything_is_paid(postgres, line):
    line.execute("CREATE TABLE docs (id int PRIMARY KEY, content text, embedding vector(2))")
    line.execute("CREATE VIEW latest AS SELECT * FROM docs")
    line.execute("CREATE TABLE notes (doc int CONSTRAINT of_docs REFERENCES docs)")
    line.execute("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    line.execute("CREATE TRIGGER watcher BEFORE INSERT ON docs FOR EACH ROW EXECUTE FUNCTION nothing()")
    line.execute("CREATE POLICY mine ON docs")
    line.execute("CREATE PUBLICATION news FOR TABLE docs")
    store = _opened(postgres, "docs")
    told = store.why_no_switch(store.names(FINGERPRINT))
    for what in ("view latest", "foreign key of_docs", "trigger watcher", "policy mine", "publication news"):
        assert what in told


def test_a_table_that_others_use_is_left_as_it_is_and_the_switch_can_be_repeated(postgres, line, monkeypatch):
    monkeypatch.setattr("embedbridge.migration._stores.pgvector.LOCKED", "100ms")
    line.execute("CREATE TABLE docs (id int PRIMARY KEY, content text, embedding vector(2))")
    line.execute("INSERT INTO docs VALUES (1, 'a', '[1,2]')")
    store = _opened(postgres, "docs")
    with line.transaction():
        line.execute("SELECT * FROM docs")
        with pytest.raises(ConfigurationError, match="others use the table"):
            moved(store)
    assert store.dimensions("docs") == 2
    store.switch(store.names(FINGERPRINT))
    assert store.dimensions("docs") == 3


def test_a_collection_is_switched_and_the_others_of_its_table_stay(postgres, line):
    engine = ENGINES["pgvector, LangChain's collections"]
    pytest.importorskip(engine.needs)
    engine.fill(postgres, "docs", documents_of({"a": 1}, 3), Embedder("fake:2"))
    engine.fill(postgres, "other's 100%", [("x", "y", {})], Embedder("fake:2"))
    whole = "SELECT * FROM langchain_pg_embedding WHERE id = 'x'"
    other = line.execute(whole).fetchall()
    names = moved(_opened(postgres, "docs"))
    assert line.execute(whole).fetchall() == other
    assert _opened(postgres, "other's 100%").count("other's 100%") == 1
    assert _opened(postgres, "docs").dimensions("docs") == 3
    line.execute(f'DROP TABLE "{names.previous}"')

    line.execute("DELETE FROM langchain_pg_embedding WHERE id <> 'x'")
    line.execute("ALTER TABLE langchain_pg_embedding ALTER embedding TYPE vector(2)")
    store = _opened(postgres, "docs")
    with pytest.raises(ConfigurationError, match="takes vectors of 2 dimensions, which other collections have"):
        store.create("new", "docs", 3)
    line.execute("DELETE FROM langchain_pg_embedding")
    engine.add(postgres, "docs", documents_of({"a": 1}, 3), Embedder("fake:2"))
    store = _opened(postgres, "docs")
    names = moved(store)
    assert _opened(postgres, "docs").dimensions("docs") == 3
    store.back(names)
    assert _opened(postgres, "docs").dimensions("docs") == 2


def test_a_run_without_the_path_of_the_guard_warns_that_nobody_is_told_of_the_switch(postgres, line, tmp_path):
    line.execute("CREATE TABLE docs (id int PRIMARY KEY, content text NOT NULL, embedding vector(2))")
    line.execute("INSERT INTO docs VALUES (1, 'one', '[1,2]')")
    address, new = f"pgvector:{postgres}#docs", Embedder("fake:3", cache=tmp_path / "cache")
    with pytest.warns(UserWarning, match="has no guard.*give guard="):
        run(open_index(address, journal=tmp_path / "docs.db"), new)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(open_index(address, journal=tmp_path / "docs.db", guard=tmp_path / "docs"), new)


def test_errors_name_the_table_and_neither_the_password_nor_a_text(postgres, line):
    line.execute("CREATE TABLE docs (id int PRIMARY KEY, content text NOT NULL, embedding vector(2))")
    line.execute("CREATE TABLE keyless (id int, content text, embedding vector(2))")
    secret = postgres.replace("postgres:postgres@", "postgres:sec%20ret@")
    wrong = re.sub(r":\d+/", ":1/", secret)
    cases = [
        (wrong, "docs", {}, "does not answer"),
        (secret.replace("%20", "%2"), "docs", {}, "no address of a database"),
        (postgres, "other", {}, "no table or collection 'other'.* there are: docs, keyless"),
        (postgres, None, {}, "several .*say which"),
        (postgres, "keyless", {}, "no primary key of one column"),
        (postgres, "docs", {"text": "body"}, "no column 'body'"),
        (postgres, "docs", {"vector": "v"}, "0 columns of vectors called 'v'"),
        (postgres, "docs", {"scheme": "x"}, "no option 'scheme'"),
        ("http://host/", "docs", {}, "postgresql://"),
    ]
    for place, name, options, told in cases:
        with pytest.raises(ConfigurationError, match=told) as caught:
            _opened(place, name, **options)
        assert "sec" not in str(caught.value) + repr(caught.value.__cause__)
    store = _opened(postgres, "docs")
    assert "postgres:postgres" not in repr(vars(store)) + store.shown
    store.create("new", "docs", 3)
    with pytest.raises(ConfigurationError, match="NotNullViolation at content") as caught:
        store.upsert("new", [Row("1", "secret text", '{"id": 1, "note": "secret text"}')], np.ones((1, 3), np.float32))
    assert "secret" not in str(caught.value)
    line.execute("CREATE INDEX ON docs USING hnsw (embedding vector_cosine_ops)")
    with pytest.raises(ConfigurationError, match="cannot have more than 2000 dimensions"):
        store.create("newer", "docs", 2001)
