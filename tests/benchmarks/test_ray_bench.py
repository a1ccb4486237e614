"""Scale-out: one process, two of our actors on a local Ray, and two hand-written ones over langchain-openai.

The cluster is this machine, so two actors have no more processor than one process: what shows is what Ray costs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.bench_server import BenchServer

pytestmark = pytest.mark.benchmark
COUNT = 60_000  # so that the seconds in which actors start are not most of it


def measure(name: str, url: str) -> float:
    """Texts a second, in a process of its own; the cluster runs beforehand, the actors start with the clock."""
    script = Path(__file__).with_name("ray_contenders.py")
    done = subprocess.run([sys.executable, script, name, url, str(COUNT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return COUNT / float(done.stdout.splitlines()[-1])


def test_ray_with_our_actors_against_hand_written_ones(board):
    pytest.importorskip("ray")
    pytest.importorskip("langchain_openai")
    with BenchServer(latency=0.05, per_text=0.0001) as server:
        found = {
            "Ray, 2 actors: embed_dataset": measure("ours", server.base_url),
            "Ray, 2 actors: OpenAIEmbeddings in a class of one's own": measure("theirs", server.base_url),
            "one process: Embedder.stream": measure("alone", server.base_url),
        }
    board(f"{COUNT} texts of 1,300 characters by a hosted API, 1536 dimensions, scale-out", "texts/s", found)
    ours, theirs, _ = found.values()
    assert ours > theirs
