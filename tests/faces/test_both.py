"""What holds for both faces: one cache, one embedder behind several, copies, pickles and dumps without secrets."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import pickle
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from llama_index.core import MockEmbedding

from embedbridge import ConfigurationError, Embedder, MissingExtraError
from embedbridge._frameworks.face import alists
from embedbridge.cache import MemoryCache
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.options import EmbedderOptions
from embedbridge.providers.fake import fake_vectors
from embedbridge.providers.openai import OpenAIProvider
from faults.apis import APIS

from .conftest import aquery_vector, document_vectors, query_vector

KEY = "sk-test-51d1f9c2"


def test_index_with_one_framework_query_with_the_other_and_pay_once(cache):
    texts = [f"text {number}" for number in range(300)]
    ours = BridgeEmbeddings(model="fake:8", cache=cache)
    theirs = BridgeEmbedding(model="fake:8", cache=cache)
    assert ours.embed_documents(texts) == theirs.get_text_embedding_batch(texts)
    assert ours.embed_query("text 7") == theirs.get_query_embedding("text 7")
    assert theirs.embedder.usage.requests == 0
    assert ours.embedder.usage.misses == 300


TEXTS = ["Ravens plan ahead.", "Rye needs cold winters."]


@pytest.mark.parametrize("api", APIS, ids=str)
def test_both_frameworks_give_the_bytes_of_the_core_whatever_the_api(api, server):
    with api.embedder(server) as embedder:
        documents, query = embedder.embed_documents(TEXTS), embedder.embed_query(TEXTS[0])
        for face in (embedder.as_langchain(), embedder.as_llama_index()):
            assert np.float32(document_vectors(face, TEXTS)).tobytes() == documents.tobytes()
            assert np.float32(query_vector(face, TEXTS[0])).tobytes() == query.tobytes()


def test_the_embedder_that_an_applications_class_chooses_is_asked(face):
    chosen = Embedder("fake:8", cache=False)

    class Chooses(face):
        @property
        def embedder(self):
            return chosen

    chooses = Chooses(model="fake:4", cache=False)
    assert len(query_vector(chooses, "a")) == len(document_vectors(chooses, ["a"])[0]) == 8


def test_vectors_are_lists_of_plain_floats(face):
    vector = query_vector(face(model="fake:8", cache=False), "a")
    assert type(vector) is list
    assert {type(number) for number in vector} == {float}
    assert vector == fake_vectors(["a"], 8)[0].tolist()


def test_a_second_identical_question_makes_no_request(face, cache):
    made = face(model="fake:8", cache=cache)
    assert query_vector(made, "who?") == query_vector(made, "who?")
    assert made.embedder.usage.requests == 1


def test_faces_of_one_embedder_share_all_it_has():
    embedder = Embedder("fake:8", cache=False)
    ours, theirs = embedder.as_langchain(), embedder.as_llama_index()
    assert ours.embedder is theirs.embedder is embedder
    assert ours.as_llama_index().as_langchain().embedder is embedder
    ours.embed_query("a")
    assert theirs.embedder.usage.requests == 1
    assert ours.model == theirs.model == theirs.model_name == "fake:8"


@pytest.mark.parametrize(
    "theirs", [DeterministicFakeEmbedding(size=8), MockEmbedding(8)], ids=lambda made: type(made).__name__
)
def test_any_object_of_the_framework_gains_the_cache(theirs, cache):
    kind = BridgeEmbeddings if isinstance(theirs, Embeddings) else BridgeEmbedding
    made = kind.wrap(theirs, name="v1", cache=cache)
    assert made.model == f"{kind.framework}:v1"
    expected = document_vectors(theirs, ["a", "b"]) if kind is BridgeEmbedding else theirs.embed_documents(["a", "b"])
    for _ in range(2):
        np.testing.assert_allclose(document_vectors(made, ["a", "b"]), expected, rtol=1e-6)
    assert made.embedder.usage.requests == 1
    with pytest.raises(ConfigurationError, match=r"use wrap\(…, name='v1'\)"):
        kind(model=made.model, provider_options=made.model_dump()["provider_options"])


async def test_langchains_async_methods_never_block_the_event_loop():
    made = BridgeEmbeddings(model="fake:8", cache=False, provider_options={"latency": 0.2})
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    for call in (made.aembed_query("a"), made.aembed_documents(["b"])):
        before = ticks
        await call
        assert ticks - before >= 2
    ticking.cancel()


async def test_an_sdk_is_loaded_beside_the_event_loop_once_for_all_requests(face, server, monkeypatch):
    threads, connect = [], OpenAIProvider.connect

    def seen(provider, transport, *, blocking):
        threads.append(threading.current_thread())
        return connect(provider, transport, blocking=blocking)

    monkeypatch.setattr(OpenAIProvider, "connect", seen)
    made = face(model="openai:text-embedding-3-small", api_key=KEY, base_url=f"{server.url}/v1", cache=False)
    await asyncio.gather(*(aquery_vector(made, f"text {number}") for number in range(3)))
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
    await made.embedder.aclose()


def test_short_event_loops_leave_no_connection_behind(face, server):
    made = face(model="openai:text-embedding-3-small", api_key=KEY, base_url=f"{server.url}/v1", cache=False)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for number in range(3):
            asyncio.run(aquery_vector(made, f"text {number}"))
        gc.collect()
    assert [str(warning.message) for warning in told if warning.category is ResourceWarning] == []
    assert len(server.requests) == 3


async def test_many_vectors_become_lists_while_the_event_loop_goes_on():
    vectors = np.random.default_rng(0).standard_normal((2000, 1024), np.float32)
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert await alists(vectors) == vectors.tolist()
    assert await alists(np.empty((0, 0), np.float32)) == []
    assert turns >= 7
    counting.cancel()


def test_an_option_cannot_be_changed_to_no_effect(face):
    made = face(model="fake:8", cache=False)
    with pytest.raises(ConfigurationError, match=r"take a copy: model_copy\(update=\{'dimensions': …\}\)"):
        made.dimensions = 4
    assert len(query_vector(made.model_copy(update={"dimensions": 4}), "a")) == 4
    assert len(query_vector(made, "a")) == 8


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])  # noqa: S301
def test_a_clone_works_like_its_original(face, cache, clone):
    made = face(model="fake:8", cache=cache, dimensions=4, batch_size=3, query_prefix="ask: ")
    again = clone(made)
    assert type(again) is face
    assert again.embedder.options.shared() == made.embedder.options.shared()
    assert query_vector(again, "a") == query_vector(made, "a")


def test_a_deepcopy_keeps_the_key_and_has_an_embedder_of_its_own(face):
    made = face(model="openai:text-embedding-3-small", api_key=KEY)
    again = copy.deepcopy(made)
    assert again.api_key.get_secret_value() == KEY
    assert again.embedder is not made.embedder


def test_a_pickle_holds_no_key_and_takes_the_environments(face, monkeypatch):
    pickled = pickle.dumps(face(model="openai:text-embedding-3-small", api_key=KEY))
    assert KEY.encode() not in pickled
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-other-process")
    again = pickle.loads(pickled)  # noqa: S301 - our own
    assert again.embedder._parts.provider.key.get_secret_value() == "sk-of-the-other-process"


def test_a_pickle_of_bare_options_holds_no_key():
    options = EmbedderOptions(model="openai:x", api_key=KEY, base_url="http://user:word@localhost:1/v1")
    pickled = pickle.dumps(options)
    assert KEY.encode() not in pickled
    assert b"word" not in pickled
    again = pickle.loads(pickled)  # noqa: S301 - our own
    assert again.shared() == options.shared() | {"api_key": None, "base_url": "http://localhost:1/v1"}
    assert copy.deepcopy(options).api_key.get_secret_value() == KEY


def test_threads_that_use_a_pickled_face_at_once_share_one_embedder(face):
    again = pickle.loads(pickle.dumps(face(model="fake:8", cache=False)))  # noqa: S301 - our own
    start, switching = threading.Barrier(8), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: start.wait() is None or again.embedder, range(8)))
    finally:
        sys.setswitchinterval(switching)
    assert {id(embedder) for embedder in made} == {id(again.embedder)}


def test_a_pickle_without_a_key_is_read_and_fails_at_the_first_call(face):
    pickled = pickle.dumps(face(model="openai:text-embedding-3-small", api_key=KEY))
    again = pickle.loads(pickled)  # noqa: S301 - our own; an error here would hang a pool of processes
    with pytest.raises(ConfigurationError, match="set the environment variable OPENAI_API_KEY"):
        query_vector(again, "a")


def test_no_key_is_shown_anywhere(face, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for made in (face(model="openai:text-embedding-3-small"), face(model="openai:text-embedding-3-small", api_key=KEY)):
        assert made.api_key.get_secret_value() == KEY
        shown = [repr(made), str(made), repr(made.model_dump()), made.model_dump_json(), repr(made.embedder)]
        if isinstance(made, BridgeEmbedding):
            shown += [repr(made.to_dict()), made.to_json(), repr(made.to_payload())]
        assert not any(KEY in text for text in shown)


def test_a_dump_makes_the_same_again(face, tmp_path):
    made = face(
        model="fake:8",
        cache=tmp_path,
        dimensions=4,
        normalize=True,
        query_prefix="ask: ",
        too_long="mean",
        batch_size=9,
    )
    dumped = json.loads(made.model_dump_json())
    again = face(**dumped)
    assert face.model_validate(made) is made
    assert again.embedder.space == made.embedder.space
    assert again.embedder.options.shared() == made.embedder.options.shared() | {"cache": str(tmp_path)}


def test_the_options_have_a_json_schema(face):
    properties = face.model_json_schema()["properties"]
    assert properties["batch_size"]["anyOf"][0] == {"minimum": 1, "type": "integer"}
    assert "observers" not in properties


def test_objects_that_data_cannot_hold_are_left_out_of_a_dump(face):
    made = face(model="fake:8", cache=MemoryCache(), observers=[print])
    dumped = made.model_dump()
    assert dumped["cache"] is True
    assert dumped["observers"] == []


def test_errors_of_construction_are_the_embedders_own(face, monkeypatch):
    with pytest.raises(ConfigurationError, match=r"^unknown option 'dimension'; did you mean 'dimensions'\?"):
        face(model="fake:8", dimension=4)
    with pytest.raises(ConfigurationError, match=r"^api_key: a function cannot be called for each request"):
        face(model="openai:text-embedding-3-small", api_key=lambda: KEY)
    with pytest.raises(ConfigurationError, match=r"^'openai' needs a key"):
        face(model="openai:text-embedding-3-small")
    monkeypatch.setattr("embedbridge.providers.base.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r'pip install "embedbridge\[cohere\]"'):
        face(model="cohere:embed-v4.0", api_key=KEY)


def test_documents_of_any_kind_of_list_are_taken_and_a_bare_string_is_not(face):
    made = face(model="fake:8", cache=False)
    assert document_vectors(made, (text for text in ("a", "b"))) == document_vectors(made, ["a", "b"])
    assert document_vectors(made, []) == []
    with pytest.raises(ValueError, match=r"write \[text\]"):
        document_vectors(made, "abc")
