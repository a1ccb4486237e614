"""Flows in threads and in tasks: the gate, faults, Ctrl-C and cancelling, running loops, forks.

The provider is the fake one, told how long a request takes and what it does with a text.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.parts import WIDTH, make_job, make_setting
from embedbridge._core.flow import embed
from embedbridge._core.retry import Backoff
from embedbridge._core.types import Limits
from embedbridge._run.drivers import SyncDriver
from embedbridge._run.task_driver import AsyncDriver
from embedbridge._threads.gate import Gate
from embedbridge.errors import (
    AuthenticationError,
    DeadlineExceededError,
    InvalidInputError,
    ProviderUnavailableError,
    RequestFailed,
)
from embedbridge.providers import ProviderConfig
from embedbridge.providers.fake import FakeProvider, fake_vectors
from support.waiting import until

ONE_BY_ONE = Limits(items=1)
LATENCY = 0.05


class Watched(FakeProvider):
    """Counts what is under way, and lets a test decide what becomes of a batch once it has arrived."""

    def __init__(self, latency=LATENCY, meet=lambda _: None):
        super().__init__(ProviderConfig(model=str(WIDTH), options={"latency": latency}))
        self.asked = []
        self.peak = 0
        self._meet = meet
        self._under_way = 0
        self._lock = threading.Lock()

    def _arrive(self, batch):
        with self._lock:
            self.asked.append(batch.texts)
            self._under_way += 1
            self.peak = max(self.peak, self._under_way)

    def _leave(self):
        with self._lock:
            self._under_way -= 1

    def ask(self, batch, *, timeout):
        self._arrive(batch)
        try:
            reply = super().ask(batch, timeout=timeout)
            self._meet(batch)
            return reply
        finally:
            self._leave()

    async def aask(self, batch, *, timeout):
        self._arrive(batch)
        try:
            reply = await super().aask(batch, timeout=timeout)
            self._meet(batch)
            return reply
        finally:
            self._leave()


class Runner:
    """Runs calls all at once, each in a thread or a task of its own; gives their jobs or errors, in order."""

    def __init__(self, mode, provider, *, concurrency=4, **parts):
        self.mode = mode
        self.provider = provider
        self.setting = make_setting(**{"clock": time.monotonic, "limits": ONE_BY_ONE} | parts)
        self.driver = (SyncDriver if mode == "sync" else AsyncDriver)(provider, Gate(concurrency))

    def job(self, texts, **options):
        return make_job(self.setting, list(texts), **options)

    def run(self, *jobs):
        if self.mode == "sync":
            with ThreadPoolExecutor(len(jobs)) as pool:
                return list(pool.map(self._one, jobs))
        return asyncio.run(self._all(jobs))

    def _one(self, job):
        try:
            self.driver.run(embed(job))
        except Exception as error:  # looked at by the test
            return error
        return job

    async def _all(self, jobs):
        outcomes = await asyncio.gather(*(self.driver.run(embed(job)) for job in jobs), return_exceptions=True)
        return [job if outcome is None else outcome for job, outcome in zip(jobs, outcomes, strict=True)]


def truth(*texts):
    return fake_vectors(list(texts), WIDTH)


def fail_on(text, error):
    def meet(batch):
        if text in batch.texts:
            raise error

    return meet


async def so(condition):
    """Return once the condition holds."""
    while not condition():  # noqa: ASYNC110 - what it waits for knows of no events
        await asyncio.sleep(0.01)


def texts_of(count, name="text"):
    return [f"{name} {number}" for number in range(count)]


# How many at once.


def test_a_call_has_as_many_requests_under_way_as_it_may(mode):
    runner = Runner(mode, Watched(), concurrency=3)
    (job,) = runner.run(runner.job(texts_of(12)))
    assert np.array_equal(job.table, truth(*texts_of(12)))
    assert runner.provider.peak == 3


def test_the_gate_holds_over_all_calls_together(mode):
    runner = Runner(mode, Watched(), concurrency=3)
    jobs = runner.run(*(runner.job(texts_of(4, f"call {number}")) for number in range(6)))
    assert all(np.array_equal(job.table, truth(*job.texts)) for job in jobs)
    assert runner.provider.peak == 3


def test_one_at_a_time_means_one(mode):
    runner = Runner(mode, Watched(0.01), concurrency=1)
    runner.run(*(runner.job(texts_of(3, f"call {number}")) for number in range(3)))
    assert runner.provider.peak == 1


def test_a_failed_request_leaves_its_place_to_the_next(mode):
    runner = Runner(mode, Watched(0.0, fail_on("bad", RequestFailed("", status=500))), concurrency=1, retries=0)
    for _ in range(3):
        (error,) = runner.run(runner.job(["bad"]))
        assert isinstance(error, ProviderUnavailableError)
    assert runner.run(runner.job(["good"]))[0].have == [True]


# Faults.


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_fault_that_nobody_foresaw_stops_the_call_and_keeps_what_was_under_way(mode, concurrency):
    runner = Runner(mode, Watched(meet=fail_on("text 2", ZeroDivisionError("a bug"))), concurrency=concurrency)
    (error,) = runner.run(runner.job(texts_of(50)))
    assert isinstance(error, ZeroDivisionError)
    assert len(runner.provider.asked) <= 2 + 2 * concurrency
    kept = runner.setting.store.read(runner.job(texts_of(50)).keys).rows.tolist()
    answered = {int(texts[0].split()[1]) for texts in runner.provider.asked} - {2}
    assert set(kept) == answered


def test_a_fault_ends_the_pauses_of_other_batches(mode):
    def meet(batch):
        if batch.texts == ("busy",):
            raise RequestFailed("busy", status=429)
        if batch.texts == ("bad",):
            raise ZeroDivisionError

    runner = Runner(mode, Watched(meet=meet), backoff=Backoff(first=3600, ceiling=3600))
    (error,) = runner.run(runner.job(["busy", "bad"]))
    assert isinstance(error, ZeroDivisionError)


def test_a_fatal_error_ends_the_back_off_of_other_batches(mode):
    """C10: 401 while another batch pauses before it is tried again."""
    asked = threading.Event()

    def meet(batch):
        if batch.texts == ("busy",):
            asked.set()
            raise RequestFailed("busy", status=503)
        if batch.texts == ("bad",):
            asked.wait(20)
            raise RequestFailed("no", status=401)

    runner = Runner(mode, Watched(meet=meet), backoff=Backoff(first=100, ceiling=100))
    begun = time.monotonic()
    (error,) = runner.run(runner.job(["busy", "bad"]))
    assert isinstance(error, AuthenticationError)
    assert (error.failed_indices, error.completed) == ((0, 1), ())
    assert time.monotonic() - begun < 40


@pytest.mark.parametrize("limit", ["rate", "throttle"])
def test_a_fatal_error_ends_the_wait_for_a_limit(mode, limit):
    """C10: 401 while the other batches wait for their turn at so many requests a minute."""

    class Slow:
        ceiling = None
        granted = 0

        def acquire(self, _):
            self.granted += 1
            return self.granted == 1 or time.sleep(30)

        async def aacquire(self, _):
            self.granted += 1
            return self.granted == 1 or await asyncio.sleep(30)

    def refuse(_):
        raise RequestFailed("no", status=401)

    parts = {"requests_per_minute": 2} if limit == "rate" else {"throttle": Slow()}
    begun = time.monotonic()
    runner = Runner(mode, Watched(0.1, refuse), **parts)
    (error,) = runner.run(runner.job(texts_of(4)))
    assert isinstance(error, AuthenticationError)
    assert len(runner.provider.asked) == 1
    assert time.monotonic() - begun < 15


def test_a_request_that_waited_for_a_place_is_not_sent_once_its_call_is_over(mode):
    """C10: the place comes free, and the call has ended meanwhile."""
    runner = Runner(mode, Watched(0.1, fail_on("text 0", RequestFailed("no", status=401))), concurrency=1)
    other = runner.job(["other"])
    outcomes = runner.run(other, runner.job(texts_of(3)))
    assert isinstance(outcomes[1], AuthenticationError)
    assert sorted(runner.provider.asked) == [("other",), ("text 0",)]


def test_a_named_error_comes_out_whole(mode):
    runner = Runner(mode, Watched(meet=fail_on("!", RequestFailed("no", status=400))))
    (error,) = runner.run(runner.job(["a", "!", "b", "!"]))
    assert isinstance(error, InvalidInputError)
    assert (error.failed_indices, error.completed) == ((1, 3), (0, 2))


def test_what_a_caller_knows_is_known_where_its_requests_are_sent(mode):
    who = contextvars.ContextVar("who", default="nobody")
    seen = set()
    runner = Runner(mode, Watched(meet=lambda _: seen.add(who.get())))
    who.set("caller")
    if mode == "sync":
        runner.driver.run(embed(runner.job("ab")))
    else:
        asyncio.run(runner.driver.run(embed(runner.job("ab"))))
    assert seen == {"caller"}


# One text, many calls.


def test_many_calls_for_one_text_are_one_request(mode):
    runner = Runner(mode, Watched(1.0), store=None)
    jobs = runner.run(*(runner.job(["same"]) for _ in range(50)))
    assert all(np.array_equal(job.table, truth("same")) for job in jobs)
    assert runner.provider.asked == [("same",)]


def test_calls_that_want_each_others_texts_all_end(mode):
    letters = "abcdefgh"
    runner = Runner(mode, Watched(0.01), concurrency=2, store=None)
    turned = [letters[number:] + letters[:number] for number in range(8)]
    jobs = runner.run(*(runner.job(texts) for texts in turned * 3))
    assert all(np.array_equal(job.table, truth(*texts)) for job, texts in zip(jobs, turned * 3, strict=True))


def test_calls_that_fail_do_not_wait_for_each_other_in_line(mode):
    runner = Runner(mode, Watched(meet=fail_on("same", RequestFailed("", status=500))), concurrency=20, retries=0)
    outcomes = runner.run(*(runner.job(["same"]) for _ in range(20)))
    assert all(isinstance(outcome, ProviderUnavailableError) for outcome in outcomes)
    assert runner.provider.peak > 1


def test_a_call_that_waits_for_another_keeps_its_own_deadline(mode):
    runner = Runner(mode, Watched(0.0))
    keys = runner.job("a").keys
    claimed, over = threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: (runner.setting.flights.claim(keys, -1), claimed.set(), over.wait()))
    other.start()
    claimed.wait()
    (error,) = runner.run(runner.job("ab", seconds=0.2))
    over.set()
    other.join()
    assert isinstance(error, DeadlineExceededError)
    assert (error.failed_indices, error.completed) == ((0,), (1,))


def test_a_call_waits_for_another_as_long_as_that_one_gets_on(mode):
    """C11: each of the leader's requests may take `timeout`, and there are several."""
    runner = Runner(mode, Watched(0.3), concurrency=1, store=None, timeout=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("embedbridge._core.job.SLACK", 0.4)
        jobs = runner.run(runner.job(texts_of(6)), runner.job(["text 5"]))
    assert [job.report.requests for job in jobs] == [6, 0]
    assert len(runner.provider.asked) == 6


def test_a_call_asks_for_itself_once_no_call_gets_on(mode):
    """C11: the other call does nothing any more, though it has not given up."""
    runner = Runner(mode, Watched(0.0), timeout=0.1)
    runner.setting.flights.claim(runner.job("a").keys, -1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("embedbridge._core.job.SLACK", 0.1)
        (job,) = runner.run(runner.job("ab"))
    assert np.array_equal(job.table, truth("a", "b"))


def test_a_call_does_not_wait_for_a_task_whose_loop_stands_still(monkeypatch):
    """C1, U4: the loop's thread waits for a thread that wants what a task of that loop is asking for."""
    monkeypatch.setattr("embedbridge._threads.waiting.HELD", 0.4)
    pair = Pair(0.3)

    async def scene():
        task = asyncio.create_task(pair.tasks.run(embed(pair.job("a"))))
        await so(lambda: pair.provider.asked)
        with ThreadPoolExecutor(1) as pool:
            job = pair.job("a")
            pool.submit(pair.sync.run, embed(job)).result(20)
        await task
        return job.table

    assert np.array_equal(asyncio.run(scene()), truth("a"))


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "stopped"])
def test_nobody_waits_for_a_call_whose_loop_has_ended(mode, closed):
    """C1, C11: what it has asked for is asked for again after a second, and not after twice ten."""
    pair, loop = Pair(0.3), asyncio.new_event_loop()

    def lead():
        loop.create_task(pair.tasks.run(embed(pair.job("a"))))
        loop.call_later(0.2, loop.stop)
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        if closed:
            loop.close()
        return tasks

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(lead)
        until(lambda: pair.provider.asked)
        job, begun = pair.job("a"), time.monotonic()
        pair.sync.run(embed(job)) if mode == "sync" else asyncio.run(pair.tasks.run(embed(job)))
        assert time.monotonic() - begun < 5
        tasks = leader.result()
    assert np.array_equal(job.table, truth("a"))
    assert pair.provider.asked == [("a",)] * 2
    if not closed:
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()


def test_a_follower_that_is_cancelled_takes_nothing_from_the_others():
    runner = Runner("async", Watched(0.2))

    async def scene():
        leader, gone, patient = (asyncio.create_task(runner.driver.run(embed(runner.job("a")))) for _ in range(3))
        await asyncio.sleep(LATENCY)
        gone.cancel()
        await asyncio.gather(leader, patient)
        assert gone.cancelled()

    asyncio.run(scene())
    assert runner.provider.asked == [("a",)]


def test_a_leader_that_is_cancelled_leaves_its_work_to_one_other():
    runner = Runner("async", Watched(3600), store=None)

    async def scene():
        jobs = [runner.job("a") for _ in range(10)]
        leader, *others = (asyncio.create_task(runner.driver.run(embed(job))) for job in jobs)
        await asyncio.sleep(LATENCY)
        runner.provider.options.latency = 0.1
        leader.cancel()
        await asyncio.gather(*others)
        assert all(np.array_equal(job.table, truth("a")) for job in jobs[1:])

    asyncio.run(scene())
    assert runner.provider.asked == [("a",)] * 2


# Event loops.


class Pair:
    """A sync and an async driver over one setting, as an embedder has them."""

    def __init__(self, latency=0.2):
        self.provider = Watched(latency)
        self.setting = make_setting(clock=time.monotonic, limits=ONE_BY_ONE, store=None)
        gate = Gate(4)
        self.sync, self.tasks = SyncDriver(self.provider, gate), AsyncDriver(self.provider, gate)

    def job(self, texts):
        return make_job(self.setting, list(texts))


def test_a_sync_call_inside_a_running_loop_works():
    pair = Pair(0.0)

    async def cell():
        job = pair.job("abc")
        pair.sync.run(embed(job))
        return job.table

    assert np.array_equal(asyncio.run(cell()), truth(*"abc"))


def test_a_sync_call_does_not_wait_for_a_task_of_its_own_loop():
    pair = Pair()

    async def cell():
        waiting, blocking = pair.job("ab"), pair.job("bc")
        task = asyncio.create_task(pair.tasks.run(embed(waiting)))
        await so(lambda: len(pair.provider.asked) == 2)
        pair.sync.run(embed(blocking))
        assert not task.done()
        await task
        return waiting.table, blocking.table

    tables = asyncio.run(cell())
    assert np.array_equal(tables[0], truth("a", "b"))
    assert np.array_equal(tables[1], truth("b", "c"))
    assert sorted(pair.provider.asked) == [("a",), ("b",), ("b",), ("c",)]


def test_a_task_waits_for_a_call_in_a_thread_without_blocking_its_loop():
    pair = Pair()

    async def scene():
        leader = asyncio.create_task(asyncio.to_thread(pair.sync.run, embed(pair.job("a"))))
        await so(lambda: pair.provider.asked)
        follower = asyncio.create_task(pair.tasks.run(embed(pair.job("a"))))
        ticks = 0
        while not follower.done():
            await asyncio.sleep(0.01)
            ticks += 1
        await leader
        return ticks

    assert asyncio.run(scene()) > 3
    assert pair.provider.asked == [("a",)]


@pytest.mark.parametrize("blocking", [True, False])
def test_what_touches_a_disk_runs_beside_the_loop_and_everything_else_on_it(blocking):
    threads = set()
    store = make_setting().store

    class Noting:
        def read(self, *args, **options):
            threads.add(threading.get_ident())
            return store.read(*args, **options)

        def write(self, *args, **options):
            threads.add(threading.get_ident())
            store.write(*args, **options)

        def hold_width(self, *args, **options):
            threads.add(threading.get_ident())
            return store.hold_width(*args, **options)

    Noting.blocking = blocking
    runner = Runner("async", Watched(0.0), store=Noting())
    assert runner.run(runner.job("ab"))[0].have == [True, True]
    assert (threading.get_ident() in threads) is not blocking


def test_loops_of_several_threads_share_a_driver():
    runner = Runner("async", Watched())
    with ThreadPoolExecutor(4) as pool:
        jobs = pool.map(lambda number: runner.run(runner.job(texts_of(8, f"loop {number}")))[0], range(8))
        assert all(np.array_equal(job.table, truth(*job.texts)) for job in jobs)


# Given up by the caller.


def cancelled(runner, job, when):
    """Cancel a call once `when` holds; returns once it has ended."""

    async def scene():
        task = asyncio.create_task(runner.driver.run(embed(job)))
        await so(when)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())


def test_answers_that_arrive_soon_after_a_call_was_cancelled_are_kept_and_no_more_is_asked():
    runner = Runner("async", Watched(0.3), concurrency=3)
    cancelled(runner, runner.job(texts_of(20)), lambda: len(runner.provider.asked) == 3)
    assert len(runner.provider.asked) == 3
    assert runner.setting.store.read(runner.job(texts_of(20)).keys).rows.tolist() == [0, 1, 2]
    (again,) = runner.run(runner.job(texts_of(20)))
    assert again.report.hits == 3


def test_answers_are_kept_although_the_call_is_cancelled_again_and_again():
    """U12: a cancel scope of anyio cancels its tasks in every turn of the loop until they end."""
    anyio = pytest.importorskip("anyio")
    runner = Runner("async", Watched(0.3), concurrency=3)

    async def scene():
        async with anyio.create_task_group() as group:
            group.start_soon(runner.driver.run, embed(runner.job(texts_of(20))))
            await so(lambda: len(runner.provider.asked) == 3)
            group.cancel_scope.cancel()

    asyncio.run(scene())
    assert len(runner.provider.asked) == 3
    assert runner.setting.store.read(runner.job(texts_of(20)).keys).rows.tolist() == [0, 1, 2]


def test_a_cancelled_call_does_not_wait_for_an_answer_that_never_comes():
    runner = Runner("async", Watched(3600))
    cancelled(runner, runner.job("ab"), lambda: len(runner.provider.asked) == 2)
    runner.provider.options.latency = 0.0
    assert runner.run(runner.job("ab"))[0].report.requests == 2


@pytest.mark.parametrize("failure", [{"status": 400}, {"status": 503}, {"status": 429, "retry_after": 0.1}])
def test_a_cancelled_call_neither_divides_nor_tries_again(failure):
    runner = Runner("async", Watched(0.2, fail_on("!", RequestFailed("", **failure))), limits=Limits(items=8))
    cancelled(runner, runner.job([*"abcdefg", "!"]), lambda: runner.provider.asked)
    assert len(runner.provider.asked) == 1


ENDED = """
import asyncio, os, signal, sys
from embedbridge import Embedder

embedder = Embedder("fake:8", cache=sys.argv[1], batch_size=1, concurrency=4, provider_options={"latency": 0.2})

async def main():
    if sys.argv[2] == "SIGTERM":
        task = asyncio.current_task()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    asyncio.get_running_loop().call_later(0.5, os.kill, os.getpid(), getattr(signal, sys.argv[2]))
    jobs = [embedder.aembed([f"{job} {number}" for number in range(50)]) for job in range(3)]
    await asyncio.gather(*jobs)

try:
    asyncio.run(main())
except (KeyboardInterrupt, asyncio.CancelledError):
    print("ended", flush=True)
    assert len(embedder.embed(["0 0"]).vectors) == 1  # whatever the loop had has ended, and not the embedder
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to one process")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_that_ends_a_loop_raises_nothing_of_executors(tmp_path, number):
    """R7: no "cannot schedule new futures after shutdown", and what was answered is in the cache."""
    source = Path(__file__).parents[1] / "src"
    run = subprocess.run(
        [sys.executable, "-c", ENDED, str(tmp_path), number],
        env={"PYTHONPATH": str(source), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.stdout, run.stderr, run.returncode) == ("ended\n", "", 0)


SCRIPT = """
from support.waiting import until
from test_drivers import *

class Uneven(Watched):
    def ask(self, batch, *, timeout):
        if batch.texts == ("never",):
            self.asked.append(batch.texts)
            time.sleep(3600)
        return super().ask(batch, timeout=timeout)

runner = Runner("sync", Uneven(0.4), concurrency=3)
job = runner.job(["never", *texts_of(20)])
watch = lambda: (until(lambda: len(runner.provider.asked) == 3), print("under way", flush=True))
threading.Thread(target=watch).start()
try:
    runner.driver.run(embed(job))
except KeyboardInterrupt:
    print(runner.setting.store.read(runner.job(job.texts).keys).rows.tolist(), len(runner.provider.asked))
    print(runner.setting.flights.claim(job.keys, -1)[0] == list(range(len(job.keys))))
    sys.exit(130)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_keeps_answers_that_arrive_soon_and_does_not_wait_for_others():
    here = Path(__file__).parent
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONPATH": f"{here}:{here.parent / 'src'}", "PATH": ""},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "under way\n"
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert said.splitlines() == ["[1, 2] 3", "True"]


FORK = """
import os, sys, threading, time
from embedbridge import Embedder
from embedbridge.providers.fake import fake_vectors

embedder = Embedder("fake:8", cache=sys.argv[1], concurrency=2, batch_size=1, provider_options={"latency": 0.3})
texts = [f"text {number}" for number in range(8)]
results = []
calls = [threading.Thread(target=lambda: results.append(embedder.embed_documents(texts))) for _ in range(4)]
for call in calls:
    call.start()
time.sleep(0.45)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        right = (embedder.embed_documents(texts) == fake_vectors(texts, 8)).all()
        os._exit(0 if right else 1)
    children.append(child)
for call in calls:
    call.join()
assert all((result == fake_vectors(texts, 8)).all() for result in results)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_that_is_forked_while_calls_are_under_way_goes_on_by_itself(tmp_path):
    source = Path(__file__).parents[1] / "src"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(tmp_path)]
    subprocess.run(command, env={"PYTHONPATH": str(source), "PATH": ""}, check=True, timeout=120)
