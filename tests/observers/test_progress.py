"""A progress bar never harms a job, whatever became of the stream that it is drawn on."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import io, os, sys, threading
from tqdm.auto import tqdm
from embedbridge import Embedder

how = sys.argv[1]
if how == "none":
    sys.stderr = None
elif how == "closed":
    sys.stderr = io.StringIO(); sys.stderr.close()
elif how == "closed descriptor":
    os.close(2)
elif how == "broken pipe":
    read, write = os.pipe(); os.close(read); sys.stderr = os.fdopen(write, "w")
elif how == "full pipe":
    read, write = os.pipe(); os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write, True)
    sys.stderr = os.fdopen(write, "w")
elif how == "raises":
    class Raising(io.StringIO):
        def write(self, text):
            raise KeyError("of a stream of the application's own")
    sys.stderr = Raising()
elif how == "held by the application":
    tqdm.get_lock().acquire()

embedder = Embedder("fake:8", cache=False, show_progress=True)

def work():
    for number in range(3):
        assert embedder.embed([f"{number} {place}" for place in range(50)]).vectors.shape == (50, 8)
    assert sum(len(part.vectors) for part in embedder.stream((str(n) for n in range(100)), chunk_size=10)) == 100

for _ in range(2):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    if thread.is_alive():
        print("hangs", flush=True)
        os._exit(1)
print("done", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize(
    "how",
    ["none", "closed", "closed descriptor", "broken pipe", "full pipe", "raises", "held by the application"],
)
def test_a_job_with_a_bar_ends_whatever_became_of_the_stream(how):
    """W17, U13: and a second thread's job does too, which waited for a lock that the first had left held."""
    outcome = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, how], check=False, capture_output=True, text=True, timeout=90
    )
    assert outcome.stdout == "done\n", outcome.stderr


def test_a_bar_is_drawn_where_there_is_a_stream(capsys):
    from embedbridge import Embedder

    Embedder("fake:8", cache=False, show_progress=True).embed(["a", "b"])
    assert "embedding (document)" in capsys.readouterr().err
