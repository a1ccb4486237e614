"""C1, W17: a signal handler that embeds while its thread is inside a call of the same embedder waits for nothing."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal, time
from embedbridge import Embedder

embedder, asked, inside = Embedder("fake:8", cache={cache!r}), 0, False

def again(*_):
    global asked, inside
    if not inside:
        inside, asked = True, asked + 1
        assert embedder.embed_query(f"query {{asked % 20}}").shape == (8,)
        inside = False

signal.signal(signal.SIGALRM, again)
signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
until = time.monotonic() + 1.5
while time.monotonic() < until or asked < 20:
    embedder.embed([f"text {{number}}" for number in range(20)])
signal.setitimer(signal.ITIMER_REAL, 0)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
@pytest.mark.parametrize("cache", ["memory", False])
def test_a_signal_handler_may_embed_in_the_middle_of_a_call(cache):
    program = [sys.executable, "-c", PROGRAM.format(cache=cache)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
