"""A call that ends amid the proof of an endpoint leaves nothing, nothing is paid twice, and the next one works."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from embedbridge import DeadlineExceededError
from embedbridge._core.proof import SHORT
from embedbridge.testing import FaultServer, no_waiting
from support.scene import WIDTH, corpus, scene
from support.waiting import until

pytest.importorskip("openai")
TEXTS = corpus(8)
STAYING = {"embedbridge serve", "embedbridge endings", "embedbridge telling"}
"""Threads that a process starts once."""


class HoldingServer(FaultServer):
    """Holds its answers to proofs back while it is told to, and counts the connections that are open."""

    def __init__(self):
        super().__init__(width=WIDTH)
        self.holds, self.held, self.open = False, 0, 0

    async def _work(self, request, *rest):
        while self.holds and SHORT[0] in request.read:
            self.held += not request.fault
            request.fault = "held"
            await asyncio.sleep(0.005)
        return await super()._work(request, *rest)

    async def _converse(self, connection):
        self.open += 1
        try:
            await super()._converse(connection)
        finally:
            self.open -= 1


@contextlib.contextmanager
def held(which, cache, **options):
    """Two servers, of which one holds its proof back, and an embedder whose next call meets that."""
    before = set(threading.enumerate())
    with scene(HoldingServer(), HoldingServer()) as these, no_waiting():
        embedder = these.embedder(cache=cache, batch_size=2, concurrency=2, **options)
        these.holding, other = these.servers[which], these.servers[1 - which]
        if which:
            with these.embedder(cache=cache) as first:
                first.embed(["the first proves itself"])
            other.on(lambda _: these.holding.holds, "503")
        these.holding.holds = True
        yield these, embedder
        these.holding.holds = False
        until(lambda: not any(server.open for server in these.servers))
        pool = embedder._shared.pool
        assert [(each.under_way, each.proving) for each in pool.endpoints] == [(0, None)] * 2
    until(lambda: {each.name for each in set(threading.enumerate()) - before} <= STAYING)


def check_next_call(caller, these, embedder):
    """It gives right vectors, and each text was paid for once."""
    these.holding.holds = False
    these.check(TEXTS, caller.embed(embedder, TEXTS).vectors)
    assert these.billed(TEXTS) == dict.fromkeys(TEXTS, 1)


both = pytest.mark.parametrize("which", [0, 1], ids=["the reference", "the second"])


def test_a_deadline_amid_a_proof_ends_the_call_and_nothing_else(caller, tmp_path):
    with held(1, tmp_path, deadline=2) as (these, embedder):
        with pytest.raises(DeadlineExceededError) as caught:
            caller.embed(embedder, TEXTS)
        assert len(caught.value.failed_indices) == len(TEXTS)
        check_next_call(caller, these, embedder)
        caller.call(embedder, "close")


@both
def test_close_amid_a_proof_lets_the_call_end_and_leaves_no_connection(mode, caller, tmp_path, which):
    with held(which, tmp_path) as (these, embedder):
        if mode == "sync":
            results = []
            thread = threading.Thread(target=lambda: results.append(embedder.embed(TEXTS)))
            thread.start()
            until(lambda: these.holding.held)
            embedder.close()
            these.holding.holds = False
            thread.join(30)
            embedder.close()  # what the call asked for later
        else:

            async def close_amid():
                task = asyncio.create_task(embedder.aembed(TEXTS))
                await asyncio.to_thread(until, lambda: these.holding.held)
                await embedder.aclose()
                these.holding.holds = False
                results = [await task]
                await embedder.aclose()
                assert asyncio.all_tasks() == {asyncio.current_task()}
                return results

            results = asyncio.run(close_amid())
        these.check(TEXTS, results[0].vectors)
        until(lambda: not any(server.open for server in these.servers))
        check_next_call(caller, these, embedder)
        caller.call(embedder, "close")


@both
def test_a_task_that_is_cancelled_amid_a_proof_leaves_none_and_who_waits_for_it_goes_on(tmp_path, which):
    async def cancel_amid(these, embedder):
        first = asyncio.create_task(embedder.aembed(TEXTS[:4]))
        await asyncio.to_thread(until, lambda: these.holding.held)
        other = asyncio.create_task(embedder.aembed(TEXTS))
        await asyncio.sleep(0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        these.holding.holds = False
        these.check(TEXTS, (await other).vectors)
        these.check(TEXTS, (await embedder.aembed(TEXTS)).vectors)
        await embedder.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert these.billed(TEXTS) == dict.fromkeys(TEXTS, 1)

    with held(which, tmp_path) as (these, embedder):
        asyncio.run(cancel_amid(these, embedder))
