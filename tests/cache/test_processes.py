"""Many processes and threads on one directory."""

import contextlib
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import warnings

import pytest

from cache.parts import database, hits_of, make_items, make_keys, run_python, start_python, truth
from embedbridge.cache import DiskCache, GuardedStore
from embedbridge.cache._queries import APPLICATION, check

SHARE = """
import json, random, sys, time
import numpy as np
from cache.parts import make_keys, make_vectors
from embedbridge.cache import DiskCache, GuardedStore

directory, number, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store = GuardedStore(DiskCache(directory), label="fake:16")
rows = list(range(count))
random.Random(number).shuffle(rows)
keys, vectors = make_keys(count), make_vectors(count)
print("ready", flush=True)
sys.stdin.readline()
wrong = bought = 0
for at in range(0, count, 100):
    part = rows[at : at + 100]
    hits = store.read([keys[row] for row in part])
    if len(hits.rows):
        wrong += int((hits.vectors != vectors[[part[row] for row in hits.rows]]).any(axis=1).sum())
    missing = [part[row] for row in sorted(set(range(len(part))) - set(hits.rows.tolist()))]
    if missing:
        store.write([keys[row] for row in missing], vectors[missing], [7] * len(missing), [-1] * len(missing))
    bought += len(missing)
found = len(store.read(keys).rows)
store.close()
print(json.dumps({"wrong": wrong, "bought": bought, "found": found, "faults": store.faults}))
"""


@pytest.mark.parametrize(("processes", "count"), [(3, 300), pytest.param(8, 5000, marks=pytest.mark.slow)])
def test_processes_on_the_same_texts_open_the_cache_at_once_and_lose_nothing(tmp_path, processes, count):
    processes = [start_python(SHARE, tmp_path, number, count) for number in range(processes)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = []
    for process in processes:
        with process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        answers.append(json.loads(out))
    assert all(answer["wrong"] == answer["faults"] == 0 for answer in answers)
    assert all(answer["found"] == count for answer in answers)
    assert hits_of(DiskCache(tmp_path), make_keys(count)) == truth(count)
    assert DiskCache(tmp_path).stats().entries == count


def test_a_cache_that_another_process_is_just_making_is_taken_for_nothing_else(tmp_path):
    """Else the new file is set aside as another program's, and what was stored in it is lost."""
    looking, making = (sqlite3.connect(tmp_path / "cache.db", isolation_level=None, timeout=0) for _ in range(2))
    with contextlib.closing(looking), contextlib.closing(making):

        def make(statement):
            if "user_version" in statement:
                with contextlib.suppress(sqlite3.OperationalError):  # it waits until the other has looked
                    making.executescript(f"BEGIN; CREATE TABLE Cache (key); PRAGMA application_id = {APPLICATION}; END")

        looking.set_trace_callback(make)
        assert not check(looking)


def in_child(work):
    """Run `work` in a fork; whether it ended well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on, where there are other threads
        child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # the child has nobody else to tell
            sys.stderr.write(repr(error))
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_uses_the_cache_and_leaves_the_parents_as_it_was(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put_many(make_items(10))
    cache.get_many(make_keys(10))

    def work():
        assert hits_of(cache, make_keys(10)) == truth(10)
        cache.put_many(make_items(10, start=10))
        cache.close()

    assert in_child(work)
    assert hits_of(cache, make_keys(20)) == truth(20)
    cache.put_many(make_items(10, start=20))
    assert in_child(lambda: cache.get_many(make_keys(30))[make_keys(30)[29]])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_a_thread_is_writing_waits_for_the_parents_transaction(tmp_path):
    cache, inside, go_on = DiskCache(tmp_path), threading.Event(), threading.Event()
    cache.put_many(make_items(10))

    def hold():
        with cache._database.writing():
            inside.set()
            go_on.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    threading.Timer(0.5, go_on.set).start()

    def work():
        assert hits_of(cache, make_keys(10)) == truth(10)
        cache.put_many(make_items(10, start=10))

    assert in_child(work)
    thread.join()
    assert hits_of(cache, make_keys(20)) == truth(20)


def spawned(cache, queue):
    queue.put(hits_of(cache, make_keys(10)) == truth(10))
    cache.put_many(make_items(10, start=10))
    cache.close()


def test_a_spawned_process_opens_the_cache_it_is_given(tmp_path):
    cache, context = DiskCache(tmp_path), multiprocessing.get_context("spawn")
    cache.put_many(make_items(10))
    queue = context.Queue()
    process = context.Process(target=spawned, args=(cache, queue))
    process.start()
    assert queue.get(timeout=30)
    process.join(30)
    assert hits_of(cache, make_keys(20)) == truth(20)
    queue.close()
    queue.join_thread()


def test_what_a_process_stores_another_finds_at_once(tmp_path):
    cache = DiskCache(tmp_path)
    assert not cache.get_many(make_keys(10))
    code = """
import sys
from cache.parts import make_items
from embedbridge.cache import DiskCache
DiskCache(sys.argv[1]).put_many(make_items(10))
"""
    run_python(code, tmp_path)
    assert hits_of(cache, make_keys(10)) == truth(10)


def test_a_file_replaced_by_another_process_is_noticed(tmp_path):
    cache = DiskCache(tmp_path / "c")
    cache.put_many(make_items(10))
    other = DiskCache(tmp_path / "d")
    other.put_many(make_items(10, start=10))
    other.close()
    for file in database(tmp_path / "c").parent.glob("cache.db-*"):
        file.unlink()
    database(tmp_path / "d").replace(database(tmp_path / "c"))
    assert hits_of(cache, make_keys(20)) == truth(10, start=10)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP here")
def test_a_frozen_neighbour_that_holds_no_lock_holds_nobody_up(tmp_path):
    code = """
import sys
from cache.parts import make_items
from embedbridge.cache import DiskCache
cache = DiskCache(sys.argv[1])  # kept: one that is let go of is closed in a thread, which takes locks
cache.put_many(make_items(10))
print("stored", flush=True)
sys.stdin.readline()
"""
    with start_python(code, tmp_path) as process:
        assert process.stdout.readline() == "stored\n"
        process.send_signal(signal.SIGSTOP)
        try:
            store = GuardedStore(DiskCache(tmp_path))
            assert len(store.read(make_keys(10)).rows) == 10
            store.cache.put_many(make_items(10, start=10))
            store.close()
        finally:  # a frozen process is waited for without end
            process.send_signal(signal.SIGCONT)
        process.communicate("go\n", timeout=30)
    assert store.faults == 0
