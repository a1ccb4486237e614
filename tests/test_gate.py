"""`concurrency` is one count over all threads and event loops, and nobody waits at the gate for ever."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedbridge import Embedder
from embedbridge._core.locks import OwnLock, stuck
from embedbridge._core.signals import Signal
from embedbridge._threads import waiting
from embedbridge._threads.background import in_background
from embedbridge._threads.gate import Gate
from embedbridge.testing import Latency
from support.waiting import until


class Inside:
    """Counts who is behind a gate."""

    def __init__(self):
        self._lock = threading.Lock()
        self.now = self.most = self.all = 0

    def __enter__(self):
        with self._lock:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_):
        with self._lock:
            self.now -= 1


visits = st.lists(
    st.tuples(st.sampled_from(["thread", "task"]), st.sampled_from([None, 0.0, 0.001, 0.004]), st.booleans()),
    min_size=1,
    max_size=24,
)
"""Who comes, after how long it gives up, and whether it is cancelled or told that all is over."""


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 4), visits, st.integers(1, 3))
def test_whoever_comes_and_gives_up_no_more_are_inside_than_there_are_places(places, visits, loops):
    """U3: over threads and loops together; who gives up, is cancelled or told that it is over takes no place along."""
    gate, inside, chance = Gate(places), Inside(), random.Random(len(visits))
    threads = [visit for visit in visits if visit[0] == "thread"]
    tasks = [visit for visit in visits if visit[0] == "task"]

    def come(seconds, ended):
        over = Signal()
        if ended:
            threading.Timer(chance.random() / 200, over.set).start()
        with suppress(TimeoutError, InterruptedError), gate.take(seconds, ((over, InterruptedError),)), inside:
            time.sleep(0.001)

    async def acome(seconds):
        with suppress(TimeoutError):
            async with gate.atake(seconds):
                with inside:
                    await asyncio.sleep(0.001)

    async def loop(number):
        async with asyncio.TaskGroup() as group:
            for _, seconds, cancelled in tasks[number::loops]:
                task = group.create_task(acome(seconds))
                if cancelled:
                    asyncio.get_running_loop().call_later(chance.random() / 200, task.cancel)

    with ThreadPoolExecutor(len(threads) + loops) as pool:
        ended = [pool.submit(come, *visit[1:]) for visit in threads]
        ended += [pool.submit(asyncio.run, loop(number)) for number in range(loops)]
        for end in ended:
            end.result(60)
    assert inside.most <= places
    assert inside.all >= sum(seconds is None and not ended for _, seconds, ended in visits)
    with ExitStack() as free:  # all places are there again
        for _ in range(places):
            free.enter_context(gate.take(5))


def test_places_are_given_in_the_order_in_which_they_are_asked_for():
    gate, order, waiting_for = Gate(1), [], []

    def come(number):
        waiting_for.append(number)
        with gate.take(20):
            order.append(number)

    async def acome(number):
        waiting_for.append(number)
        async with gate.atake(20):
            order.append(number)

    with gate.take(1):
        threads = []
        for number in range(6):
            target, args = (come, (number,)) if number % 2 else (asyncio.run, (acome(number),))
            threads.append(threading.Thread(target=target, args=args))
            threads[-1].start()
            until(lambda: len(gate._waiting) == len(threads))
    for thread in threads:
        thread.join(20)
    assert order == list(range(6))


def test_a_thread_does_not_wait_for_a_task_of_its_own_loop():
    """U5: nor when another thread stands before it, which waits for that task too."""

    async def scene():
        gate = Gate(1)
        async with gate.atake(None):
            other = threading.Thread(target=take, args=(gate,))
            other.start()
            until(lambda: gate._waiting)
            with gate.take(None):
                pass
        await asyncio.to_thread(other.join)

    def take(gate):
        with gate.take(20):
            pass

    asyncio.run(asyncio.wait_for(scene(), 20))


def test_a_thread_does_not_wait_when_its_turn_has_come_to_a_task_of_its_own_loop():
    """U5: the place becomes a task's that cannot go on while its loop's thread waits."""

    async def scene():
        gate, let_go = Gate(1), threading.Event()

        def hold():
            with gate.take(1):
                let_go.wait(20)

        async def acome():
            async with gate.atake(20):
                pass

        holder = threading.Thread(target=hold)
        holder.start()
        until(lambda: gate._held)
        task = asyncio.create_task(acome())
        await asyncio.sleep(0.01)
        threading.Timer(0.05, let_go.set).start()
        with gate.take(20):
            pass
        await task
        holder.join()

    begun = time.monotonic()
    asyncio.run(scene())
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("blocked", [True, False], ids=["a loop that stands still", "a loop that has ended"])
def test_a_place_counts_no_longer_when_its_loop_does_not_go_on(monkeypatch, blocked):
    """U3, U4: a loop's thread waits for a thread that waits for a place which a task of that loop holds."""
    monkeypatch.setattr(waiting, "HELD", 0.4)
    gate, loop = Gate(1), asyncio.new_event_loop()

    async def hold():
        async with gate.atake(None):
            await asyncio.sleep(3600)

    def take():
        with gate.take(20):
            return "inside"

    task = loop.create_task(hold())
    loop.run_until_complete(asyncio.sleep(0))
    with ThreadPoolExecutor(1) as pool:
        if blocked:

            async def block():
                return pool.submit(take).result(20)

            assert loop.run_until_complete(block()) == "inside"
        else:
            assert pool.submit(take).result(20) == "inside"
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()


def test_concurrency_is_one_count_over_threads_and_loops(server):
    """U3: a server of one place refuses no request."""
    server.latency = Latency(base=0.05)
    own = {"base_url": f"{server.url}/v1", "api_key": "sk-x", "cache": False, "max_retries": 0}
    embedder = Embedder("openai:text-embedding-3-small", concurrency=1, batch_size=1, **own)

    def ask(number):
        texts = [f"{number} {part}" for part in range(3)]
        return asyncio.run(aask(texts)) if number % 2 else embedder.embed_documents(texts)

    async def aask(texts):
        async with embedder:
            return await embedder.aembed_documents(texts)

    with ThreadPoolExecutor(6) as pool:
        assert all(len(vectors) == 3 for vectors in pool.map(ask, range(6)))
    assert (server.stats.calls, server.stats.max_in_flight) == (18, 1)


def test_a_lock_tells_that_its_holder_waits_for_the_thread_that_wants_it():
    lock, own = OwnLock(), threading.get_ident()

    def enter():
        with lock:
            return True

    with lock, lock:
        entered = in_background(enter)
        until(lambda: own in stuck)
    assert entered.result(5)
    stuck.discard(own)
