"""A retriever that is held over a switch is refused by its guard, and never answered from the other model's index."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from embedbridge import Embedder, SpaceMismatchError, guard
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.migration import Index, back, bench, open_index, run, switch
from embedbridge.migration._stores.qdrant import QdrantStore

from .engines import ENGINES, documents_of
from .stores import KINDS

QUESTION = "7 of the ünïcode's texts"
WITHOUT_ASYNC = {"pgvector, LangChain's tables", "pgvector, LangChain's collections"}
"""Made for synchronous calls, objects of these classes refuse the others themselves, or leave connections open."""
FACES = (BridgeEmbeddings, BridgeEmbedding)


def _new(folder: Path) -> Embedder:
    """A model whose vectors are as long as the old one's, which no store can tell apart."""
    return Embedder("fake:32", dimensions=16, cache=folder / "cache")


@pytest.fixture
def index(tmp_path):
    with Embedder("fake:16", cache="memory") as old:
        KINDS["jsonl"].write(tmp_path, [("a", "one", {}), ("b", "two", {})], old)
    return tmp_path / "docs.jsonl"


async def _refused(face: object) -> list[str]:
    """Which calls of an object of ours are refused."""
    calls = {
        BridgeEmbeddings: ("embed_query", "embed_documents", "aembed_query", "aembed_documents"),
        BridgeEmbedding: (
            *(
                "get_query_embedding",
                "get_text_embedding",
                "get_text_embedding_batch",
                "get_agg_embedding_from_queries",
            ),
            *("aget_query_embedding", "aget_text_embedding", "aget_text_embedding_batch"),
        ),
        Embedder: ("embed_query", "embed_documents", "embed", "aembed_query", "aembed_documents", "aembed"),
    }[type(face)]
    refused = []
    for name in calls:
        many = name.endswith(("documents", "batch", "queries", "embed"))
        try:
            found = getattr(face, name)(["one"] if many else "one")
            if asyncio.iscoroutine(found):
                await found
        except SpaceMismatchError:
            refused.append(name)
    if type(face) is Embedder:
        for stream in ("stream", "astream"):
            try:
                if stream == "stream":
                    list(face.stream(["one"]))
                else:
                    assert [each async for each in face.astream(["one"])]
            except SpaceMismatchError:
                refused.append(stream)
    assert len(refused) in {0, len(calls) + 2 * (type(face) is Embedder)}, refused
    return refused


@pytest.mark.parametrize("kind", [*FACES, Embedder])
async def test_each_call_is_refused_after_a_switch_and_answered_after_the_way_back(kind, index):
    held = guard(index, kind("fake:16", cache="memory"))
    copies = [held, pickle.loads(pickle.dumps(held))]  # noqa: S301 - our own
    with _new(index.parent) as new:
        run(index, new)
        assert [await _refused(each) for each in copies] == [[], []]
        switch(index)
        assert all([await _refused(each) for each in copies])
        with pytest.raises(SpaceMismatchError, match=r"docs\.jsonl has moved to another.*migration\.follow") as caught:
            (held.embed_query if hasattr(held, "embed_query") else held.get_query_embedding)("one")
        assert "model" in caught.value.parts
        guard(index, new)
        back(index)
        assert [await _refused(each) for each in copies] == [[], []]
        assert await _refused(new)
        assert run(index, new).written == 2  # which asks for no index
        assert bench(new, new, index=index).overlap.mean == 1


def test_another_object_over_the_same_embedder_goes_on_with_its_own_index(index, tmp_path):
    embedder = Embedder("fake:16", cache="memory")
    moved, other = (guard(place, embedder.as_langchain()) for place in (index, index.with_name("other.jsonl")))
    with _new(tmp_path) as new:
        run(index, new)
        switch(index)
    other.embed_query("one")
    with pytest.raises(SpaceMismatchError):
        moved.embed_query("one")


def test_a_guards_file_that_is_taken_away_from_an_index_refuses_what_was_opened_before(tmp_path):
    (tmp_path / "index").mkdir()
    held = guard(tmp_path / "index", BridgeEmbeddings("fake:16", cache=False))
    (tmp_path / "index" / "embedbridge-space.json").unlink()
    with pytest.raises(SpaceMismatchError, match="was taken away"):
        held.embed_query("one")
    guard(tmp_path / "index", Embedder("fake:32", dimensions=16, cache=False))
    with pytest.raises(SpaceMismatchError, match="has moved"):
        held.embed_query("one")
    (tmp_path / "index" / "embedbridge-space.json").unlink()
    (tmp_path / "index").rmdir()
    assert held.embed_query("one")  # there is no index that could be asked


@pytest.mark.slow
def test_a_switch_by_another_process_is_seen_from_any_working_directory(index, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    held = guard("docs.jsonl", BridgeEmbeddings("fake:16", cache=False))
    with _new(tmp_path) as new:
        run(index, new)
    for step in ("switch", "back"):
        command = [sys.executable, "-W", "ignore", "-m", "embedbridge", "migrate", step, "docs.jsonl"]
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
        monkeypatch.chdir("/")
        if step == "switch":
            with pytest.raises(SpaceMismatchError):
                held.embed_query("one")
    assert held.embed_query("one")


# Real stores.


def _retriever(engine, store, model):
    if not engine.is_llama_index:
        return store.as_retriever(search_kwargs={"k": 1})
    from llama_index.core import VectorStoreIndex

    return VectorStoreIndex.from_vector_store(store, embed_model=model).as_retriever(similarity_top_k=1)


def _asked(engine, retriever):
    found = retriever.retrieve(QUESTION) if engine.is_llama_index else retriever.invoke(QUESTION)
    return [hit.text if engine.is_llama_index else hit.page_content for hit in found]


async def _asked_async(engine, retriever):
    if isinstance(retriever, BridgeEmbeddings):
        return await retriever.aembed_query(QUESTION)
    found = await (retriever.aretrieve(QUESTION) if engine.is_llama_index else retriever.ainvoke(QUESTION))
    return [hit.text if engine.is_llama_index else hit.page_content for hit in found]


def _opened_with(engine, client, _, name, model):
    """A store of Qdrant's over a client that is open."""
    if not engine.is_llama_index:
        from langchain_qdrant import QdrantVectorStore

        return QdrantVectorStore(client, name, model)
    from llama_index.vector_stores.qdrant import QdrantVectorStore as OfLlamaIndex

    return OfLlamaIndex(client=client, collection_name=name)


def _written(engine, store, model):
    if not engine.is_llama_index:
        return store.add_texts(["a late one"], [{"text": "a", "n": 99}], ids=["6f1f2c2e-7a52-4d0c-9b1a-0a3d1c2b4e5f"])
    from llama_index.core import VectorStoreIndex
    from llama_index.core.schema import TextNode

    index = VectorStoreIndex.from_vector_store(store, embed_model=model)
    return index.insert_nodes([TextNode(text="a late one")])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ENGINES)
def test_a_retriever_that_asks_by_name_is_refused_over_a_switch(name, tmp_path, request):
    engine = ENGINES[name]
    pytest.importorskip(engine.needs, reason=f"needs {engine.needs}, of the extra 'stores'")
    place = request.getfixturevalue("postgres") if engine.kind == "pgvector" else str(tmp_path / "store")
    old, new = Embedder("fake:16", cache="memory"), _new(tmp_path)
    engine.fill(place, "docs", documents_of({"text": "a"}, 12), old)
    kept, journal = tmp_path / "guarded", tmp_path / "docs.db"
    face = old.as_llama_index() if engine.is_llama_index else old.as_langchain()
    store = engine.opened(place, "docs", face)
    held = guard(kept, _retriever(engine, store, face))
    if engine.kind == "qdrant":  # its local mode lets one client have the folder, as a server would let two
        client = store.client
        index = Index(QdrantStore(Path(place), place, "docs", client, "page_content"), journal, kept)
    else:
        index = open_index(engine.address(place, "docs"), journal=journal, guard=kept)
    right = _asked(engine, held)
    run(index, new)
    assert _asked(engine, held) == right
    switch(index)
    for ask in (
        lambda: _asked(engine, held),
        lambda: asyncio.run(_asked_async(engine, held if name not in WITHOUT_ASYNC else face)),
        lambda: _written(engine, store, face),
    ):
        with pytest.raises(SpaceMismatchError, match="has moved to another model"):
            ask()
    ours = new.as_llama_index() if engine.is_llama_index else new.as_langchain()
    opened = engine.opened if engine.kind != "qdrant" else partial(_opened_with, engine, store.client)
    after = guard(kept, _retriever(engine, opened(place, "docs", ours), ours))
    assert len(_asked(engine, after)) == 1
    back(index)
    with pytest.raises(SpaceMismatchError, match="has moved to another model"):
        _asked(engine, after)
    assert _asked(engine, held) == right
