"""Threads of our own: they serve whatever the program's own executor, loop or end does."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from embedbridge._threads import background
from embedbridge._threads.background import THREADS, in_background, run_in_background, run_in_thread

both = pytest.mark.parametrize("run", [run_in_thread, run_in_background])


@both
def test_a_function_gives_its_result_its_error_and_sees_its_callers_context(run):
    name = contextvars.ContextVar("name")

    async def scene():
        name.set("caller")
        assert await run(name.get) == "caller"
        assert await run(threading.get_ident) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await run(lambda: 1 // 0)

    asyncio.run(scene())


@both
def test_what_has_been_handed_over_is_done_even_when_nobody_waits_for_it_any_more(run):
    """C1: a vector that was paid for is stored although its call was cancelled."""
    done, free = threading.Event(), threading.Event()

    async def scene():
        task = asyncio.create_task(run(lambda: (free.wait(), done.set())))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(scene())
    free.set()  # the loop has ended
    assert done.wait(20)


def test_threads_are_few_and_are_used_again():
    async def scene():
        seen = set()
        for _ in range(3):
            seen |= set(await asyncio.gather(*(run_in_thread(threading.get_ident) for _ in range(200))))
        return seen

    assert len(asyncio.run(scene())) <= THREADS


def test_work_that_waits_for_later_work_gets_a_thread_for_it():
    """C1: however many wait in these threads, what they wait for is done."""
    key = threading.Event()

    async def scene():
        waiting = [asyncio.ensure_future(run_in_thread(partial(key.wait, 30))) for _ in range(THREADS + 3)]
        await asyncio.sleep(0)
        await run_in_thread(key.set)
        assert all(await asyncio.gather(*waiting))

    asyncio.run(scene())


def test_no_more_threads_stay_than_there_may_be():
    def alive():
        return sum(thread.name == "embedbridge serve" for thread in threading.enumerate())

    test_work_that_waits_for_later_work_gets_a_thread_for_it()
    end = time.monotonic() + 20
    while alive() > THREADS and time.monotonic() < end:
        asyncio.run(run_in_thread(lambda: None))
        time.sleep(0.01)
    assert alive() <= THREADS


AT_THE_END = """
import asyncio, atexit, threading, time
from embedbridge._threads.background import in_background, run_in_thread

def ask():
    assert asyncio.run(run_in_thread(lambda: 7)) == 7 and in_background(lambda: 8).result() == 8
    print("served", flush=True)

def later():
    threading.main_thread().join()
    ask()

atexit.register(ask)
threading.Thread(target=later).start()
"""


def test_they_serve_threads_that_go_on_after_the_main_one_and_what_runs_at_exit():
    """R7, U2: an executor says "cannot schedule new futures after shutdown"."""
    source = str(Path(background.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", AT_THE_END], env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    assert (run.stdout.split(), run.stderr) == (["served"] * 2, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    asyncio.run(run_in_thread(lambda: None))
    child = os.fork()
    if child == 0:
        right = asyncio.run(run_in_thread(lambda: 7)) == 7 and in_background(lambda: 8).result() == 8
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
