"""An index that was built with one model is never queried with another, in either framework."""

from __future__ import annotations

import json
from contextlib import ExitStack

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder, SpaceMismatchError, VectorSpace, guard
from embedbridge._core.canary import TEXTS, Canary
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding

DOCUMENTS = ["Ravens plan ahead.", "Rye needs cold winters.", "Tides follow the moon."]


def built_with(model, **options):
    return BridgeEmbeddings(model=model, cache=False, **options)


# Folders and files.


def test_the_first_use_of_a_folder_decides_and_every_later_one_is_compared(tmp_path):
    embedder = Embedder("fake:8", cache=False)
    assert guard(tmp_path / "index", embedder) is embedder
    assert guard(tmp_path / "index", Embedder("fake:8", cache=False, batch_size=3)).options.batch_size == 3
    with pytest.raises(SpaceMismatchError, match=r"index was built otherwise.*model: '16' here, '8' there") as caught:
        guard(tmp_path / "index", Embedder("fake:16", cache=False))
    assert caught.value.parts == ("model",)


@pytest.mark.parametrize(
    ("option", "part"),
    [
        ({"dimensions": 4}, "dimensions"),
        ({"normalize": True}, "normalize"),
        ({"query_prefix": "query: "}, "routes"),
        ({"too_long": "mean", "provider_options": {"max_tokens": 5}}, "too_long"),
    ],
)
def test_an_option_that_decides_vectors_counts_as_much_as_the_model(tmp_path, option, part):
    guard(tmp_path, Embedder("fake:8", cache=False))
    with pytest.raises(SpaceMismatchError) as caught:
        guard(tmp_path, Embedder("fake:8", cache=False, **option))
    assert caught.value.parts == (part,)


def test_the_models_own_width_may_be_named_or_not(tmp_path):
    guard(tmp_path, Embedder("fake:8", cache=False))
    guard(tmp_path, Embedder("fake:8", cache=False, dimensions=8))


def test_an_index_that_is_one_file_has_its_space_beside_it(tmp_path):
    (tmp_path / "index.faiss").write_bytes(b"")
    guard(tmp_path / "index.faiss", Embedder("fake:8", cache=False))
    guard(tmp_path / "other.faiss", Embedder("fake:16", cache=False))
    with pytest.raises(SpaceMismatchError):
        guard(tmp_path / "index.faiss", Embedder("fake:16", cache=False))
    assert VectorSpace.load(tmp_path / "index.faiss.embedbridge-space.json").model == "8"


def test_a_damaged_or_foreign_space_is_named_and_not_replaced(tmp_path):
    file = tmp_path / "embedbridge-space.json"
    for text in ("", "{}", "[1]", '{"embedbridge_space": 99}'):
        file.write_text(text)
        with pytest.raises(SpaceMismatchError, match=r"embedbridge-space\.json"):
            guard(tmp_path, Embedder("fake:8", cache=False))
        assert file.read_text() == text


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        guard(tmp_path / "file" / "index", Embedder("fake:8", cache=False))


@pytest.mark.parametrize("index", ["", None, 3])
def test_an_index_is_somewhere(tmp_path, monkeypatch, index):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="say where the index is kept"):
        guard(index, Embedder("fake:8", cache=False))
    assert list(tmp_path.iterdir()) == []


def test_what_embeds_without_us_has_no_known_space(tmp_path):
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.vectorstores import InMemoryVectorStore

    foreign = DeterministicFakeEmbedding(size=8)
    with pytest.raises(ConfigurationError, match="InMemoryVectorStore does not embed with embedbridge"):
        guard(tmp_path, InMemoryVectorStore(foreign))
    assert list(tmp_path.iterdir()) == []
    guard(tmp_path, InMemoryVectorStore(BridgeEmbeddings.wrap(foreign, name="size-8", cache=False)))


# The frameworks' own indexes, stored and read again.


def test_a_langchain_store_read_from_disk_is_not_queried_with_another_model(tmp_path):
    from langchain_core.vectorstores import InMemoryVectorStore

    store = guard(tmp_path / "store.json", InMemoryVectorStore.from_texts(DOCUMENTS, built_with("fake:64")))
    store.dump(str(tmp_path / "store.json"))

    again = InMemoryVectorStore.load(str(tmp_path / "store.json"), built_with("fake:64"))
    retriever = guard(tmp_path / "store.json", again.as_retriever(search_kwargs={"k": 1}))
    assert retriever.invoke(DOCUMENTS[1])[0].page_content == DOCUMENTS[1]

    wrong = InMemoryVectorStore.load(str(tmp_path / "store.json"), built_with("fake:64", query_prefix="query: "))
    with pytest.raises(SpaceMismatchError, match="routes"):
        guard(tmp_path / "store.json", wrong.as_retriever())


def test_a_folder_that_faiss_reads_is_not_queried_with_another_model(tmp_path):
    import faiss

    folder, embedder = tmp_path / "faiss", guard(tmp_path / "faiss", Embedder("fake:64", cache=False))
    index = faiss.IndexFlatIP(64)
    index.add(embedder.embed_documents(DOCUMENTS))
    faiss.write_index(index, str(folder / "index.faiss"))

    again = guard(folder, Embedder("fake:64", cache=False))
    _, found = faiss.read_index(str(folder / "index.faiss")).search(again.embed_query(DOCUMENTS[2])[np.newaxis], 1)
    assert found.tolist() == [[2]]
    with pytest.raises(SpaceMismatchError):
        guard(folder, Embedder("fake:64", cache=False, normalize=True))


def test_a_llama_index_folder_is_not_queried_with_another_model(tmp_path):
    from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
    from llama_index.core.schema import TextNode

    def model(**options):
        return BridgeEmbedding(model="fake:64", cache=False, **options)

    index = VectorStoreIndex([TextNode(text=text) for text in DOCUMENTS], embed_model=model())
    guard(tmp_path, index).storage_context.persist(str(tmp_path))

    def stored(embed_model):
        return load_index_from_storage(StorageContext.from_defaults(persist_dir=str(tmp_path)), embed_model=embed_model)

    retriever = guard(tmp_path, stored(model()).as_retriever(similarity_top_k=1))
    assert retriever.retrieve(DOCUMENTS[0])[0].node.get_content() == DOCUMENTS[0]
    for wrong in (stored(model(dimensions=32)), stored(model(dimensions=32)).as_retriever()):
        with pytest.raises(SpaceMismatchError, match="dimensions"):
            guard(tmp_path, wrong)


# Canary vectors.


@pytest.fixture
def hosted(server):
    """Another embedder each time, as in another process, of a model behind an API."""
    with ExitStack() as stack:

        def connect(**options):
            given = {"base_url": f"{server.url}/v1", "api_key": "sk-test"} | options
            return stack.enter_context(Embedder("openai:text-embedding-3-small", **given))

        yield connect


def test_canaries_are_asked_of_the_provider_whatever_the_cache_has(tmp_path, server, hosted):
    embedder = hosted(cache=tmp_path)
    embedder.embed(list(TEXTS))
    server.reset()
    first, second = embedder.canary(), embedder.canary()
    assert first.drift(second) == pytest.approx(0, abs=1e-6)
    assert first.vectors.shape == (len(TEXTS), 1536)
    assert len(server.requests) == 2
    assert embedder.embed(["another"]).report.misses == 1


def test_nothing_of_a_canary_is_put_into_the_cache(tmp_path, hosted, caller):
    """C17: it has an async twin."""
    embedder = hosted(cache=tmp_path)
    assert np.array_equal(caller.call(embedder, "canary").vectors, embedder.canary().vectors)
    assert embedder.embed([TEXTS[0]]).report.misses == 1


def test_a_model_that_was_changed_behind_its_name_is_noticed(tmp_path, server, hosted, monkeypatch):
    guard(tmp_path, hosted(), canary=True)
    guard(tmp_path, hosted(), canary=True)
    work = server._work

    async def changed(request, *others):
        request.read = [f"{item} " for item in request.read]
        return await work(request, *others)

    monkeypatch.setattr(server, "_work", changed)
    guard(tmp_path, hosted())
    with pytest.raises(SpaceMismatchError, match="changed behind its name") as caught:
        guard(tmp_path, hosted(), canary=True)
    assert caught.value.parts == ("canary",)


def test_canaries_can_be_added_to_an_index_that_has_none(tmp_path, server, hosted):
    guard(tmp_path, hosted())
    assert len(server.requests) == 0
    assert Canary.load(tmp_path / "embedbridge-space.json") is None
    guard(tmp_path, hosted(), canary=True)
    assert len(server.requests) == 1
    assert Canary.load(tmp_path / "embedbridge-space.json") is not None


def test_noise_of_rounding_is_no_change_and_other_vectors_are():
    vectors = Embedder("fake:256", cache=False).canary().vectors
    noise = np.random.default_rng(0).normal(0, 0.003, vectors.shape).astype(np.float32)
    Canary(vectors + noise).check(Canary(vectors))
    Canary(vectors * 3).check(Canary(vectors))
    for other in (vectors[::-1], -vectors, vectors[:, :128], np.full_like(vectors, np.nan)):
        with pytest.raises(SpaceMismatchError):
            Canary(other).check(Canary(vectors))


def test_canaries_are_kept_to_the_last_bit(tmp_path):
    embedder = Embedder("fake:8", cache=False)
    embedder.space.save(tmp_path / "space.json", canary=embedder.canary())
    assert np.array_equal(Canary.load(tmp_path / "space.json").vectors, embedder.canary().vectors)
    embedder.space.check(tmp_path / "space.json")


def test_a_space_without_canaries_or_with_damaged_ones_is_named(tmp_path):
    embedder, file = Embedder("fake:8", cache=False), tmp_path / "space.json"
    embedder.space.save(file)
    with pytest.raises(SpaceMismatchError, match="holds no canary"):
        embedder.canary().check(file)
    stored = json.loads(file.read_text())
    for canary in ({}, {"format": 2, "vectors": ""}, {"format": 1, "vectors": "AAAA"}, 7):
        file.write_text(json.dumps(stored | {"canary": canary}))
        with pytest.raises(SpaceMismatchError):
            embedder.canary().check(file)


@pytest.mark.slow
def test_real_models_of_the_same_width_are_told_apart_and_the_same_one_is_not(minilm_path, e5_path):
    def canary(path, **options):
        return Embedder(f"local:{path}", cache=False, provider_options=options).canary()

    minilm = canary(minilm_path)
    minilm.check(canary(minilm_path, dtype="bfloat16"))
    assert canary(e5_path).drift(minilm) > 0.5
