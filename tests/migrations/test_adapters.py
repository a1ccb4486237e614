"""Stores with engines of their own: an index is read, built anew beside itself, switched and switched back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge.migration._stores import adapter
from embedbridge.migration._stores.base import Names, Row, Store

from .engines import ENGINES, Engine, documents_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # the stores' own warnings are not ours to mend

OLD, NEW = Embedder("fake:8"), Embedder("fake:16")
FLAT = {"text": "Größe", "whole": 3, "part": 2.5}
TREE = {**FLAT, "none": None, "yes": True, "list": [1, 2], "tree": {"a": {"b": ["'"]}}}
QUESTIONS = [f"{number} of the ünïcode's texts" for number in (1, 7, 12)]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    engine = ENGINES[request.param]
    pytest.importorskip(engine.needs, reason=f"needs {engine.needs}, of the extra 'stores'")
    return engine


@pytest.fixture
def place(engine: Engine, request: pytest.FixtureRequest, tmp_path) -> str:
    return request.getfixturevalue("postgres") if engine.kind == "pgvector" else str(tmp_path / "store")


def _opened(engine: Engine, place: str, name: str) -> Store:
    return adapter(engine.kind).at(place, name, {})


def _content(store: Store, name: str) -> dict[str, tuple[Row, list[float]]]:
    rows = [row for page in store.rows(name) for row in page]
    vectors = store.vectors(name, [row.id for row in rows])
    return {row.id: (row, list(vectors[row.id])) for row in rows}


def _rows(content: dict[str, tuple[Row, list[float]]]) -> dict[str, Row]:
    return {identity: row for identity, (row, _) in content.items()}


def _assert_same(content: dict[str, tuple[Row, list[float]]], other: dict[str, tuple[Row, list[float]]]) -> None:
    """Qdrant's local mode normalises a vector again when it is read, which changes the last bit."""
    assert _rows(content) == _rows(other)
    for identity, (_, vector) in content.items():
        np.testing.assert_allclose(vector, other[identity][1], atol=1e-6)


def _build(store: Store, names: Names, embedder: Embedder, width: int) -> None:
    store.create(names.new, names.current, width)
    for page in store.rows(names.current):
        store.upsert(names.new, page, embedder.embed_documents([row.text for row in page]))


def test_an_index_is_built_beside_itself_switched_and_switched_back(engine: Engine, place: str):
    name, embedder = "docs", NEW
    documents = documents_of(FLAT if engine.is_llama_index else TREE, 12)
    engine.fill(place, name, documents, OLD)
    old_answers = engine.answers(place, name, QUESTIONS, OLD)
    store = _opened(engine, place, name)
    before, names = _content(store, store.name), store.names("0123456789abcdef")
    assert store.why_no_switch(names) == ""
    assert len(before) == store.count(names.current) == len(documents)
    assert store.dimensions(names.current) == 8

    for _ in range(2):  # whatever is done twice is as if it were done once
        _build(store, names, embedder, 16)
    extra = next(iter(before))
    store.delete(names.new, [extra, _absent(extra)])
    assert store.count(names.new) == len(documents) - 1
    store.upsert(names.new, [before[extra][0]], embedder.embed_documents([before[extra][0].text]))
    built = _content(store, names.new)
    assert _rows(built) == _rows(before)
    for row, vector in built.values():
        np.testing.assert_allclose(vector, embedder.embed_documents([row.text])[0], atol=1e-6)
    assert store.dimensions(names.new) == 16
    _assert_same(_content(store, names.current), before)

    for _ in range(2):
        store.switch(names)
        _assert_same(_content(store, names.current), built)
        _assert_same(_content(store, names.previous), before)
    store.close()
    engine.fill(place, f"{name}2", [("f" + identity[1:], *rest) for identity, *rest in documents], NEW)
    assert _plain(engine.answers(place, name, QUESTIONS, NEW)) == _plain(
        engine.answers(place, f"{name}2", QUESTIONS, NEW)
    )

    store = _opened(engine, place, name)
    for _ in range(2):
        store.back(names)
        _assert_same(_content(store, names.current), before)
        _assert_same(_content(store, names.new), built)
    store.close()
    assert engine.answers(place, name, QUESTIONS, OLD) == old_answers
    store = _opened(engine, place, name)
    store.switch(names)
    store.close()
    engine.add(place, name, documents_of({}, 15)[12:], NEW)
    store = _opened(engine, place, name)
    assert store.count(names.current) == 15
    store.close()


def _absent(identity: str) -> str:
    """An id of the same kind that no document has."""
    return identity[:-2] + "99"


def _plain(answers: Any) -> Any:
    return [sorted(map(repr, hits)) for hits in answers]
