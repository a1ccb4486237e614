"""A stderr that takes no more, or a log handler that never returns, holds up no call, no event loop and no exit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BEGIN = """
import asyncio, logging, os, sys, threading, time, traceback, warnings
from embedbridge import AuthenticationError, Embedder
from embedbridge.testing import FaultServer

mode, folder = sys.argv[1:]

def fail(*error):
    traceback.print_exception(*error, file=sys.stdout)
    sys.stdout.flush()
    os._exit(1)

sys.excepthook = fail

def fill(pipe):
    os.set_blocking(pipe, False)
    try:
        while True:
            os.write(pipe, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(pipe, True)

def embed(embedder, texts):
    return embedder.embed(texts) if mode == "sync" else asyncio.run(embedder.aembed(texts))

def make(server, **options):
    # an API without an SDK, which would take longer to import than all else here
    return Embedder("mistral:mistral-embed", base_url=f"{server.url}/mistral/v1", api_key="k", **options)
"""

FULL = """
read, write = os.pipe()
fill(write)
sys.stderr = os.fdopen(write, "w", buffering=1)
handler = logging.StreamHandler()
logging.getLogger("embedbridge").addHandler(handler)
logging.getLogger("embedbridge").setLevel(logging.DEBUG)

with FaultServer() as server:
    embedder = make(server, cache=folder, batch_size=4, concurrency=2)
    for number in range(5):
        embed(embedder, [f"text {n}" for n in range(number * 10, number * 10 + 20)])
    server.script("401")
    try:
        embed(embedder, ["unauthorised"])
    except AuthenticationError:
        pass
    Embedder("fake:8", cache=False, api_key="of no use")  # a warning
    results = []
    others = [threading.Thread(target=lambda n=n: results.append(embed(embedder, [f"text {n}"])), daemon=True)
              for n in range(5)]
    for other in others:
        other.start()
    for other in others:
        other.join(30)
    assert len(results) == 5
    assert server.stats.texts == 60, server.stats.texts
    # Nobody of ours holds the stream: the application may shut its own logging down.
    assert handler.lock.acquire(timeout=5)
    handler.lock.release()
print("done", flush=True)
"""

LATER = """
read, write = os.pipe()
fill(write)
sys.stderr = os.fdopen(write, "w", buffering=1)
logging.getLogger("embedbridge").addHandler(logging.StreamHandler())
logging.getLogger("embedbridge").setLevel(logging.DEBUG)
embedder = Embedder("fake:8", cache=False)
embed(embedder, ["a"])
Embedder("fake:8", cache=False, api_key="of no use")
embed(embedder, ["b"])
told = []
def drain():
    while chunk := os.read(read, 65536):
        told.append(chunk)
        if b"".join(told).count(b"CallFinished") == 2:
            break
reader = threading.Thread(target=drain, daemon=True)
reader.start()
reader.join(20)
lines = b"".join(told).decode().replace("x" * 4096, "")
names = [name for line in lines.splitlines() for name in ("CallStarted", "CallFinished", "api_key has no effect")
         if name in line]
print(names, flush=True)
"""

BLOCKED = """
class Blocking(logging.Handler):
    def emit(self, record):
        time.sleep(3600)

logging.getLogger("embedbridge").addHandler(Blocking())
warnings.showwarning = lambda *_: time.sleep(3600)
with FaultServer() as server:
    embedder = make(server, cache=folder, max_retries=0)
    server.script("401")
    try:
        embed(embedder, ["a"])
    except AuthenticationError:
        pass
    Embedder("fake:8", cache=False, api_key="of no use")
    begun = time.monotonic()
    for number in range(20):
        embed(embedder, [f"text {number}"])
    assert time.monotonic() - begun < 20
    assert server.stats.texts == 20, server.stats.texts
print("done", flush=True)
os._exit(0)  # the application's own logging waits for its handler
"""


def run(program, *arguments):
    outcome = subprocess.run(
        [sys.executable, "-c", BEGIN + program, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout.strip()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_nothing_waits_for_a_stderr_that_takes_no_more(mode, tmp_path):
    """N7, kin of W17: calls that log and warn end, others go on, each text is paid once, and the program ends."""
    assert run(FULL, mode, tmp_path) == "done"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_what_could_not_be_told_is_told_in_order_once_somebody_reads(mode, tmp_path):
    names = ["CallStarted", "CallFinished", "api_key has no effect", "CallStarted", "CallFinished"]
    assert run(LATER, mode, tmp_path) == str(names)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_handler_that_never_returns_holds_up_no_call(mode, tmp_path):
    """N7: neither a log handler of the application's own nor what shows its warnings."""
    assert run(BLOCKED, mode, tmp_path) == "done"
