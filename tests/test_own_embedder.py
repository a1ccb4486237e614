"""U5: an object that is asked by an embedder may ask that embedder itself, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.embeddings import Embeddings

from embedbridge import ConfigurationError, DeadlineExceededError, Embedder, EmbeddingError, ProviderUnavailableError
from embedbridge.langchain import BridgeEmbeddings
from support.waiting import until

ASKS = {
    "by a sync query": lambda bridge: bridge.embed_query("inner"),
    "by sync documents": lambda bridge: bridge.embed_documents(["inner"])[0],
    "in a loop of its own": lambda bridge: asyncio.run(bridge.aembed_query("inner")),
    "by run_coroutine_threadsafe": lambda bridge: in_other_loop(bridge.aembed_documents(["inner"]))[0],
    "in a thread that keeps the context": lambda bridge: asyncio.run(asyncio.to_thread(bridge.embed_query, "inner")),
}


def in_other_loop(coroutine):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Returning(Embeddings):
    """Asks its own bridge for all texts but `inner`; `asked` has every text that it was asked for."""

    def __init__(self, ask):
        self.ask, self.bridge, self.asked = ask, None, []

    def embed_documents(self, texts):
        self.asked += texts
        return [[1.0, 5.0] if text == "inner" else self.ask(self.bridge) for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


class Native(Returning):
    """With coroutines of its own."""

    async def aembed_documents(self, texts):
        self.asked += texts
        return [[1.0, 5.0] if text == "inner" else await self.aask() for text in texts]

    async def aembed_query(self, text):
        return (await self.aembed_documents([text]))[0]

    async def aask(self):
        return await self.bridge.aembed_query("inner")


class Blocking(Native):
    """Whose coroutines call the sync methods of its bridge, in the thread of the loop."""

    async def aask(self):
        return self.bridge.embed_query("inner")


def wrap(theirs, **options):
    theirs.bridge = BridgeEmbeddings.wrap(theirs, name="own", **{"cache": False, "timeout": 20} | options)
    return theirs.bridge.embedder


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("options", [{}, {"deadline": 20}], ids=["no deadline", "deadline"])
def test_an_object_may_ask_its_own_bridge(caller, ask, options):
    theirs = Returning(ASKS[ask])
    assert caller.embed(wrap(theirs, **options), ["a", "b"]).vectors.tolist() == [[1.0, 5.0]] * 2
    assert sorted(theirs.asked) == ["a", "b", "inner", "inner"]


@pytest.mark.parametrize("kind", [Native, Blocking])
def test_and_so_may_its_coroutines(kind):
    theirs = kind(None)
    embedder = wrap(theirs)
    assert asyncio.run(embedder.aembed(["a", "b"])).vectors.tolist() == [[1.0, 5.0]] * 2
    assert sorted(theirs.asked) == ["a", "b", "inner", "inner"]


def test_it_does_not_wait_for_a_call_that_waits_for_it(caller):
    """U5: the other call has asked for the same text, and has no place."""
    others = []

    def ask(bridge):
        with ThreadPoolExecutor(1) as pool:
            other = threading.Thread(target=lambda: others.append(bridge.embed_query("inner")))
            pool.submit(other.start).result()
        time.sleep(0.2)  # until it waits for a place
        return bridge.embed_query("inner")

    theirs = Returning(ask)
    begun = time.monotonic()
    assert caller.embed(wrap(theirs), ["a"]).vectors.tolist() == [[1.0, 5.0]]
    assert time.monotonic() - begun < 10
    until(lambda: others)
    assert theirs.asked == ["a", "inner", "inner"]


@pytest.mark.parametrize("kind", [Returning, Native])
def test_an_object_that_asks_its_bridge_without_an_end_is_told_so(caller, kind):
    class Endless(kind):
        def embed_documents(self, texts):
            self.asked += texts
            return self.bridge.embed_documents(texts)

        async def aembed_documents(self, texts):
            self.asked += texts
            return await self.bridge.aembed_documents(texts)

    theirs = Endless(None)
    with pytest.raises(ConfigurationError, match="asks its own embedder again and again"):
        caller.embed(wrap(theirs), ["a"])
    assert 1 < len(theirs.asked) <= 20


@pytest.mark.parametrize("options", [{}, {"deadline": 20}], ids=["no deadline", "deadline"])
def test_an_object_that_asks_its_bridge_in_threads_of_its_own_is_told_so_after_the_timeout(caller, options):
    """U5: nothing says that the thread belongs to the object."""

    def ask(bridge):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(bridge.embed_query, "inner").result()

    theirs = Returning(ask)
    begun = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match=r"at work for another request for 0\.5 s"):
        caller.embed(wrap(theirs, timeout=0.5, max_retries=0, **options), ["a"])
    assert time.monotonic() - begun < 10
    assert theirs.asked == ["a"]


def test_many_callers_of_a_slow_object_wait_for_their_turn_longer_than_the_timeout(caller):
    """A place is given again and again meanwhile."""

    def slowly(_):
        time.sleep(0.2)
        return [1.0, 5.0]

    theirs = Returning(slowly)
    outcomes = caller.at_once(wrap(theirs, timeout=0.6, max_retries=0), [[f"text {number}"] for number in range(6)])
    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(theirs.asked) == 6


def test_a_rate_limiter_that_asks_its_own_embedder_ends(caller):
    class Limiter:
        embedder = None

        def acquire(self, *, blocking=True):
            return bool(self.embedder.embed_query("inner").any()) and blocking

        async def aacquire(self, *, blocking=True):
            return bool((await self.embedder.aembed_query("inner")).any()) and blocking

    limiter = Limiter()
    limiter.embedder = Embedder("fake:8", rate_limiter=limiter)
    with pytest.raises(EmbeddingError):
        caller.embed(limiter.embedder, ["a"])
    assert limiter.embedder.usage.requests == 0


def test_with_a_deadline_that_is_shorter_both_calls_end_by_it(caller):
    """C14: the embedder's, and that of the object that asks it."""
    told = []

    def ask(bridge):
        with ThreadPoolExecutor(1) as pool:
            try:
                return pool.submit(bridge.embed_query, "inner").result()
            except EmbeddingError as error:
                told.append(error)
                raise

    with pytest.raises(EmbeddingError):  # its own, or the other one's
        caller.embed(wrap(Returning(ask), deadline=0.5), ["a"])
    until(lambda: told)
    assert type(told[0]) is DeadlineExceededError
