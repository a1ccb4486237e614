"""What a move refuses early, and what of an index must not get lost on its way."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from embedbridge import ConfigurationError, EmbeddingError, InvalidInputError, SpaceMismatchError, guard
from embedbridge.migration import back, bench, check, follow, open_index, plan, run, switch
from support.moving_client import documents_of

from .stores import KINDS, jsonl_file

SLOW = pytest.mark.slow
"""Needs a store, which the part of continuous integration has that runs slow tests."""


def test_the_guard_that_a_switch_is_given_is_that_of_the_run_or_it_is_refused(tmp_path, new, old):
    index, named = jsonl_file(tmp_path, {"id": 1, "text": "one"}), tmp_path / "named"
    guard(named, old)
    run(index, new)
    for step in (switch, back, lambda index: check(index, new)):
        with pytest.raises(ConfigurationError, match="run it again with this one"):
            step(open_index(index, guard=named))
    run(open_index(index, guard=named), new)
    switch(open_index(index, guard=named))
    guard(named, new)
    with pytest.raises(SpaceMismatchError):
        guard(named, old)
    back(index)
    guard(named, old)


@pytest.mark.skipif(os.name == "nt", reason="no such modes")
@pytest.mark.parametrize(
    "kind", ["jsonl", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("llama-index", "faiss"))]
)
def test_a_private_index_stays_private(kind, tmp_path, new, old):
    there = KINDS[kind]
    for module in there.needs:
        pytest.importorskip(module)
    there.write(tmp_path, documents_of(5), old)
    index = Path(there.guard.format(tmp_path))
    files = [index, *(index.rglob("*") if index.is_dir() else ())]
    for file in files:
        file.chmod(0o700 if file.is_dir() else 0o600)
    run(index, new)
    switch(index)
    assert {file: file.stat().st_mode & 0o077 for file in files} == dict.fromkeys(files, 0)


@pytest.mark.slow
def test_a_collection_of_qdrant_without_an_alias_is_refused_with_the_way_to_make_one(tmp_path, new):
    pytest.importorskip("qdrant_client")
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(tmp_path / "store"))
    client.create_collection("docs", vectors_config=models.VectorParams(size=2, distance=models.Distance.COSINE))
    client.upsert("docs", [models.PointStruct(id=1, vector=[1.0, 0.0], payload={"page_content": "one"})])
    client.close()
    with pytest.raises(ConfigurationError, match="CreateAliasOperation") as caught:
        run(f"qdrant:{tmp_path / 'store'}#docs", new)
    assert "delete" not in str(caught.value)


@pytest.mark.slow
def test_uris_of_chroma_and_documents_without_metadata_go_along(tmp_path, new):
    chromadb = pytest.importorskip("chromadb")
    client = chromadb.PersistentClient(str(tmp_path / "store"))
    rows = {"ids": ["a", "b"], "documents": ["one", "two"], "uris": ["file:a", None], "metadatas": [None, {"x": 1}]}
    client.create_collection("docs").add(embeddings=[[1.0, 0.0], [0.0, 1.0]], **rows)
    run(tmp_path / "store", new)
    assert check(tmp_path / "store", new).ok
    switch(tmp_path / "store")
    found = chromadb.PersistentClient(str(tmp_path / "store")).get_collection("docs").get(include=["uris", "metadatas"])
    assert (found["uris"], found["metadatas"][1]) == (rows["uris"], {"x": 1})


@pytest.mark.slow
def test_a_key_of_chromas_metadata_that_is_gone_is_gone_in_the_new_index_too(tmp_path, new):
    chromadb = pytest.importorskip("chromadb")
    there = chromadb.PersistentClient(str(tmp_path / "store")).create_collection("docs")
    row = {"ids": ["a"], "documents": ["one"], "embeddings": [[1.0, 0.0]]}
    there.add(**row, metadatas=[{"x": 1, "y": 2}])
    run(tmp_path / "store", new)
    there = chromadb.PersistentClient(str(tmp_path / "store")).get_collection("docs")
    there.delete(["a"])
    there.add(**row, metadatas=[{"x": 1}])
    run(tmp_path / "store", new)
    assert check(tmp_path / "store", new).ok


def test_a_new_index_that_was_deleted_is_built_again_and_not_switched_to(tmp_path, new):
    index = jsonl_file(tmp_path, {"id": 1, "text": "one"})
    (tmp_path / run(index, new).index).unlink()
    with pytest.raises(EmbeddingError, match=r"there is no index 'docs-.*run the migration again"):
        switch(index)
    run(index, new)
    switch(index)


@pytest.mark.slow
def test_a_name_that_is_not_there_leaves_no_journal(tmp_path, new):
    chromadb = pytest.importorskip("chromadb")
    there = chromadb.PersistentClient(str(tmp_path / "store")).create_collection("docs")
    there.add(ids=["a"], documents=["one"], embeddings=[[1.0, 0.0]])
    with pytest.raises(ConfigurationError, match="no index 'dosc'; there is: docs"):
        run(f"chroma:{tmp_path / 'store'}#dosc", new)
    assert plan(tmp_path / "store", new).documents == 1


def test_a_difference_is_told_with_the_ids_of_its_own_kind(tmp_path, new):
    rows = [{"id": name, "text": name} for name in ("gone", "changed", "same")]
    index = jsonl_file(tmp_path, *rows)
    run(index, new)
    jsonl_file(tmp_path, {"id": "changed", "text": "other"}, rows[2], {"id": "late", "text": "late"})
    missing, extra, changed, *_ = check(index, new).faults
    assert ("such as late;" in missing, "such as gone;" in extra, "such as changed;" in changed) == (True,) * 3


@pytest.mark.slow
def test_the_longest_name_of_a_collection_of_chroma_leaves_room_for_the_others(tmp_path, new):
    chromadb = pytest.importorskip("chromadb")
    there = chromadb.PersistentClient(str(tmp_path / "store")).create_collection("n" * 500)
    there.add(ids=["a"], documents=["one"], embeddings=[[1.0, 0.0]])
    address = f"chroma:{tmp_path / 'store'}#{'n' * 500}"
    assert len(run(address, new).index) < 200
    assert switch(address).index == "n" * 500
    back(address)


WRONG_ADDRESSES = (
    *(None, 3, b"x", True, [], "", " ", "a\0b", "x" * 5000, "docs.jsonl#n", "dir.jsonl", "#", "nokind:x", "."),
    *("http://h:99999999", "qdrant:http://[::1#d", "qdrant:http://host:abc#d", "pgvector:postgresql://[::1/x#t"),
    *("chroma:http://[::1", "pgvector:nothing", "chroma:", "lancedb:s3://b#x", "qdrant:", "lancedb:", "jsonl:"),
)


def test_what_is_no_address_is_refused_by_every_function(tmp_path, new, old, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dir.jsonl").mkdir()
    steps = {
        **{step.__name__: (lambda address, step=step: step(address, new)) for step in (plan, run, check)},
        **{step.__name__: step for step in (switch, back)},
        "bench": lambda address: bench(old, new, index=address),
    }
    faults = []
    for address in WRONG_ADDRESSES:
        for name, step in steps.items():
            try:
                step(address)
            except (ConfigurationError, InvalidInputError):
                continue
            except Exception as error:
                faults.append((address, name, error))
            else:
                faults.append((address, name, "nothing was raised"))
    assert faults == []


@pytest.mark.slow
def test_files_that_are_no_index_are_named_with_their_store(tmp_path, new):
    for module in ("chromadb", "lancedb", "faiss", "qdrant_client", "langchain_community", "llama_index.core"):
        pytest.importorskip(module)
    for name in (
        *("chroma/chroma.sqlite3", "storage/docstore.json", "storage/default__vector_store.json"),
        *("faiss/index.faiss", "faiss/index.pkl", "qdrant/meta.json", "qdrant/collection/x", "lance/t.lance/x"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"embedding_dict": {"a": 1')
    (tmp_path / "storage" / "default__vector_store.json").write_text('{"embedding_dict": {"a": [1]}}')
    for folder in ("chroma", "storage", "faiss", "qdrant", "lance"):
        with pytest.raises(EmbeddingError, match=folder):
            plan(tmp_path / folder, new)


def test_wrong_arguments_are_named(tmp_path, new, old):
    index = jsonl_file(tmp_path, {"id": 1, "text": "one"}, {"id": 2, "text": "two"})
    with pytest.raises(ConfigurationError, match="progress is a function"):
        run(index, new, progress=3)
    for options in ({"batch": 1}, {"wait": "x"}, {"batch": True, "queue_tokens": 0}, {"wait": True}):
        with pytest.raises(ConfigurationError, match=next(reversed(options))):
            run(index, new, **options)
    for options in ({"guard": 3}, {"guard": ""}, {"journal": b"x"}, {"journal": "a\0b"}, {"x": 1}):
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            open_index(index, **options)
    for wrong in (None, "fake:8", old.as_langchain()):
        for step in (plan, run, check):
            with pytest.raises(ConfigurationError, match="new model is given as an Embedder"):
                step(index, wrong)
        with pytest.raises(ConfigurationError, match="old model is given as an Embedder"):
            bench(wrong, new, index=index)
    with pytest.raises(InvalidInputError, match="text 0 is int"):
        bench(old, new, index=index, queries=[3])
    with pytest.raises(ConfigurationError, match="queries is empty"):
        bench(old, new, index=index, queries=[])
    for wrong in ((None, print), (index, 3)):
        with pytest.raises(ConfigurationError, match="follow takes the path of an index and a function"):
            follow(*wrong)
    for address in ("chroma:http://joe:hunter2@h#x", "lancedb:s3://key:hunter2@b?token=hunter2#x"):
        with pytest.raises(ConfigurationError) as caught:
            plan(address, new)
        assert "hunter2" not in str(caught.value)


@pytest.mark.slow
def test_a_folder_of_faiss_with_another_name_is_told_with_its_names(tmp_path, new, old):
    pytest.importorskip("langchain_community.vectorstores")
    KINDS["faiss"].write(tmp_path, documents_of(3), old)
    folder = tmp_path / "faiss"
    shutil.move(folder / "index.faiss", folder / "mine.faiss")
    shutil.move(folder / "index.pkl", folder / "mine.pkl")
    with pytest.raises(ConfigurationError, match="#NAME: one of mine"):
        plan(f"faiss:{folder}", new)
    assert plan(f"faiss:{folder}#mine", new).documents == 3


def test_a_guard_beside_its_index_goes_with_the_folder_that_both_are_moved_in(tmp_path, new, old):
    first = tmp_path / "first"
    first.mkdir()
    guard(jsonl_file(first, {"id": 1, "text": "one"}), old)
    run(first / "docs.jsonl", new)
    second = first.rename(tmp_path / "second")
    switch(second / "docs.jsonl")
    guard(second / "docs.jsonl", new)
    with pytest.raises(SpaceMismatchError):
        guard(second / "docs.jsonl", old)
    third = second.rename(tmp_path / "third")
    back(third / "docs.jsonl")
    guard(third / "docs.jsonl", old)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["cache", "third"]


def test_an_index_that_bears_another_name_now_is_not_said_to_be_asked(tmp_path, new):
    index = jsonl_file(tmp_path, {"id": 1, "text": "one"})
    run(index, new)
    moved = index.rename(tmp_path / "other.jsonl")
    with pytest.raises(ConfigurationError, match=r"there is no index 'docs\.jsonl'"):
        back(index)
    moved.rename(index)
    switch(index)
    index.rename(moved)
    assert back(index).kept == ""
    assert "embedding" not in index.read_text()


@pytest.mark.slow
def test_a_file_that_the_new_index_of_llama_index_lacks_is_told_before_the_switch(tmp_path, new, old):
    pytest.importorskip("llama_index.core")
    KINDS["llama-index"].write(tmp_path, documents_of(3), old)
    (tmp_path / run(tmp_path / "storage", new).index / "index_store.json").unlink()
    told = r"index_store\.json is not in the new index as in the old one; run the migration again"
    assert re.search(told, check(tmp_path / "storage", new).faults[0])
    with pytest.raises(EmbeddingError, match=told):
        switch(tmp_path / "storage")
    run(tmp_path / "storage", new)
    assert check(tmp_path / "storage", new).ok
    switch(tmp_path / "storage")
