"""A child of a fork hands over as any other process does, whatever its parent's threads were at."""

import contextlib
import os
import threading
import time
import warnings

import pytest

from embedbridge._batch.desk import ledger_of
from embedbridge.cache import DiskCache, RedisCache

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")


@pytest.fixture(params=["disk", "redis"])
def ledger(request, tmp_path):
    if request.param == "redis":
        return ledger_of(RedisCache(request.getfixturevalue("valkey").url))
    return ledger_of(DiskCache(tmp_path))


def in_child(work):
    """What a child of a fork says, which is killed after a while."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of every fork beside threads
        child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.write(writing, work().encode())
        os._exit(0)
    os.close(writing)
    killer = threading.Timer(30, os.kill, (child, 9))
    killer.start()
    with os.fdopen(reading) as said:
        told = said.read()
    os.waitpid(child, 0)
    killer.cancel()
    return told


def test_a_child_has_the_right_to_hand_over_when_its_parent_has_done(ledger):
    has_it, may_end = threading.Event(), threading.Event()

    def hand_over():
        with ledger.submitting(10):
            has_it.set()
            may_end.wait(30)

    parent = threading.Thread(target=hand_over)
    parent.start()
    assert has_it.wait(30)
    tried, has_tried = os.pipe()
    later = threading.Thread(target=lambda: os.read(tried, 1) and may_end.set())
    later.start()

    def in_turn():
        with contextlib.suppress(Exception), ledger.submitting(0.0):
            return "first"
        os.write(has_tried, b".")
        return wait_for_it(ledger)

    told = in_child(in_turn)
    may_end.set()
    os.write(has_tried, b".")
    parent.join()
    later.join()
    assert told == "later"


def wait_for_it(ledger):
    with ledger.submitting(20):
        return "later"


def test_a_child_reads_a_ledger_that_its_parents_threads_read(ledger):
    over, seen = threading.Event(), []

    def look():
        while not over.is_set():
            seen.append(ledger.pending([b"k" * 32]) or ledger.entries())
            with ledger.submitting(10):
                pass

    parent = threading.Thread(target=look)
    parent.start()
    told = []
    for _ in range(2):
        time.sleep(0.05)
        told.append(in_child(lambda: str(len(ledger.entries())) + wait_for_it(ledger)))
    over.set()
    parent.join()
    assert told == ["0later"] * 2
