"""A progress bar never harms a job, whatever became of the stream that it is drawn on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from embedbridge import Embedder
from embedbridge.events import CallStarted, ModelLoading
from embedbridge.observers.progress import ProgressBar

PROGRAM = """
import io, os, sys, threading
from tqdm.auto import tqdm
from embedbridge import Embedder, ProviderUnavailableError
from embedbridge._threads.telling import warn

how = sys.argv[1]

class Terminal(io.TextIOWrapper):
    isatty = lambda self: True

if how == "none":
    sys.stderr = None
elif how == "closed":
    sys.stderr = io.StringIO(); sys.stderr.close()
elif how == "closed descriptor":
    os.close(2)
elif how == "broken pipe":
    read, write = os.pipe(); os.close(read); sys.stderr = Terminal(os.fdopen(write, "wb"))
elif how == "full pipe":
    read, write = os.pipe(); os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write, True)
    sys.stderr = Terminal(os.fdopen(write, "wb"))
elif how == "raises":
    class Raising(io.StringIO):
        def write(self, text):
            raise KeyError("of a stream of the application's own")
        isatty = lambda self: True
    sys.stderr = Raising()
elif how == "held by the application":
    tqdm.get_lock().acquire()

embedder = Embedder("fake:8", cache=False, show_progress=True)

failing = dict(base_url="http://127.0.0.1:9/v1", api_key="k", cache=False, max_retries=0)
failing = Embedder("mistral:mistral-embed", **failing)  # which imports no SDK

def tell():
    warn("of a cache, say")
    try:
        failing.embed(["a"])
    except ProviderUnavailableError:  # and not one of the log, which tells of it
        pass

def work():
    tell()
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
    [
        *("none", "closed descriptor", "full pipe", "raises", "held by the application"),
        *(pytest.param(how, marks=pytest.mark.slow) for how in ("closed", "broken pipe")),  # which raise, too
    ],
)
def test_a_job_with_a_bar_ends_whatever_became_of_the_stream(how):
    """W17, U13: and a second thread's job does too, which waited for a lock that the first had left held."""
    outcome = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], check=False, capture_output=True, text=True, timeout=90
    )
    assert outcome.stdout == "done\n", outcome.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_that_is_forked_while_a_bar_moves_has_bars_of_its_own():
    """W17: the parent's thread holds the lock of the bars for ever, as the child sees it."""
    embedder = Embedder("fake:8", cache=False, show_progress=True)
    (bar,) = [one for one in embedder._parts.emit._observers if type(one).__name__ == "ProgressBar"]
    with bar._lock:
        child = os.fork()
        if child == 0:
            embedder.embed(["a"])
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_bar_is_drawn_where_somebody_watches_and_for_more_than_a_single_query(screen, monkeypatch):
    embedder = Embedder("fake:8", cache=False, show_progress=True)
    embedder.embed(["a", "b"])
    assert "embedding (document)" in screen.readouterr().err
    embedder.embed_query("a")
    assert screen.readouterr().err == ""
    monkeypatch.undo()
    embedder.embed(["a", "b"])
    assert screen.readouterr().err == ""


def test_what_is_said_while_a_bar_stands_has_a_line_of_its_own(screen):
    bar = ProgressBar()
    bar(CallStarted(1, "sentence-transformers", "all-MiniLM-L6-v2", "document", 2, 2))
    bar(ModelLoading("sentence-transformers/all-MiniLM-L6-v2", "/a/folder"))
    bar(ModelLoading("BAAI/bge-m3", "BAAI/bge-m3"))
    written = screen.readouterr().err
    assert "\rloading local:all-MiniLM-L6-v2 …\n" in written
    assert "\rloading local:BAAI/bge-m3, from the hub …\n" in written


LOADING = """
from embedbridge import Embedder
from transformers.utils import logging

with Embedder("local:all-MiniLM-L6-v2", cache=False, show_progress=False) as embedder:
    embedder.embed_query("a")
assert logging.is_progress_bar_enabled()  # the application's own go on
"""


@pytest.mark.slow
def test_a_model_is_loaded_without_a_bar_of_transformers_own(tmp_path):
    pytest.importorskip("sentence_transformers")
    outcome = subprocess.run([sys.executable, "-c", LOADING], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert (outcome.returncode, outcome.stderr, outcome.stdout) == (0, "", "")
