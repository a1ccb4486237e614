"""A pool in other processes: children of a fork, and readers of a pickle."""

from __future__ import annotations

import os
import pickle

import pytest

from cache.parts import run_python
from embedbridge import Embedder

from .conftest import MODEL

pytest.importorskip("openai")
TEXTS = [f"text {number}" for number in range(60)]

FORKED = """
import asyncio, os, sys, warnings
from embedbridge import Embedder
from embedbridge._core.proof import SHORT
from embedbridge.testing import FaultServer
from pools.conftest import always, expected, pool_of

warnings.simplefilter("ignore")  # newer Pythons warn of every fork beside threads
texts = [f"text {number}" for number in range(40)]
with FaultServer() as first, FaultServer() as second, FaultServer() as third:
    pool = pool_of(first, second, third, concurrency=6)
    third.on(always, "401")
    pool.embed(["before"] + texts)
    proofs = [each.stats.billed[SHORT[0]] for each in (first, second)]
    first.on(always, "503")
    child = os.fork()
    if not child:
        asked = [text + " of the child" for text in texts]
        result = pool.embed(asked) if sys.argv[1] == "sync" else asyncio.run(pool.aembed(asked))
        right = abs(result.vectors - expected(second, asked)).max() < 1e-6
        uses = [each.state for each in result.report.endpoints]
        print(right, uses, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print([each.stats.billed[SHORT[0]] for each in (first, second)] == proofs, third.stats.calls)
    billed = first.stats.billed + second.stats.billed
    print({times for text, times in billed.items() if text.endswith("of the child")})
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_the_child_of_a_fork_knows_what_its_parents_endpoints_have_proved_and_which_is_left_out(mode):
    """It asks for no proof again, sends nothing to the one whose key was refused, and goes round the one that fails."""
    said, proofs, billed = run_python(FORKED, mode, seconds=300).splitlines()
    assert said in {"True ['', '', 'closed']", "True ['tripped', '', 'closed']"}  # as long as a breaker is open
    assert (proofs, billed) == ("True 1", "{1}")


PICKLED = """
import pickle, sys
pool = pickle.load(open(sys.argv[1], "rb"))
result = pool.embed([f"text {number} of the reader" for number in range(20)])
print(result.vectors.shape, [each.name for each in result.report.endpoints if each.requests], pool.space.fingerprint)
"""


def test_the_reader_of_a_pickle_has_the_pool_with_keys_of_its_own_environment(pair, tmp_path, monkeypatch):
    for at in range(2):
        monkeypatch.setenv(f"KEY_{at}", f"sk-of-{at}")
    endpoints = [{"base_url": f"{each.url}/v1", "key_env": f"KEY_{at}"} for at, each in enumerate(pair)]
    with Embedder(MODEL, endpoints=endpoints, cache=tmp_path / "cache", batch_size=2) as pool:
        pool.embed(TEXTS)
        (tmp_path / "pool.pickle").write_bytes(pickle.dumps(pool))
        fingerprint = pool.space.fingerprint
    proofs = sum(request.headers["authorization"] == "Bearer sk-of-0" for request in pair[0].requests)
    monkeypatch.setenv("KEY_0", "sk-of-the-reader")
    said = run_python(PICKLED, tmp_path / "pool.pickle", seconds=300)
    assert said.startswith("(20, 1536)")
    assert fingerprint in said
    own = [request.headers["authorization"] for request in pair[0].requests]
    assert own.count("Bearer sk-of-0") == proofs
    assert b"sk-of" not in (tmp_path / "pool.pickle").read_bytes()
