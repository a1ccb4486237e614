"""What a caller may rely on, whichever way it calls: every test here runs through threads and through an event loop."""

from __future__ import annotations

import asyncio
import collections
import copy
import itertools
import json
import os
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from langchain_core.embeddings import Embeddings

from cache.parts import older_half
from embedbridge import (
    AuthenticationError,
    ConfigurationError,
    Embedder,
    InvalidInputError,
    InvalidResponseError,
    SpaceMismatchError,
    events,
)
from embedbridge._core import packing
from embedbridge.cache import DiskCache, MemoryCache
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.providers import fake
from embedbridge.providers.fake import fake_vectors
from embedbridge.testing import contains
from embedbridge.testing.limits import Latency
from support.cases import each
from support.waiting import interrupt_once


def truth(*texts, width=8):
    return fake_vectors(list(texts), width)


@pytest.fixture
def embedder(tmp_path):
    return Embedder("fake:8", cache=tmp_path)


def test_each_vector_belongs_to_its_text(caller, embedder):
    result = caller.embed(embedder, ["b", "a", "b", "c"])
    assert np.array_equal(result.vectors, truth("b", "a", "b", "c"))
    assert result.vectors.dtype == np.float32
    assert (result.report.texts, result.report.unique, result.report.misses) == (4, 3, 3)


def test_equal_texts_do_not_share_memory(caller, embedder):
    vectors = caller.embed_documents(embedder, ["a", "a"])
    vectors[0] = 0
    assert np.array_equal(vectors[1], truth("a")[0])


def test_what_was_embedded_once_is_never_asked_for_again(caller, tmp_path):
    with Embedder("fake:8", cache=tmp_path) as first:
        caller.embed(first, ["a", "b"])
    again = caller.embed(Embedder("fake:8", cache=tmp_path), ["b", "c", "a"]).report
    assert (again.hits, again.misses, again.requests) == (2, 1, 1)


def test_a_query_is_cached_too(caller, embedder):
    vector = caller.embed_query(embedder, "q")
    assert vector.shape == (8,)
    assert caller.embed(embedder, ["q"], input_type="query").report.requests == 0


@pytest.mark.parametrize(
    "texts",
    [
        ("a", "b"),
        collections.deque(["a", "b"]),
        np.array(["a", "b"]),
        pd.Series(["a", "b"]),
        dict.fromkeys(["a", "b"]).keys(),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_any_sequence_of_texts_is_read(caller, embedder, texts):
    if isinstance(texts, collections.abc.Set):
        with pytest.raises(InvalidInputError):
            caller.embed(embedder, texts)
    else:
        assert np.array_equal(caller.embed_documents(embedder, texts), truth("a", "b"))


def test_a_generator_is_read_once(caller, embedder):
    source = (letter for letter in "ab")
    assert np.array_equal(caller.embed_documents(embedder, source), truth("a", "b"))
    assert next(source, None) is None


def test_no_texts_make_no_request_and_a_matrix_of_the_right_width(caller, embedder):
    result = caller.embed(embedder, [])
    assert result.vectors.shape == (0, 8)
    assert result.report.requests == 0


@each(
    ("texts", "index", "said"),
    [
        ("hello", None, r"\[text\]"),
        (None, None, "None"),
        (b"hello", None, "bytes"),
        (7, None, "int"),
        ({"a": 1}, None, "dict"),
        (["a", 3], 1, "text 1 is int"),
        (["a", None], 1, "text 1 is None"),
        (["a", b"b"], 1, "text 1 is bytes"),
        (["a", float("nan")], 1, "text 1 is float"),
        (["a", ""], 1, "empty"),
        (["a", " \n\t"], 1, "empty"),
        (["a", "b\ud800"], 1, "surrogate"),
    ],
)
def test_a_bad_text_is_named_before_anything_is_sent(caller, texts, index, said):
    seen = []
    embedder = Embedder("fake:8", cache=False, observers=[seen.append])
    with pytest.raises(InvalidInputError, match=said) as caught:
        caller.embed(embedder, texts)
    assert caught.value.index == index
    assert seen == []


def test_a_bad_query_and_a_bad_input_type_are_named(caller, embedder):
    with pytest.raises(InvalidInputError, match="list"):
        caller.embed_query(embedder, ["q"])
    with pytest.raises(InvalidInputError, match="query, document, classification, clustering"):
        caller.embed(embedder, ["q"], input_type="question")


def test_an_empty_text_can_become_a_zero_vector(caller):
    embedder = Embedder("fake:8", cache=False, empty="zero")
    result = caller.embed(embedder, ["", "a", "  "])
    assert np.array_equal(result.vectors, np.stack([np.zeros(8), truth("a")[0], np.zeros(8)]))
    assert result.report.empty == (0, 2)
    assert caller.embed(embedder, ["", " "]).vectors.shape == (2, 8)


@each(
    ("model", "options", "said"),
    [
        ("openal:x", {}, "did you mean 'openai'"),
        ("fake", {}, "provider:model"),
        (":x", {}, "provider:model"),
        ("fake:wide", {}, "its dimensions, up to"),
        ("fake:8", {"dimension": 4}, "did you mean 'dimensions'"),
        ("fake:8", {"too_long": "cut"}, "'truncate', 'error' or 'mean'"),
        ("fake:8", {"timeout": 0}, "timeout"),
        ("fake:8", {"dimensions": 9}, "more than it has"),
        ("fake:8", {"cache": 3}, "cache"),
        ("fake:8", {"provider_options": {"speed": 1}}, "latency"),
        ("local:all-MiniLM-L6-v2", {"provider_options": {"trust_remote_code": True}}, "revision"),
        ("local:./nowhere", {}, "no model folder"),
    ],
)
def test_a_bad_option_fails_at_construction_and_says_what_to_write(model, options, said):
    with pytest.raises(ConfigurationError, match=said):
        Embedder(model, **options)


def test_sync_calls_work_inside_a_running_event_loop(embedder):
    async def notebook_cell():
        return embedder.embed_query("q")

    assert np.array_equal(asyncio.run(notebook_cell()), truth("q")[0])


def test_many_threads_share_one_embedder(embedder):
    lists = [[f"text {i}", f"text {i + 1}"] for i in range(40)]
    with ThreadPoolExecutor(16) as pool:
        for texts, vectors in zip(lists, pool.map(embedder.embed_documents, lists), strict=True):
            assert np.array_equal(vectors, truth(*texts))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_goes_on_with_its_parents_embedder(embedder):
    embedder.embed_query("before")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        result = embedder.embed(["before", "after"])
        os.write(writing, json.dumps([result.report.hits, result.vectors.tolist()]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        hits, vectors = json.loads(answer.read())
    os.waitpid(child, 0)
    assert hits == 1
    assert np.array_equal(np.array(vectors, dtype=np.float32), truth("before", "after"))


def test_one_text_asked_for_by_fifty_at_once_is_asked_for_once(caller):
    embedder = Embedder("fake:8", cache=False, provider_options={"latency": 1.0})
    results = caller.at_once(embedder, [["same"]] * 50)
    assert sum(result.report.requests for result in results) == 1
    assert all(np.array_equal(result.vectors, truth("same")) for result in results)


def test_dimensions_are_cut_and_brought_to_unit_length(caller, tmp_path):
    wide = caller.embed_documents(Embedder("fake:8", cache=tmp_path), ["a"])
    embedder = Embedder("fake:8", cache=tmp_path, dimensions=4)
    result = caller.embed(embedder, ["a"])
    assert np.allclose(result.vectors, wide[:, :4] / np.linalg.norm(wide[:, :4]), atol=1e-7)
    assert result.report.requests == 0


def test_entries_of_half_the_size_are_read_by_those_alone_who_ask_for_rounded_numbers(caller, tmp_path):
    rounded = Embedder("fake:16", cache=tmp_path, cache_dtype="float16")
    vectors = caller.embed(rounded, ["a"]).vectors
    assert 0 < np.abs(caller.embed(rounded, ["a"]).vectors - vectors).max() < 1 / 2048
    exact = Embedder("fake:16", cache=tmp_path)
    assert [caller.embed(exact, ["a"]).report.hits for _ in range(2)] == [0, 1]
    assert np.array_equal(caller.embed(rounded, ["a"]).vectors, vectors)  # by now the exact ones are there
    assert rounded.space.fingerprint == exact.space.fingerprint


class Tiny(Embeddings):
    """An object of LangChain's kind that gives vectors of tiny numbers."""

    def __init__(self, size):
        self.vector, self.calls = [1 * size, 2 * size, 3 * size], 0

    def embed_documents(self, texts):
        self.calls += 1
        return [self.vector] * len(texts)

    def embed_query(self, text):
        return self.embed_documents([text])[0]


@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-19, 1e-30, 1e-40])
def test_vectors_of_tiny_numbers_have_unit_length_and_come_from_the_cache_as_they_went_in(caller, tmp_path, size):
    """In float16 they became zeros, and squares of such numbers are zero in float32."""
    tiny = Tiny(size)
    embedder = BridgeEmbeddings.wrap(tiny, name="tiny", cache=tmp_path, cache_dtype="float16", normalize=True).embedder
    for _ in range(2):
        assert np.allclose(caller.embed(embedder, ["a"]).vectors, np.array([[1, 2, 3]]) / 14**0.5, rtol=1 / 1000)
        assert caller.embed(embedder, ["a"]).report.hits == 1
    assert tiny.calls == 1


def test_an_entry_of_an_earlier_release_that_may_have_lost_its_vector_is_asked_for_once_more(caller, tmp_path):
    """Zeros in float16 without a factor cannot be told from numbers that were too small for it."""
    tiny = Tiny(1e-9)
    embedder = BridgeEmbeddings.wrap(tiny, name="tiny", cache=tmp_path, cache_dtype="float16").embedder
    caller.embed(embedder, ["a", "b"])
    with closing(DiskCache(tmp_path)) as cache:
        lost, whole = (row.key for rows in cache.rows() for row in rows)
        cache.put_many({lost: older_half(lost, [0, 0, 0]), whole: older_half(whole, [1, 2, 3])})
    hits = [caller.embed(embedder, ["a", "b"]).report.hits for _ in range(2)]
    assert (hits, tiny.calls) == ([1, 2], 2)
    assert sorted(caller.embed(embedder, ["a", "b"]).vectors[:, 0].round(3).tolist()) == [0, 1]


def test_an_estimate_sends_nothing_and_knows_the_cache(embedder, caller):
    """C17: as a coroutine too."""
    embedder.embed(["a"])
    estimate = caller.call(embedder, "estimate", ["a", "b", "c", "a"])
    assert (estimate.texts, estimate.cached, estimate.requests) == (4, 2, 1)
    assert embedder.embed(["b", "c"]).report.misses == 2


def test_a_stream_has_no_end_and_keeps_the_order(embedder):
    endless = (f"text {i}" for i in iter(int, 1))
    stream = embedder.stream(endless, chunk_size=3)
    assert np.array_equal(next(stream).vectors, truth("text 0", "text 0", "text 0"))
    chunks = [result.vectors for result in embedder.stream(iter("abcde"), chunk_size=2)]
    assert [len(chunk) for chunk in chunks] == [2, 2, 1]
    assert np.array_equal(np.concatenate(chunks), truth(*"abcde"))


def test_events_tell_the_story_and_hold_no_text(caller):
    seen = []
    embedder = Embedder("fake:8", cache=False, observers=[seen.append])
    caller.embed(embedder, ["my secret text"])
    assert [type(event) for event in seen] == [
        events.CallStarted,
        events.CacheRead,
        events.BatchFinished,
        events.CallFinished,
    ]
    assert "my secret text" not in repr(seen)


def test_a_failing_observer_does_not_fail_the_call(caller, caplog):
    def observer(_):
        raise ZeroDivisionError

    embedder = Embedder("fake:8", cache=False, observers=[observer])
    caller.embed(embedder, ["a"])
    assert caplog.text.count("an observer failed") == 1


def test_usage_adds_up_over_calls(caller, embedder):
    caller.embed(embedder, ["a", "b"])
    caller.embed(embedder, ["b", "c"])
    assert (embedder.usage.texts, embedder.usage.misses, embedder.usage.hits) == (4, 3, 1)


def test_a_copy_and_a_pickle_give_the_same_vectors_and_hold_no_key(embedder):
    keyed = Embedder("openai:a-model", cache=False, api_key="sk-very-secret")
    assert b"sk-very-secret" not in pickle.dumps(keyed)
    assert copy.deepcopy(keyed).options.api_key.get_secret_value() == "sk-very-secret"
    for twin in (copy.deepcopy(embedder), pickle.loads(pickle.dumps(embedder))):  # noqa: S301 - our own
        assert np.array_equal(twin.embed_query("a"), truth("a")[0])


def test_a_cache_of_the_users_own_stays_open(caller):
    cache = MemoryCache()
    with Embedder("fake:8", cache=cache) as embedder:
        embedder.embed(["a"])
    assert caller.embed(Embedder("fake:8", cache=cache), ["a"]).report.hits == 1


def test_a_space_is_kept_compared_and_told_apart(tmp_path):
    space = Embedder("fake:8", cache=False).space
    space.save(tmp_path / "space.json")
    Embedder("fake:8", cache=False).space.check(tmp_path / "space.json")
    with pytest.raises(SpaceMismatchError, match="model") as caught:
        Embedder("fake:16", cache=False).space.check(space)
    assert caught.value.parts == ("model",)


def test_an_embedder_can_be_used_again_after_it_was_closed(caller, embedder):
    caller.embed(embedder, ["a"])
    embedder.close()
    assert caller.embed(embedder, ["a"]).report.hits == 1


def test_a_stream_works_ahead_but_reads_no_further_than_it_must():
    read = []

    def source():
        for number in range(100):
            read.append(number)
            yield f"text {number}"

    embedder = Embedder("fake:8", cache=False)
    stream = embedder.stream(source(), chunk_size=5)
    next(stream)
    assert len(read) <= 20
    stream.close()
    assert len(read) <= 20


async def drain(results):
    """An async stream's results as a list."""
    return [result async for result in results]


def streamed(mode, embedder, texts, **options):
    """All results of a stream, in either mode."""
    if mode == "sync":
        return list(embedder.stream(texts, **options))
    return asyncio.run(drain(embedder.astream(texts, **options)))


def test_the_chunks_of_a_stream_are_under_way_at_once_and_come_in_order(mode, server):
    server.latency = Latency(base=0.2, jitter=0.9)
    embedder = Embedder("openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="sk-x", cache=False)
    texts = [f"text {number}" for number in range(12)]
    results = streamed(mode, embedder, texts, chunk_size=2)
    assert np.array_equal(np.concatenate([result.vectors for result in results]), server.vectors(texts))
    assert server.stats.max_in_flight == 3


def test_chunks_under_way_are_kept_when_the_one_before_them_fails(mode, server):
    server.latency = Latency(base=1.4)  # longer than a cancelled call waits
    own = {"base_url": f"{server.url}/v1", "api_key": "sk-x", "cache": MemoryCache()}
    embedder = Embedder("openai:text-embedding-3-small", **own)
    with pytest.raises(InvalidInputError, match="1 empty text"):
        streamed(mode, embedder, ["", "b", "c"], chunk_size=1)
    assert server.stats.calls == 2
    assert embedder.embed(["b", "c"]).report.misses == 0


@pytest.mark.skipif(os.name != "posix", reason="a signal to one thread")
@pytest.mark.parametrize("how", ["close", "forget", "interrupt"])
def test_a_stream_that_is_left_early_sends_nothing_more_and_keeps_what_was_answered(server, tmp_path, how):
    server.latency = Latency(base=0.05)
    own = {"base_url": f"{server.url}/v1", "api_key": "sk-x", "cache": tmp_path, "batch_size": 1, "concurrency": 2}
    texts = [f"text {number}" for number in range(300)]
    with Embedder("openai:text-embedding-3-small", **own) as embedder:
        embedder.embed(texts[:20])
        stream = embedder.stream(texts, chunk_size=20 if how != "interrupt" else 100)
        if how == "interrupt":
            sender = interrupt_once(lambda: server.stats.served >= 26, signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                next(stream)
            sender.join()
        else:
            next(stream)
            if how == "close":
                stream.close()
        del stream
    asked = server.stats.calls
    time.sleep(0.3)
    assert server.stats.calls == asked < 50
    assert Embedder("openai:text-embedding-3-small", **own).estimate(texts).cached == len(server.stats.billed)


@pytest.mark.skipif(os.name != "posix", reason="a signal to one thread")
def test_an_interrupted_stream_leaves_the_chunk_that_is_next_a_moment_too(server):
    server.latency = Latency(base=0.3)
    own = {"base_url": f"{server.url}/v1", "api_key": "sk-x", "cache": MemoryCache()}
    embedder = Embedder("openai:text-embedding-3-small", **own)
    sender = interrupt_once(lambda: server.stats.calls, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        list(embedder.stream(["a"]))
    sender.join()
    assert (embedder.estimate(["a"]).cached, server.stats.calls) == (1, 1)


def test_a_stream_that_is_left_early_is_no_warning(mode, caplog):
    own = {"cache": MemoryCache(), "batch_size": 1, "concurrency": 1}
    Embedder("fake:8", **own).embed(["0", "1"])
    embedder = Embedder("fake:8", provider_options={"latency": 0.2}, **own)

    async def first(results):
        await anext(results)
        await results.aclose()

    with caplog.at_level("INFO"):
        if mode == "sync":
            next(embedder.stream(map(str, range(9)), chunk_size=2))
        else:
            asyncio.run(first(embedder.astream(map(str, range(9)), chunk_size=2)))
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert "a call was given up" in caplog.text


def test_an_async_stream_reads_no_further_than_it_must():
    read = []

    def source():
        for number in itertools.count():
            read.append(number)
            yield f"text {number}"

    async def first():
        stream = Embedder("fake:8", cache=False).astream(source(), chunk_size=5)
        await anext(stream)
        await asyncio.sleep(0.1)
        await stream.aclose()

    asyncio.run(first())
    assert len(read) <= 20


def test_an_async_stream_takes_async_sources_and_keeps_the_order(embedder):
    async def source():
        for letter in "abcde":
            yield letter

    async def collect(texts):
        return [result.vectors async for result in embedder.astream(texts, chunk_size=2)]

    for texts in (source(), iter("abcde")):
        assert np.array_equal(np.concatenate(asyncio.run(collect(texts))), truth(*"abcde"))


def test_a_bad_text_in_a_stream_comes_after_all_that_was_good_before_it(embedder):
    stream = embedder.stream(["a", "b", "c", ""], chunk_size=2)
    assert np.array_equal(next(stream).vectors, truth("a", "b"))
    with pytest.raises(InvalidInputError, match="empty"):
        next(stream)


def test_the_prefix_of_pieces_is_told_apart_from_the_beginning_of_a_text(tmp_path):
    long = "word " * 40
    own = {"cache": tmp_path, "too_long": "mean", "provider_options": {"max_tokens": 16}}
    with_prefix = Embedder("fake:8", document_prefix="passage: ", **own)
    without = Embedder("fake:8", document_prefix="", **own)
    first = with_prefix.embed([long])
    second = without.embed(["passage: " + long])
    assert second.report.hits == 0
    alone = Embedder("fake:8", document_prefix="", **(own | {"cache": False})).embed_documents(["passage: " + long])
    assert np.array_equal(second.vectors, alone)
    assert not np.allclose(first.vectors, second.vectors)


def test_one_embedders_time_to_live_takes_nothing_from_another(tmp_path):
    keeping, forgetting = Embedder("fake:8", cache=tmp_path), Embedder("fake:8", cache=tmp_path, cache_ttl=0.01)
    keeping.embed([f"kept {i}" for i in range(20)])
    forgetting.embed([f"passing {i}" for i in range(20)])
    assert keeping.embed([f"kept {i}" for i in range(20)]).report.misses == 0


class Panic(BaseException):
    """As extensions in Rust raise it."""


@pytest.mark.parametrize("error", [OSError, Panic])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_error_of_a_streams_source_comes_after_all_results(mode, embedder, error, asynchronous):
    """An error that is no Exception, such as a panic in Rust, took the results of earlier chunks with it."""

    def source():
        yield from ("a", "b", "c")
        raise error("the file is gone")

    async def asource():
        for text in source():
            yield text

    async def collect():
        async for result in embedder.astream(asource() if asynchronous else source(), chunk_size=2):
            results.append(result)  # noqa: PERF401 - what came before the error counts

    results = []
    with pytest.raises(error, match="gone"):
        asyncio.run(collect()) if mode == "async" else results.extend(embedder.stream(source(), chunk_size=2))
    assert [len(result.vectors) for result in results] == [2, 1]


def test_a_streams_errors_speak_of_the_whole_stream(embedder):
    with pytest.raises(InvalidInputError, match="text 3 is int") as caught:
        list(embedder.stream(["a", "b", "c", 4], chunk_size=2))
    assert (caught.value.index, caught.value.completed) == (3, (0, 1))
    with pytest.raises(InvalidInputError, match=r"2 empty text\(s\), at 3, 4; leave them out"):
        list(embedder.stream([*"abc", "", "", "d"], chunk_size=3))


def test_a_streams_warnings_speak_of_the_whole_stream(mode):
    embedder = Embedder("fake:8", document_prefix="passage: ", cache=False)
    with pytest.warns(UserWarning, match="text 4 already begins with the document prefix"):
        streamed(mode, embedder, [*"abcd", "passage: e"], chunk_size=2)


def test_a_refusal_in_a_stream_is_named_by_its_place_in_the_stream(mode, server):
    server.on(contains("poison"), "401:message=text 0 is bad")
    own = {"base_url": f"{server.url}/v1", "api_key": "sk-x", "cache": False}
    embedder = Embedder("openai:text-embedding-3-small", **own)
    with pytest.raises(AuthenticationError, match=r", text 4: status 401 .*: text … is bad") as caught:
        streamed(mode, embedder, [*"abcd", "poison", "e"], chunk_size=1)
    assert caught.value.failed_indices == (4,)


@pytest.mark.parametrize("name", ["my model v1", "text 0", "a, text 0"])
def test_a_refusal_in_a_stream_is_named_by_its_place_whatever_the_model_is_called(mode, name):
    class Choosy(Embeddings):
        def embed_documents(self, texts):
            return [{"bad": [0.0, 0.0]}.get(text, [1.0, 2.0]) for text in texts]

        def embed_query(self, text):
            return self.embed_documents([text])[0]

    embedder = BridgeEmbeddings.wrap(Choosy(), name=name, cache=False).embedder
    with pytest.raises(InvalidResponseError, match=rf"^langchain:{name}, text 3: "):
        streamed(mode, embedder, [*"abc", "bad", "d"], chunk_size=1)


@pytest.mark.parametrize("size", [0, -1, "a", None, 2.5, 10**30])
def test_a_chunk_size_that_is_none_is_refused_at_once(embedder, size):
    for method in (embedder.stream, embedder.astream):
        with pytest.raises(ConfigurationError, match="chunk_size"):
            method(["a"], chunk_size=size)


def test_a_streams_other_arguments_are_checked_at_once_too(embedder):
    async def source():
        yield "a"

    for method in (embedder.stream, embedder.astream):
        with pytest.raises(InvalidInputError, match="DataFrame"):
            method(pd.DataFrame({"text": ["a"]}))
        with pytest.raises(InvalidInputError, match="input_type='nothing' is not known"):
            method([], input_type="nothing")
    with pytest.raises(InvalidInputError, match="texts is async_generator"):
        embedder.stream(source())


async def test_a_stream_without_an_event_loop_refuses_texts_that_need_one(embedder):
    async def texts():
        yield "a"

    source = texts()
    with pytest.raises(InvalidInputError, match="async_generator"):
        embedder.stream(source)
    assert [len(result.vectors) async for result in embedder.astream(source)] == [1]


async def test_many_texts_are_packed_and_large_batches_hashed_off_the_event_loop(monkeypatch):
    threads = []

    def spied(function):
        def spy(*args, **options):
            threads.append(threading.get_ident())
            return function(*args, **options)

        return spy

    monkeypatch.setattr(packing, "pack", spied(packing.pack))
    monkeypatch.setattr(fake, "fake_vectors", spied(fake.fake_vectors))
    texts = [f"{number:06}" + "x" * 300 for number in range(8192)]
    async with Embedder("fake:8", cache=False) as embedder:
        await embedder.aembed(texts)
    assert len(threads) == 1 + len(texts) // 256
    assert threading.get_ident() not in threads
