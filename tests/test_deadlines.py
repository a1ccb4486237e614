"""A deadline's error names what the time was spent on, whatever that was."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

from cache.parts import run_python
from embedbridge import DeadlineExceededError, Embedder
from embedbridge.cache import MemoryCache
from embedbridge.testing import Latency
from support.waiting import until

TEXTS = [f"text {number}" for number in range(4)]


@pytest.fixture
def make(server):
    def make(**options):
        usual = {"base_url": f"{server.url}/v1", "api_key": "k", "cache": False, "deadline": 0.8}
        Embedder("openai:text-embedding-3-small", **usual)._parts.provider.get_ready(None)  # the SDK is imported
        return Embedder("openai:text-embedding-3-small", **usual | options)

    return make


def late(caller, embedder, words, texts=TEXTS):
    with pytest.raises(DeadlineExceededError, match=words) as caught:
        caller.embed(embedder, texts)
    assert caught.value.failed_indices
    return caught.value


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("hang", "passed while waiting for the first byte of the answer"),
        ("stall:at=0.5", "passed while receiving the answer"),
        ("429:retry-after=30", "would pass in the next 30 s, while waiting"),
        ("503:retry-after=30", "would pass in the next 30 s, while waiting"),
    ],
)
def test_answers_that_are_late(caller, server, make, fault, words):
    server.script(fault)
    late(caller, make(deadline=1.5), words)  # a busy machine sends the request in time, too
    assert len(server.requests) == 1


@pytest.mark.parametrize("mode", ["sync"])
def test_a_connection_that_does_not_come_about(caller, make):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:  # nobody answers the TLS greeting
        late(caller, make(base_url=f"https://127.0.0.1:{silent.getsockname()[1]}/v1"), "passed while connecting")


def test_a_rate_limit(caller, server, make):
    error = late(caller, make(requests_per_minute=1, batch_size=1), "would pass .* waiting for a rate limit")
    assert len(error.completed) == len(server.stats.billed) <= 1


def test_a_function_that_gives_the_key(caller, make):
    asked, go_on, waited_for = threading.Event(), threading.Event(), []

    def give():
        asked.set()
        waited_for.append(go_on.wait(30))
        return "k"

    late(caller, make(api_key=None, deadline=1.5, provider_options={"api_key_provider": give}), "passed while")
    assert asked.is_set()
    assert waited_for == []  # the call has ended before it
    go_on.set()


class Slow:
    """A rate limiter of the user's own that grants nothing for long."""

    def __init__(self):
        self.go_on = threading.Event()

    def acquire(self, *, blocking=True):
        return self.go_on.wait(30) if blocking else False

    async def aacquire(self, *, blocking=True):
        return await asyncio.to_thread(self.acquire, blocking=blocking)


def test_a_rate_limiter_of_the_users_own(caller, server, make):
    slow = Slow()
    make()._parts.provider.counter()  # loaded once for all; such a rate limiter wants to know the tokens
    late(caller, make(rate_limiter=slow, deadline=2.0), "waiting for the rate_limiter")
    slow.go_on.set()
    assert not server.stats.billed


def test_a_place_that_others_have(caller, server, make):
    embedder = make(concurrency=1)
    embedder._start(None)
    gate, over = embedder._threads.gate, threading.Event()

    def hold():
        with gate.take(None):
            over.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    until(lambda: gate._held)
    late(caller, embedder, "as many requests as concurrency= allows were under way")
    over.set()
    holder.join()
    assert not server.requests


def test_another_call_that_fetches_the_same_text(caller, server, make):
    cache = MemoryCache()
    server.script("hang:s=2.5")
    first = threading.Thread(target=make(cache=cache, deadline=None, max_retries=1).embed, args=(["held"],))
    first.start()
    until(lambda: len(server.requests) == 1)
    late(caller, make(cache=cache), "while another call asked for the same text", ["held"])
    assert len(server.requests) == 1
    first.join()
    assert server.stats.billed == {"held": 1}


IMPORTED = """
import asyncio, threading, time
from embedbridge import DeadlineExceededError, Embedder
from embedbridge.testing import FaultServer
from support.held_import import HeldImport

held = HeldImport("ollama._client")
with FaultServer() as server:
    make = lambda **own: Embedder("ollama:nomic-embed-text", base_url=server.url, cache=False, **own)
    for call in (lambda e: e.embed(["x"]), lambda e: asyncio.run(e.aembed(["x"]))):
        begun = time.monotonic()
        try:
            call(make(deadline=0.2))
        except DeadlineExceededError as error:
            print(str(error).partition("the deadline ")[2], time.monotonic() - begun < 5)
    threading.Timer(0.6, held.let_go.set).start()
    make(timeout=0.4, max_retries=0).embed(["y"])  # a request's own time begins once there is a client
    print(dict(server.stats.billed))
"""


def test_an_sdk_that_is_imported_for_longer_than_the_deadline():
    """The first call of a process, in threads and tasks; nothing is sent after it has ended."""
    late = "passed while the client was being made True\n"
    assert run_python(IMPORTED) == late + late + "{'search_document: y': 1}\n"


@pytest.mark.parametrize("method", ["embed", "estimate"])
def test_an_iterable_that_gives_its_texts_too_slowly(caller, server, make, method):
    """The deadline of a whole call began when all texts were read; nothing is sent after it."""

    def slow(pause):
        for text in TEXTS:
            time.sleep(pause)
            yield text

    embedder = make()
    with pytest.raises(DeadlineExceededError, match="passed while the texts were read") as caught:
        caller.call(embedder, method, slow(0.25))
    assert (caught.value.failed_indices, caught.value.provider) == ((0, 1, 2, 3), "openai")
    assert not server.requests
    assert len(caller.embed(make(deadline=60), slow(0.01)).vectors) == len(TEXTS)
    assert server.stats.billed == dict.fromkeys(TEXTS, 1)


def test_an_event_loop_that_something_else_holds(server, make):
    """C14: the answer was there all the time."""

    async def scene():
        server.latency = Latency(base=0.2)
        async with make(deadline=2) as embedder:
            await embedder.aembed(["warm up"])
            call = asyncio.ensure_future(embedder.aembed(TEXTS))
            await asyncio.to_thread(until, lambda: server.stats.in_flight)
            time.sleep(3)  # noqa: ASYNC251 - as an application may
            with pytest.raises(DeadlineExceededError, match=r"something else held the event loop"):
                await call

    asyncio.run(scene())
