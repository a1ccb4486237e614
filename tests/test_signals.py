"""A signal handler may embed or close whatever its thread is at: nothing hangs, and threads pay for no text twice."""

from __future__ import annotations

import contextlib
import random
import signal
import sys

import pytest

from cache.parts import run_python
from embedbridge import Embedder
from embedbridge.testing import Latency

PROGRAM = """
import asyncio, faulthandler, random, signal, sys, time
from embedbridge import Embedder, EmbeddingError
from embedbridge.testing import FaultServer

kind, mode, act, folder = sys.argv[1:5]
seconds, numbers = float(sys.argv[5]), random.Random(7)
server = FaultServer().__enter__()
hosted = {"base_url": f"{server.url}/v1", "api_key": "k", "batch_size": 2, "timeout": 10}
options = {"fake": ("fake:64", {}), "hosted": ("openai:text-embedding-3-small", hosted),
           "one at a time": ("openai:text-embedding-3-small", hosted | {"concurrency": 1})}
model, options = options[kind]
embedder = Embedder(model, cache=folder, **options)
busy, armed, done, refused, calls = False, True, 0, set(), 0

def arm():
    faulthandler.dump_traceback_later(30, exit=True)  # nobody may stand still for longer
    if armed:
        signal.setitimer(signal.ITIMER_REAL, numbers.uniform(0.0002, 0.003))

def handle(*_):
    global busy, done
    if busy:
        return
    busy = True
    try:
        if act == "close":
            embedder.close()
        else:
            texts = [f"handler {done}", f"text {numbers.randrange(50)}", f"both {calls}"]
            assert len(embedder.embed(texts).vectors) == 3
        done += 1
    except EmbeddingError as error:
        refused.add(str(error))
    busy = False
    arm()

def texts():
    global calls
    calls += 1
    return [f"text {numbers.randrange(50)}", f"both {calls}", f"main {calls}"]

async def embed_in_tasks(end):
    while time.monotonic() < end or not done:
        assert len((await embedder.aembed(texts())).vectors) == 3

embedder.embed(["warm"])
signal.signal(signal.SIGALRM, handle)
arm()
end = time.monotonic() + seconds
if mode == "async":
    asyncio.run(embed_in_tasks(end))
else:
    while time.monotonic() < end or not done:
        assert len(embedder.embed(texts()).vectors) == 3
armed = False
signal.setitimer(signal.ITIMER_REAL, 0)
embedder.close()
print(min(calls, 1), min(done, 1), sorted(refused), server.stats.again() if mode == "sync" else {})
"""

REFUSED = (
    "a signal handler cannot embed or close at this moment, because it has interrupted embedbridge at work: do it "
    "in loop.add_signal_handler, or let the handler start a thread"
)
MOMENTS = [
    pytest.param(kind, mode, act, id=f"{kind}-{mode}-{act}")
    for kind in ("fake", "hosted", "one at a time")
    for mode in ("sync", "async")
    for act in ("embed", "close")
]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such timer")


def check(kind, mode, act, folder, seconds):
    said = run_python(PROGRAM, kind, mode, act, folder, seconds, seconds=120).strip()
    allowed = [f"1 1 {refused} {{}}" for refused in ([], [REFUSED] if mode == "async" else [])]
    assert said in allowed


@pytest.mark.parametrize(("kind", "act"), [("fake", "embed"), ("one at a time", "embed"), ("hosted", "close")])
def test_a_handler_that_embeds_or_closes_finds_no_lock_held(kind, act, tmp_path):
    """N7: a call of the main thread runs in another where signals are handled, so the handler interrupts none."""
    check(kind, "sync", act, tmp_path, 0.25)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "mode", "act"), MOMENTS)
def test_a_handler_may_come_at_any_moment(kind, mode, act, tmp_path):
    """N7: in an event loop it may be refused, by name, at the moments at which its own thread holds what it needs."""
    check(kind, mode, act, tmp_path, 4)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms on this system")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a start of a thread, Python's own
def test_a_handler_that_raises_makes_no_text_be_paid_twice(server, tmp_path):
    """C11: also where it interrupts the start of a thread."""

    class Alarm(Exception):  # noqa: N818 - it is none
        pass

    def ring(*_):
        raise Alarm

    hosted = {"base_url": f"{server.url}/v1", "api_key": "k", "batch_size": 1, "concurrency": 2}
    numbers, server.latency = random.Random(5), Latency(base=0.005)
    embedder = Embedder("openai:text-embedding-3-small", cache=tmp_path, **hosted)
    embedder.embed(["warm up"])
    before = signal.signal(signal.SIGALRM, ring)
    try:
        for number in range(12):
            texts, longest = [f"{number} {part}" for part in range(6)], 0.02
            while longest:
                with contextlib.suppress(Alarm):
                    signal.setitimer(signal.ITIMER_REAL, numbers.uniform(0.001, longest))
                    longest *= 1.1  # on a machine that does other things too, a call of hits may take longer
                    embedder.embed(texts)
                    longest = 0
                    signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(server.stats.billed.values()) == {1}
    assert len(server.stats.billed) == 73
