"""One text is paid for once, however many ask for it and whatever becomes of those who do."""

import asyncio
import contextlib
import itertools
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from embedbridge import ProviderUnavailableError
from embedbridge._core.flights import Flights
from embedbridge.testing import Latency
from support.cases import each
from support.waiting import interrupt_once, until

from . import case
from .apis import each_client
from .client import corpus

pytestmark = each_client
sync_only = pytest.mark.parametrize("mode", ["sync"], indirect=True)
async_only = pytest.mark.parametrize("mode", ["async"], indirect=True)


def always(_):
    return True


@pytest.fixture
def _short_grace(monkeypatch):
    """A call that is given up waits 0.3 s for answers under way, in place of 1 s."""
    for driver in ("drivers", "task_driver"):
        monkeypatch.setattr(f"embedbridge._run.{driver}.GRACE", 0.3)


@pytest.fixture
def all_there(monkeypatch):
    """A rule for a server: it answers when so many calls more fetch a text, or wait for it."""
    calls, claim = [], Flights.claim

    def claimed(self, keys, call, owner=None):
        found = claim(self, keys, call, owner)
        calls.append(call)
        return found

    monkeypatch.setattr(Flights, "claim", claimed)

    def rule(count):
        until(lambda: len(set(calls)) >= count)
        calls.clear()
        return True

    return rule


def right(client, server, outcomes, texts):
    """How many outcomes are the texts' vectors; the others must be errors."""
    vectors = client.api.vectors(server, texts)
    results = [outcome.vectors for outcome in outcomes if not isinstance(outcome, BaseException)]
    for result in results:
        np.testing.assert_array_equal(result, vectors)
    return len(results)


# Many at once.


@case(65)
def test_a_text_that_fifty_ask_for_at_once_is_sent_once(client, server, all_there):
    server.on(lambda _: all_there(50), "ok", times=1)
    outcomes = client.caller.at_once(client.open(cache=False), [corpus(1)] * 50)
    assert right(client, server, outcomes, corpus(1)) == 50
    assert server.stats.calls == 1


@case(65)
def test_of_overlapping_lists_each_text_is_sent_once(client, server, all_there):
    server.on(lambda _: all_there(7), "ok", times=1)
    texts = corpus(12)
    lists = [texts[start : start + 6] for start in range(7)]
    outcomes = client.caller.at_once(client.open(cache=False, batch_size=2), lists)
    assert [right(client, server, [outcome], part) for outcome, part in zip(outcomes, lists, strict=True)] == [1] * 7
    assert server.stats.billed == client.once(texts)


@case(65)
def test_two_embedders_over_one_cache_send_a_text_once(client, server):
    pair = [client.open() for _ in range(2)]
    for embedder in pair:
        client.embed(corpus(1, "warm up"), embedder=embedder)
    server.reset()
    server.latency = Latency(base=0.3)

    class Pair:
        """Calls one, then the other."""

        turns = iter(pair)

        def embed(self, texts):
            return next(self.turns).embed(texts)

        async def aembed(self, texts):
            return await next(self.turns).aembed(texts)

    assert right(client, server, client.caller.at_once(Pair(), [corpus(1)] * 2), corpus(1)) == 2
    assert server.stats.calls == 1


@case(65)
def test_whoever_waits_for_a_call_that_fails_asks_for_itself(client, server, all_there):
    server.on(lambda _: all_there(20), "503", times=1)
    server.on(lambda _: all_there(19), "ok", times=1)  # which have heard of the failure
    outcomes = client.caller.at_once(client.open(cache=False, max_retries=0), [corpus(1)] * 20)
    assert right(client, server, outcomes, corpus(1)) == 19
    assert sum(isinstance(outcome, ProviderUnavailableError) for outcome in outcomes) == 1
    assert server.stats.billed == client.once(corpus(1))


@case(56, 65)
@async_only
@pytest.mark.usefixtures("_short_grace")
def test_whoever_waits_for_a_call_that_is_cancelled_gets_its_vector_or_asks_for_itself(api, server, client):
    async def scene(embedder, fault):
        server.on(always, fault, times=1)
        leader = asyncio.ensure_future(embedder.aembed(corpus(1, fault)))
        await asyncio.to_thread(until, lambda: server.stats.in_flight)
        followers = [asyncio.ensure_future(embedder.aembed(corpus(1, fault))) for _ in range(10)]
        await asyncio.sleep(0.05)
        leader.cancel()
        followers[0].cancel()
        return await asyncio.gather(leader, *followers, return_exceptions=True)

    async def scenes():
        async with api.embedder(server) as embedder:
            server.latency = Latency(base=0.15)
            return [await scene(embedder, fault) for fault in ("ok", "hang:s=60")]

    for outcomes, fault in zip(asyncio.run(scenes()), ("ok", "hang:s=60"), strict=True):
        assert [type(outcome) for outcome in outcomes[:2]] == [asyncio.CancelledError] * 2
        assert right(client, server, outcomes[2:], corpus(1, fault)) == 9
    assert not server.stats.again()


# Ended from outside.


def interrupt_after(server, served, number):
    """Send this process a signal as soon as so many requests have been worked out."""
    return interrupt_once(lambda: server.stats.served >= served, number)


def leave(*_):
    raise SystemExit


@pytest.fixture
def _sigterm_is_exit():
    before = signal.signal(signal.SIGTERM, leave)
    yield
    signal.signal(signal.SIGTERM, before)


@case(56)
@pytest.mark.skipif(os.name != "posix", reason="a signal to one thread")
def test_after_ctrl_c_nothing_that_was_answered_is_paid_again(client, server):
    server.latency = Latency(base=0.05)
    embedder = client.open(batch_size=2, concurrency=2)
    client.embed(corpus(2, "warm up"), embedder=embedder)
    server.reset()
    sender = interrupt_after(server, 6, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        client.caller.embed(embedder, corpus(40))
    sender.join()
    paid = dict(server.stats.billed)
    assert 12 <= len(paid) < 40
    server.latency = Latency()
    client.embed(corpus(40))
    assert server.stats.billed == client.once(corpus(40))


@case(56)
@sync_only
@pytest.mark.skipif(os.name != "posix", reason="a signal to one thread")
@pytest.mark.usefixtures("_sigterm_is_exit")
def test_after_an_exit_nothing_that_was_answered_is_paid_again(client, server):
    server.latency = Latency(base=0.05)
    sender = interrupt_after(server, 4, signal.SIGTERM)
    with pytest.raises(SystemExit):
        client.caller.embed(client.open(batch_size=2, concurrency=2), corpus(40))
    sender.join()
    server.latency = Latency()
    client.embed(corpus(40))
    assert server.stats.billed == client.once(corpus(40))


@case(56)
@sync_only
@pytest.mark.skipif(os.name != "posix", reason="a signal to one thread")
def test_after_ctrl_c_with_one_request_at_a_time_at_most_that_one_is_paid_again(client, server):
    server.latency = Latency(base=0.05)
    embedder = client.open(batch_size=2, concurrency=1)
    sender = interrupt_after(server, 4, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        client.caller.embed(embedder, corpus(40))
    sender.join()
    server.latency = Latency()
    client.embed(corpus(40), embedder=embedder)
    assert len(server.stats.again()) <= 2


@case(56)
@async_only
def test_a_cancelled_call_keeps_what_was_under_way(client, server):
    async def scene():
        server.latency = Latency(base=0.05)
        async with client.open(batch_size=2, concurrency=2) as embedder:
            call = asyncio.ensure_future(embedder.aembed(corpus(40)))
            await asyncio.to_thread(until, lambda: server.stats.served >= 6)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(scene())
    assert len(server.stats.billed) < 40
    server.latency = Latency()
    client.embed(corpus(40))
    assert server.stats.billed == client.once(corpus(40))


@case(56)
@async_only
@pytest.mark.usefixtures("_short_grace")
def test_a_cancelled_call_does_not_wait_for_an_answer_that_never_comes(client, server):
    async def scene():
        server.on(always, "hang:s=60")
        async with client.open() as embedder:
            call = asyncio.ensure_future(embedder.aembed(corpus(2)))
            await asyncio.to_thread(until, lambda: server.stats.in_flight)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(scene())
    assert server.requests[0].took < 30


@case(65)
@sync_only
@pytest.mark.usefixtures("_short_grace")
def test_whoever_waits_for_a_call_that_is_interrupted_asks_for_itself(client, server):
    server.latency = Latency(base=0.3)  # until all have heard of the interrupt
    server.on(always, "hang:s=60", times=1)
    embedder = client.open(cache=False)
    with ThreadPoolExecutor(5) as pool:

        def follow():
            until(lambda: server.stats.in_flight)
            return embedder.embed(corpus(1))

        followers = [pool.submit(follow) for _ in range(5)]

        def interrupt():
            until(lambda: server.stats.in_flight)
            threading.Event().wait(0.5)  # until all are there
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            client.caller.embed(embedder, corpus(1))
        assert right(client, server, [follower.result(10) for follower in followers], corpus(1)) == 5
    assert server.stats.billed == client.once(corpus(1))


ENDS = [None, ValueError("main fails"), SystemExit(3)]


@case(56)
@async_only
@each(("end", "before"), itertools.product(ENDS, ["running", "cancelled"]))
def test_what_is_under_way_when_asyncio_run_ends_is_not_paid_again(client, server, end, before):
    """C11: it cancels all tasks that it knows of, and waits for them."""
    embedder, texts = client.open(), corpus(2, f"{end!r}, {before}")
    server.reset()

    async def scene():
        await embedder.aembed(corpus(1, f"warm up for {end!r}, {before}"))
        server.latency = Latency(base=0.3)
        call = asyncio.ensure_future(embedder.aembed(texts))
        await asyncio.to_thread(until, lambda: server.stats.in_flight)
        if before == "cancelled":
            call.cancel()
            await asyncio.sleep(0)
        if end is not None:
            raise end

    with pytest.raises(type(end)) if end is not None else contextlib.nullcontext():
        asyncio.run(scene())
    server.latency = Latency()
    client.embed(texts, embedder=embedder)
    assert not server.stats.again()
