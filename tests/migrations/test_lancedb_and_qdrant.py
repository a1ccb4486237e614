"""What LanceDB and Qdrant have besides rows goes with an index, or is told before anything is paid."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from embedbridge.errors import ConfigurationError
from embedbridge.migration import run
from embedbridge.migration._stores import adapter

from .engines import FINGERPRINT, moved

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def _opened(kind, folder, name, **options):
    return adapter(kind).at(str(folder), name, options)


def test_a_table_of_lancedb_keeps_its_columns_and_its_old_version_until_that_is_deleted(tmp_path):
    lancedb = pytest.importorskip("lancedb")
    database = lancedb.connect(tmp_path)
    rows = [
        {"key": number, "body": f"it's {number}", "vector": [1.0, 2.0], "raw": b"\x00", "tags": [["a"], None]}
        for number in range(300)
    ]
    database.create_table("docs.v1", rows).create_index("key", config=lancedb.index.BTree())
    options = {"id": "key", "text": "body"}
    with pytest.raises(ConfigurationError, match=r"no column .id..*key, body, vector"):
        _opened("lancedb", tmp_path, "docs.v1")
    store = _opened("lancedb", tmp_path, None, **options)
    with pytest.warns(UserWarning, match=r"key_idx on key.*make them again after the switch"):
        names = moved(store)
    table = database.open_table("docs.v1")
    assert sorted(table.search().to_list(), key=lambda row: row["key"]) == [
        {**row, "vector": [1.0] * 3} for row in rows
    ]
    with pytest.raises(RuntimeError, match="tagged version"):
        table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
    assert store.exists(names.previous)
    table.tags.delete(names.previous)
    assert not store.exists(names.previous)


def test_a_collection_of_qdrant_is_moved_by_its_alias_with_its_sparse_vectors_and_any_ids(tmp_path):
    models = pytest.importorskip("qdrant_client.models")
    from qdrant_client import QdrantClient

    alias, sparse = "the ünïque alias", models.SparseVector(indices=[3, 1], values=[0.5, 0.25])
    ids = [7, 18446744073709551615, "6f1f2c2e-7a52-4d0c-9b1a-0a3d1c2b4e5f"]
    payload = {"page_content": "a", "metadata": {"none": None, "tree": [{"a": 1.5}, True]}}
    with closing(QdrantClient(path=str(tmp_path / "q"))) as client:
        client.create_collection(
            "docs",
            vectors_config={"dense": models.VectorParams(size=2, distance=models.Distance.DOT)},
            sparse_vectors_config={"sparse": models.SparseVectorParams()},
        )
        client.upsert(
            "docs",
            [models.PointStruct(id=one, vector={"dense": [1, 2], "sparse": sparse}, payload=payload) for one in ids],
        )
    store = _opened("qdrant", tmp_path / "q", "docs")
    told = store.why_no_switch(store.names(FINGERPRINT))
    assert "create_alias=CreateAlias(alias_name='docs-live', collection_name='docs')" in told
    with pytest.raises(ConfigurationError, match="already accessed"):
        _opened("qdrant", tmp_path / "q", "docs")
    store.close()
    operation = models.CreateAliasOperation(create_alias=models.CreateAlias(alias_name=alias, collection_name="docs"))
    with closing(QdrantClient(path=str(tmp_path / "q"))) as client:
        client.update_collection_aliases([operation])
    with closing(_opened("qdrant", tmp_path / "q", None)) as store:
        assert store.name == alias
        names = store.names(FINGERPRINT)
        assert not store.exists(names.previous)  # it is what the alias names
        assert moved(store) == names
        assert (store.exists(names.new), store.exists(names.previous)) == (False, True)
        assert store.names(FINGERPRINT).new != names.new  # which the alias names now
    with closing(QdrantClient(path=str(tmp_path / "q"))) as client:
        points = client.retrieve(alias, ids, with_vectors=True)
        assert {point.id for point in points} == set(ids)
        for point in points:
            assert point.payload == payload
            assert point.vector["dense"] == [1.0, 1.0, 1.0]
            assert dict(zip(point.vector["sparse"].indices, point.vector["sparse"].values, strict=True)) == {
                3: 0.5,
                1: 0.25,
            }


def test_a_server_that_does_not_answer_is_named_without_its_key():
    pytest.importorskip("qdrant_client")
    with pytest.raises(ConfigurationError, match=r"qdrant:http://127\.0\.0\.1:1 cannot be opened") as caught:
        _opened("qdrant", "http://user:hidden@127.0.0.1:1", "docs", api_key="hidden")
    assert "hidden" not in str(caught.value) + repr(caught.value.__cause__)


def test_a_page_of_a_run_has_the_same_number_of_documents_however_a_table_was_filled(tmp_path, new):
    lancedb = pytest.importorskip("lancedb")
    rows = [{"id": str(number), "text": f"text {number}", "vector": [1.0, 2.0]} for number in range(2100)]
    table = lancedb.connect(tmp_path / "store").create_table("docs", rows[:700])
    for first in (700, 1400):
        table.add(rows[first : first + 700])
    pages: list[int] = []
    run(tmp_path / "store", new, progress=lambda done, _: pages.append(done))
    assert pages == [1000, 2000, 2100]
