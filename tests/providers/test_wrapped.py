"""Objects of other makers: one caller at a time, whoever calls, and no call that outlives its deadline."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.embeddings import Embeddings

from embedbridge import DeadlineExceededError, Embedder
from embedbridge._core.types import Batch, Route
from embedbridge.errors import RequestFailed
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.providers.base import ProviderConfig
from embedbridge.providers.langchain import LangChainProvider


class Slow(Embeddings):
    """A foreign object, as slow as it is told; it counts who is in it at once, and who has been."""

    def __init__(self, seconds=0.1):
        self.seconds, self.inside, self.most, self.calls = seconds, 0, 0, 0

    def _enter(self):
        self.inside += 1
        self.calls += 1
        self.most = max(self.most, self.inside)

    def embed_documents(self, texts):
        self._enter()
        time.sleep(self.seconds)
        self.inside -= 1
        return [[1.0, len(text)] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts):
        self._enter()
        await asyncio.sleep(self.seconds)
        self.inside -= 1
        return [[1.0, len(text)] for text in texts]


class Plain:
    """One that only looks like the framework's, with a coroutine for one role or for none."""

    def embed_documents(self, texts):
        return [[1.0, len(text)] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


class WithDocuments(Plain):
    async def aembed_documents(self, texts):
        return self.embed_documents(texts)


class WithQuery(Plain):
    async def aembed_query(self, text):
        return self.embed_documents([text])[0]


def wrapped(slow, **options):
    return BridgeEmbeddings.wrap(slow, name="slow", cache=False, **options).embedder


async def entered(slow):
    while not slow.inside:  # noqa: ASYNC110 - it may be entered from any thread
        await asyncio.sleep(0.001)


def in_threads(*works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("kind", [Plain, WithDocuments, WithQuery])
def test_an_object_without_a_coroutine_for_a_role_is_asked_in_a_thread(kind):
    embedder = wrapped(kind())
    assert asyncio.run(embedder.aembed_documents(["ab"])).tolist() == [[1.0, 2.0]]
    assert asyncio.run(embedder.aembed_query("ab")).tolist() == [1.0, 2.0]


def test_threads_and_event_loops_enter_one_object_in_turn():
    slow = Slow()
    embedder = wrapped(slow)
    in_threads(
        lambda: embedder.embed(["a"]),
        lambda: asyncio.run(embedder.aembed(["b"])),
        lambda: embedder.embed(["c"]),
        lambda: asyncio.run(embedder.aembed(["d"])),
    )
    assert (slow.calls, slow.most) == (4, 1)


def test_a_task_that_waits_for_its_turn_does_not_block_its_loop():
    slow = Slow(0.3)
    embedder = wrapped(slow)

    async def scene():
        thread = threading.Thread(target=embedder.embed, args=(["a"],))
        thread.start()
        await entered(slow)
        task, beats = asyncio.create_task(embedder.aembed(["b"])), 0
        while slow.calls == 1:
            await asyncio.sleep(0.01)
            beats += 1
        await task
        thread.join()
        return beats

    assert asyncio.run(scene()) > 5
    assert slow.most == 1


def test_a_sync_call_on_an_event_loops_thread_does_not_wait_for_that_loop():
    slow = Slow()
    embedder = wrapped(slow)

    async def scene():
        task = asyncio.create_task(embedder.aembed(["a"]))
        await entered(slow)
        embedder.embed(["b"])
        await task

    asyncio.run(asyncio.wait_for(scene(), 20))
    assert slow.calls == 2


@pytest.mark.parametrize("concurrency", [1, 2, 4])
def test_a_sync_call_on_a_loops_thread_waits_neither_for_a_task_nor_for_threads_that_do(concurrency):
    """U5: a task is in the object, threads wait for their turn, and then the loop's own thread calls."""
    slow = Slow()
    embedder = wrapped(slow, concurrency=concurrency)

    async def scene():
        task = asyncio.create_task(embedder.aembed(["a"]))
        await entered(slow)
        threads = [threading.Thread(target=embedder.embed, args=([f"t{number}"],)) for number in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)  # noqa: ASYNC251 - the loop stands still, as it does in the sync call
        begun = time.monotonic()
        embedder.embed(["b"])
        took = time.monotonic() - begun
        await task
        await asyncio.gather(*(asyncio.to_thread(thread.join, 20) for thread in threads))
        return took

    assert asyncio.run(asyncio.wait_for(scene(), 60)) < 4
    assert slow.calls == 6


class Blocking(Embeddings):
    """Has the coroutines that it inherits."""

    def __init__(self):
        self.threads, self.inside, self.most = set(), 0, 0

    def embed_documents(self, texts):
        self.threads.add(threading.get_ident())
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.1)
        self.inside -= 1
        return [[1.0, len(text)] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


def test_an_object_with_inherited_coroutines_runs_in_threads_of_ours_one_caller_at_a_time():
    """C1: neither on the event loop nor in the application's threads, also when calls are cancelled meanwhile."""
    blocking = Blocking()
    embedder = wrapped(blocking)

    async def scene():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(pool := ThreadPoolExecutor(1))
        pool.submit(time.sleep, 2)
        calls = [asyncio.create_task(embedder.aembed([f"{number}"])) for number in range(6)]
        await asyncio.sleep(0.15)
        for call in calls[:3]:
            call.cancel()
        begun = time.monotonic()
        await asyncio.gather(*calls, return_exceptions=True)
        return time.monotonic() - begun

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("embedbridge._run.task_driver.GRACE", 0.01)
        assert asyncio.run(scene()) < 1.8
    assert threading.get_ident() not in blocking.threads
    assert blocking.most == 1


def test_a_task_that_is_cancelled_gives_its_turn_back():
    slow = Slow(30)
    embedder = wrapped(slow)

    async def scene():
        task = asyncio.create_task(embedder.aembed(["a"]))
        await entered(slow)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        slow.seconds = 0
        await embedder.aembed(["b"])

    asyncio.run(asyncio.wait_for(scene(), 20))


@pytest.mark.parametrize(
    "made",
    [
        lambda: wrapped(Slow(3), deadline=0.2),
        lambda: Embedder("fake:8", cache=False, deadline=0.2, provider_options={"latency": 3}),
    ],
    ids=["wrapped", "fake"],
)
def test_a_deadline_ends_a_call_that_cannot_be_told_when_to_give_up(caller, made):
    embedder, begun = made(), time.monotonic()
    with pytest.raises(DeadlineExceededError) as caught:
        caller.embed(embedder, ["a", "b"])
    assert caught.value.failed_indices == (0, 1)
    assert time.monotonic() - begun < 2.5  # far less than the object's own time, however busy the machine


def test_whoever_waits_for_its_turn_in_vain_does_not_enter_later():
    slow, one = Slow(0.5), Batch(("a",), (0,), Route("document", wire_type="document"), 1)
    provider = LangChainProvider(ProviderConfig("slow", options={"embeddings": slow}))

    def hasty():
        while not slow.inside:
            time.sleep(0.001)
        with pytest.raises(RequestFailed, match="still at work for another caller"):
            provider.ask(one, timeout=0.05)
        with pytest.raises(RequestFailed, match="still at work for another caller"):
            asyncio.run(provider.aask(one, timeout=0.05))
        slow.calls += 100

    in_threads(hasty, lambda: provider.ask(one, timeout=20))
    assert slow.calls == 101
