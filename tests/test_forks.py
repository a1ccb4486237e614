"""A child of a fork works, or says why it cannot, whatever other threads of its parent were at."""

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from cache.parts import run_python
from embedbridge import Embedder, EmbeddingError
from embedbridge._threads.background import in_background

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),  # newer Pythons warn of every fork beside threads
]

FORKED = """
import os, sys, threading, time, warnings
from embedbridge import Embedder
from embedbridge._threads import imports
from embedbridge.testing import FaultServer
from support.held_import import HeldImport

seconds, imports.WAIT = map(float, sys.argv[1:])
warnings.simplefilter("ignore")  # newer Pythons warn of every fork beside threads
held = HeldImport("ollama._client")
with FaultServer() as server:
    embedder = Embedder("ollama:nomic-embed-text", base_url=server.url, cache=False, deadline=20)
    parent = threading.Thread(target=embedder.embed, args=(["a"],))
    parent.start()
    held.begun.wait(20)
    threading.Timer(seconds, held.let_go.set).start()
    child = os.fork()
    if not child:
        try:
            embedder.embed(["b"])
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    parent.join()
    print(sorted(server.stats.billed.items()))
"""


def test_a_fork_waits_for_the_import_of_an_sdk_in_another_thread():
    assert run_python(FORKED, 0.3, 20) == "[('search_document: a', 1), ('search_document: b', 1)]\n"


def test_a_fork_that_does_not_wait_longer_leaves_a_child_that_says_what_to_do():
    said, billed = run_python(FORKED, 0.5, 0.1).splitlines()
    assert said.startswith("ConfigurationError: this process was forked while another thread imported ollama")
    assert "before the fork" in said
    assert billed == "[('search_document: a', 1)]"


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells of threads")
def test_a_fork_waits_for_threads_of_ours_that_end():
    """Libraries free what they hold for a thread at its very end: OpenSSL under a lock that every client needs."""
    system, key = ctypes.CDLL(None), ctypes.c_uint()
    assert system.pthread_key_create(ctypes.byref(key), ctypes.cast(system.usleep, ctypes.c_void_p)) == 0

    def end_slowly():
        system.pthread_setspecific(key, ctypes.c_void_p(300_000))
        return threading.get_native_id()

    ending = in_background(end_slowly).result()
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert not Path(f"/proc/self/task/{ending}").exists()


def test_a_stream_of_the_parent_ends_in_the_child(server):
    """Its chunks are in threads that the child does not have, so it would wait for ever, and pay for others."""
    read, write = os.pipe()
    with Embedder("openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="any", cache=False) as embedder:
        stream = embedder.stream((f"text {number}" for number in range(50)), chunk_size=10)
        next(stream)
        child = os.fork()
        if not child:
            signal.alarm(20)  # ends a child that waits
            try:
                next(stream)
            except EmbeddingError as error:
                os.write(write, str(error).encode())
            finally:
                os._exit(0)
        assert sum(len(result.vectors) for result in stream) == 40
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        assert told.read().endswith(b"begin another here")
    assert set(server.stats.billed.values()) == {1}


UNGUARDED = """
import sys, threading
import embedbridge
from embedbridge._threads import imports
from embedbridge.testing import FaultServer

found = []
class Finder:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread().name != "FaultServer" and threading.get_ident() not in imports._importing:
            found.append(name)

with FaultServer() as server:
    address = {"base_url": f"{server.url}/v1", "api_key": "any"}
    sys.meta_path.insert(0, Finder())
    pool = {"endpoints": [address, address | {"api_key": "other"}], "cache": sys.argv[1]}
    for model, options in [
        ("ollama:nomic-embed-text", {"base_url": server.url, "cache": "memory"}),
        ("openai:text-embedding-3-small", pool),
    ]:
        with embedbridge.Embedder(model, **options) as embedder:
            assert len(embedder.embed(["a", "b"]).vectors) == 2
            assert embedder.estimate(["c"]).tokens
            assert embedder.describe()
print(found)
"""


@pytest.mark.slow
def test_all_that_is_imported_for_a_call_is_what_a_fork_waits_for(tmp_path):
    assert run_python(UNGUARDED, tmp_path) == "[]\n"
