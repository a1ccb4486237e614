"""A log, a bar and callables of one's own hear what happens, never a text, and can harm nothing."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from embedbridge import AuthenticationError, Embedder, events
from embedbridge.observers import watching

PRIVATE = "a text that nobody may see"


@pytest.fixture
def make(server):
    def make(**options):
        usual = {"base_url": f"{server.url}/v1", "api_key": "sk-nobody-may-see-this"}
        return Embedder("openai:text-embedding-3-small", **usual | options)

    return make


def test_each_kind_of_event_is_told_in_order_with_the_calls_number(caller, make, server):
    server.script("ok", "503:retry-after=0.01")
    seen = []
    embedder = make(observers=[seen.append], batch_size=1, concurrency=1)
    caller.embed(embedder, ["a", "b", "b"])
    begun, read, first, retried, *waited, second, ended = seen
    assert begun == events.CallStarted(
        begun.call,
        "openai",
        "text-embedding-3-small",
        "document",
        3,
        2,
        endpoint=f"{server.url}/v1",
        dimensions=1536,
    )
    assert read == events.CacheRead(begun.call, 0, 2)
    assert [type(event) for event in (first, second)] == [events.BatchFinished] * 2
    assert (retried.attempt, retried.status) == (1, 503)
    assert {type(event) for event in waited} <= {events.LimitWaited}
    assert type(ended) is events.CallFinished
    assert (ended.report.requests, ended.report.retries) == (3, 1)
    assert {event.call for event in seen} == {begun.call}


def test_no_event_and_no_line_of_the_log_holds_a_text_or_a_key(caller, make, server, caplog):
    caplog.set_level(logging.DEBUG, "embedbridge")
    server.script("503:retry-after=0.01", "ok", "401")
    seen = []
    embedder = make(observers=[seen.append])
    caller.embed(embedder, [PRIVATE])
    with pytest.raises(AuthenticationError):
        caller.embed(embedder, [f"{PRIVATE} either"])
    told = repr(seen) + caplog.text
    assert type(seen[-1]) is events.CallFailed
    assert "nobody" not in told


def test_the_log_tells_of_attempts_and_ends_and_warns_of_nothing_that_an_exception_says(caller, make, server, caplog):
    caplog.set_level(logging.DEBUG, "embedbridge")
    server.script("503:retry-after=0.01", "ok", "401")
    embedder = make()
    caller.embed(embedder, ["a"])
    with pytest.raises(AuthenticationError):
        caller.embed(embedder, ["b"])
    told = [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "embedbridge"]
    news = [message for level, message in told if level == logging.INFO]
    assert "attempt 1 failed (status 503" in news[0]
    assert news[1:] == ["a call ended with AuthenticationError (requests: 1)"]
    assert max(level for level, _ in told) == logging.INFO
    assert "CallStarted" in "".join(record.getMessage() for record in caplog.records)


def test_an_observer_that_fails_is_left_out_and_the_others_go_on(caller, caplog):
    seen = []

    def failing(_):
        raise ZeroDivisionError

    embedder = Embedder("fake:8", cache=False, observers=[failing, seen.append])
    caller.embed(embedder, ["a"])
    caller.embed(embedder, ["b"])
    assert len(seen) == 8
    assert caplog.text.count("an observer failed") == 1


def test_a_bar_moves_by_texts_and_shows_what_the_cache_had(caller, screen, tmp_path):
    caller.embed(Embedder("fake:8", cache=tmp_path), [f"text {number}" for number in range(100)])
    embedder = Embedder("fake:8", cache=tmp_path, show_progress=True, batch_size=50)
    caller.embed(embedder, [f"text {number}" for number in range(300)])
    drawn = screen.readouterr().err
    assert "embedding (document)" in drawn
    assert "0/300" in drawn
    assert "300/300" in drawn
    assert "cached=100" in drawn


def test_a_stream_has_one_bar_and_a_single_query_beside_it_has_none(mode, screen):
    embedder, texts = Embedder("fake:8", cache=False, show_progress=True), [f"text {number}" for number in range(250)]

    async def read():
        async for _ in embedder.astream(texts, chunk_size=20):
            pass
        await embedder.aembed_query("a")

    if mode == "async":
        asyncio.run(read())
    else:
        for _ in embedder.stream(texts, chunk_size=20):
            pass
        embedder.embed_query("a")
    (bar,) = [line.rpartition("\r")[2] for line in screen.readouterr().err.strip().split("\n")]
    assert bar.startswith("embedding (document): 250text [")


def test_a_bar_is_put_away_when_its_call_fails(caller, make, server, screen):
    server.script("401")
    embedder = make(show_progress=True)
    with pytest.raises(AuthenticationError):
        caller.embed(embedder, ["a"])
    (observer,) = [one for one in embedder._parts.emit._observers if type(one).__name__ == "ProgressBar"]
    assert observer._bars == {}
    assert screen.readouterr().err.endswith("\n")


def test_a_watcher_hears_the_calls_made_inside_and_no_others():
    seen, elsewhere = [], threading.Thread(target=lambda: Embedder("fake:16", cache=False).embed(["b"]))
    embedder = Embedder("fake:8", cache=False)
    with watching(seen.append):
        elsewhere.start()
        elsewhere.join()
        embedder.embed(["a"])
    embedder.embed(["c"])
    assert [event.model for event in seen if isinstance(event, events.CallStarted)] == ["8"]
