"""Documents that share an id, or have none, are named with their rows by each step, before anything is paid."""

from __future__ import annotations

import pickle
import re

import pytest

from embedbridge import EmbeddingError, InvalidInputError
from embedbridge.migration import check, plan, run, switch
from support.moving_client import documents_of

from .engine_kinds import ENGINE_KINDS
from .stores import KINDS, jsonl_file


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (
            ("a", "b", "a", "b", "a"),
            r"line 3: .*'a' is that of line 1; line 4: .*'b' .* line 2; line 5: .* of line 1\.",
        ),
        ((1, "1"), "line 2: the id '1' is that of line 1"),
        (("\ud800", None, 1.5), "line 1: .*lone surrogate; line 2: its id is None; line 3: its id is 1.5"),
        ((*range(1100), *range(12)), "line 1110: the id '9' is that of line 10; and 2 more"),
    ],
)
def test_lines_whose_ids_cannot_tell_them_from_others_are_named_before_anything_is_paid(tmp_path, new, ids, told):
    lines = [{"id": each, "text": f"text {place}"} for place, each in enumerate(ids)]
    index = jsonl_file(tmp_path, *lines)
    for step in (plan, run):
        with pytest.raises(InvalidInputError, match=told):
            step(index, new)
    assert new.usage.requests == 0
    jsonl_file(tmp_path, {"id": "other", "text": "one"})
    run(index, new)
    jsonl_file(tmp_path, *lines)
    with pytest.raises(InvalidInputError, match=told):
        run(index, new)
    with pytest.raises(EmbeddingError, match=told):
        switch(index)
    jsonl_file(tmp_path, {"id": "other", "text": "one"})
    run(index, new)
    jsonl_file(tmp_path, *lines)
    assert re.search(told, check(index, new).faults[0])


DUPLICATES = ("LanceDB, LangChain", "LanceDB, LangChain's community", "LanceDB, LlamaIndex")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", DUPLICATES)
def test_rows_of_lancedb_that_share_an_id_or_have_none_are_named_by_each_run(kind, tmp_path, new, old):
    lancedb, there = pytest.importorskip("lancedb"), ENGINE_KINDS[kind]
    pytest.importorskip(there.needs[0])
    documents, address = documents_of(4), there.address.format(tmp_path)
    there.write(tmp_path, documents, old)
    run(address, new)
    table = lancedb.connect(tmp_path / "store").open_table("docs")
    again = table.search().limit(1).to_arrow()
    table.add(again)
    table.add([again.to_pylist()[0] | {"id": None}])
    told = "docs, row 5: its id is None; row 4: the id '.*' is that of row 0"
    for step in (plan, run):
        with pytest.raises(InvalidInputError, match=told):
            step(address, new)
    assert re.search(told, check(address, new).faults[0])
    with pytest.raises(EmbeddingError, match=told):
        switch(address)
    table.delete("id IS NULL")
    table.delete(f"id = '{again['id'][0]}'")
    table.add(again)
    assert run(address, new).documents == 4
    assert check(address, new).ok
    switch(address)


@pytest.mark.slow
def test_rows_of_lancedb_with_numbers_that_are_not_whole_for_ids_are_named(tmp_path, new):
    lancedb = pytest.importorskip("lancedb")
    rows = [{"id": number / 2, "text": f"text {number}", "vector": [1.0, 2.0]} for number in range(12)]
    lancedb.connect(tmp_path / "store").create_table("docs", rows)
    with pytest.raises(InvalidInputError, match=r"row 0: its id is 0\.0; row 1: its id is 0\.5; .*and 2 more"):
        run(tmp_path / "store", new)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_vectors_of_faiss_that_share_a_document_are_named(tmp_path, new, old):
    pytest.importorskip("langchain_community")
    pytest.importorskip("faiss")
    KINDS["faiss"].write(tmp_path, documents_of(3), old)
    file = tmp_path / "faiss" / "index.pkl"
    documents, places = pickle.loads(file.read_bytes())  # noqa: S301 - our own
    file.write_bytes(pickle.dumps((documents, {**places, 2: places[0]})))
    with pytest.raises(InvalidInputError, match="vector 2: the id 'd0' is that of vector 0"):
        run(tmp_path / "faiss", new)
