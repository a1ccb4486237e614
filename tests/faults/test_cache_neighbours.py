"""A cache that others use too: killed, locked, forked, crowded, shared with other models. Who is right pays once."""

import contextlib
import json
import multiprocessing
import os
import random
import time

import numpy as np
import pytest

from cache.parts import check_integrity, one_warning, start_python
from cache.test_deadlines import locked
from cache.test_processes import in_child
from embedbridge import Embedder
from embedbridge.testing import Latency
from support.caller import Caller
from support.waiting import until

from . import case
from .apis import COHERE, KEY, OLLAMA, OPENAI, VOYAGE
from .client import about, corpus

openai_only = pytest.mark.parametrize("api", [OPENAI], ids=str)
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

BEGIN = """
import asyncio, json, os, random, sys, warnings
from embedbridge import Embedder
from embedbridge.testing import vector_for
from faults.client import corpus
from support.caller import Caller

url, folder, mode, count = sys.argv[1:]
warnings.simplefilter("ignore")  # newer Pythons warn of every fork beside threads
texts = corpus(int(count))


def opened(cache, **options):
    return Embedder("openai:text-embedding-3-small", base_url=url, api_key="k", cache=cache, **options)


def say(what):
    os.write(1, f"{what}\\n".encode())


def in_forks(work):
    \"\"\"Do `work` in a fork for each line; modules are loaded once.\"\"\"
    with opened(False) as embedder:
        embedder.embed(["load the modules"])
    children = []
    for line in sys.stdin:
        if not (child := os.fork()):
            work(int(line))
            os._exit(0)
        yield child
"""
KILLED = (
    BEGIN
    + """
done = 0


def tell(result):
    global done
    done += len(result.vectors)
    say(done)


async def tell_all(results):
    async for result in results:
        tell(result)


def work(_):
    say(os.getpid())
    embedder, own = opened(folder, batch_size=5, concurrency=2), {"chunk_size": 10}
    if mode == "async":
        asyncio.run(tell_all(embedder.astream(texts, **own)))
    else:
        [*map(tell, embedder.stream(texts, **own))]


for child in in_forks(work):
    os.waitpid(child, 0)
    say("ended")
"""
)


@case(37)
@openai_only
@forks
@pytest.mark.slow
def test_kill_9_costs_what_was_in_flight_and_nothing_that_was_handed_over(client, server, mode):
    """Row 37: of two requests of five texts at once, at most ten texts are paid again each time, of 13 in each mode."""
    texts, rng, kept = corpus(600), random.Random(37), {}
    server.latency = Latency(base=0.01)
    with start_python(KILLED, server.url + client.api.path, client.folder, mode, len(texts)) as process:
        for _ in range(13):
            end = server.stats.served + rng.randrange(4, 16)
            print(0, file=process.stdin, flush=True)
            child = int(process.stdout.readline())
            until(lambda end=end: server.stats.served >= end or len(server.stats.billed) > len(texts), 30)
            time.sleep(rng.uniform(0, 0.02))
            with contextlib.suppress(ProcessLookupError):  # it was done
                os.kill(child, 9)
            handed_over = [int(line) for line in iter(process.stdout.readline, "ended\n")]
            kept |= {text: server.stats.billed[text] for text in texts[: max(handed_over, default=0)]}
            check_integrity(client.folder)
        process.stdin.close()
    assert kept
    server.latency = Latency()
    client.embed(texts)
    assert {text: server.stats.billed[text] for text in kept} == kept
    assert sum(paid - 1 for paid in server.stats.again().values()) <= 13 * 10


@case(43)
@openai_only
@pytest.mark.parametrize("how", ["for writing", "alone"])
def test_a_lock_of_another_process_is_waited_for_once_and_nothing_is_lost(client, server, monkeypatch, how):
    """Row 43: as long as the lock is held, what cannot be written waits in memory."""
    monkeypatch.setattr("embedbridge.cache._connection.WRITE_WAIT", 0.3)
    texts, embedder = client.fill(10), client.open(batch_size=5)
    with locked(client.folder, how) as release, one_warning("locked"):
        client.embed(corpus(40), embedder=embedder)
        client.embed(corpus(40), embedder=embedder)
        release()
    bill = client.once(corpus(40)) if how == "alone" else client.once(corpus(40)[len(texts) :])
    assert server.stats.billed == bill
    client.caller.call(embedder, "close")
    assert client.pays_for(corpus(40)) == 0


@case(43)
@openai_only
def test_a_lock_that_is_held_for_a_moment_is_waited_for_without_a_word(client, server):
    """Row 43."""
    client.fill(10)
    with locked(client.folder) as release:
        embedder = client.open(batch_size=5)
        server.on(lambda _: release() or False, "ok")
        client.embed(corpus(40), embedder=embedder)
    assert server.stats.billed == client.once(corpus(40)[10:])
    assert client.pays_for(corpus(40)) == 0


CROWD = (
    BEGIN
    + """

def work(number):
    random.Random(number).shuffle(texts)
    caller = Caller(mode)
    result = caller.embed(opened(folder, dimensions=32, batch_size=50), texts)
    wrong = sum((vector != vector_for(text, model="text-embedding-3-small", input_type="", dims=32)).any()
                for text, vector in zip(texts, result.vectors))
    caller.close()
    say(json.dumps({"wrong": int(wrong), "texts": len(result.vectors)}))


children = list(in_forks(work))
for child in children:
    os.waitpid(child, 0)
"""
)


@case(44)
@openai_only
@forks
@pytest.mark.slow
def test_eight_processes_on_the_same_texts_get_right_vectors_and_each_pays_for_a_text_once_at_most(
    client, server, mode
):
    """Row 44: processes share the cache and not their requests; another run pays nothing."""
    count, processes = 1000, 8
    with start_python(CROWD, server.url + client.api.path, client.folder, mode, count) as process:
        out, err = process.communicate("".join(f"{number}\n" for number in range(processes)), timeout=120)
    assert process.returncode == 0, err
    assert [json.loads(line) for line in out.splitlines()] == [{"wrong": 0, "texts": count}] * processes
    paid = dict(server.stats.billed)
    paid.pop("load the modules")
    assert paid.keys() == {*corpus(count)}
    assert max(paid.values()) <= processes
    check_integrity(client.folder)
    server.reset()
    client.caller.embed(client.open(dimensions=32), corpus(count))
    assert not server.stats.billed


@case(49)
@openai_only
@forks
def test_a_fork_uses_the_open_cache_and_leaves_the_parents_as_it_was(client, server, mode):
    """Row 49: the child has what the parent stored, and the parent what the child stores."""
    embedder = client.open()
    client.embed(corpus(20), embedder=embedder)

    def work():
        client.caller = Caller(mode)
        client.embed(corpus(40), embedder=embedder)
        client.caller.close()

    assert in_child(work)
    client.embed(corpus(60), embedder=embedder)
    assert server.stats.billed == client.once(corpus(60))
    check_integrity(client.folder)


@case(49)
@openai_only
@forks
def test_a_fork_while_another_thread_stores_is_right_too(client, server, mode):
    """Row 49: whatever transaction is open at that moment."""
    embedder, forked = client.open(batch_size=1, concurrency=2), []

    def work():
        client.caller = Caller(mode)
        client.embed(corpus(20), embedder=embedder)
        client.caller.close()

    def fork(event):
        if not forked and type(event).__name__ == "BatchFinished":
            forked.append(os.getpid())
            forked.append(in_child(work))

    client.embed(corpus(20), embedder=client.open(batch_size=1, concurrency=4, observers=[fork]))
    assert forked == [os.getpid(), True]
    assert max(server.stats.billed.values()) <= 2
    assert client.pays_for(corpus(20)) == 0


@case(49)
@openai_only
def test_threads_and_tasks_share_one_cache(client, server):
    """Row 49."""
    texts, embedder = corpus(60), client.open(batch_size=3)
    lists = [texts[start : start + 30] for start in range(0, 31, 2)]
    for part, outcome in zip(lists, client.caller.at_once(embedder, lists), strict=True):
        np.testing.assert_array_equal(outcome.vectors, client.api.vectors(server, part))
    assert server.stats.billed == client.once(texts)
    assert client.pays_for(texts) == 0


def spawned(embedder, mode, texts, queue):
    caller = Caller(mode)
    queue.put(caller.embed(embedder, texts).vectors)
    caller.close()


@case(49)
@openai_only
@pytest.mark.slow
def test_a_spawned_process_opens_the_cache_of_the_embedder_that_it_is_given(client, server, mode, monkeypatch):
    """Row 49."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    texts, embedder, context = corpus(20), client.open(observers=()), multiprocessing.get_context("spawn")
    client.embed(texts[:10], embedder=embedder)
    queue = context.Queue()
    process = context.Process(target=spawned, args=(embedder, mode, texts, queue))
    process.start()
    np.testing.assert_array_equal(queue.get(timeout=60), client.api.vectors(server, texts))
    process.join(30)
    queue.close()
    queue.join_thread()
    client.embed(texts, embedder=embedder)
    assert server.stats.billed == client.once(texts)


# Who may share a vector, and who may not.


def ways_to_ask(api):
    """Options and roles, each of which is answered with vectors of its own."""
    ways = [({}, "document"), ({"model": "another-model"}, "document")]
    ways += [({"model": "another-model", "dimensions": 64}, "document")] if api is OPENAI else []
    ways += [] if api.role else [({"document_prefix": "other: "}, "document")]
    return ways + ([({}, "query")] if api.role or api.prefix else [])


@case(55)
@pytest.mark.parametrize("api", [OPENAI, VOYAGE, COHERE, OLLAMA], ids=str)
def test_models_dimensions_roles_and_prefixes_share_nothing_in_one_cache(api, server, caller, tmp_path):
    """Row 55: each way to ask pays for its own vectors, and finds them again among the others'."""
    first, embedders = {}, []
    for options, role in ways_to_ask(api):
        told = dict(options)
        model = told.pop("model", api.model)
        embedder = Embedder(
            f"{api.name}:{model}",
            base_url=server.url + api.path,
            api_key=KEY,
            cache=tmp_path,
            provider_options=dict(api.options),
            **told,
        )
        with about((options, role)):
            result = caller.embed(embedder, corpus(3), input_type=role)
            assert (result.report.hits, result.report.misses) == (0, 3)
        first[embedder, role] = result.vectors
        embedders.append((embedder, role))
    for embedder, role in embedders:
        again = caller.embed(embedder, corpus(3), input_type=role)
        assert (again.report.hits, again.report.misses) == (3, 0)
        np.testing.assert_array_equal(again.vectors, first[embedder, role])
