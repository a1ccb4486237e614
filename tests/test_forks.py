"""A child of a fork works, or says why it cannot, whatever other threads of its parent were at."""

import os

import pytest

from cache.parts import run_python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")

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
