"""Throughput over a hosted API, against the peers and the bare SDK: one server, one run, ratios only.

The peers are `langchain-openai` and `llama-index-embeddings-openai`; a row whose package is missing is left out.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.bench_server import BenchServer

pytestmark = pytest.mark.benchmark

COUNT = 10_000
PEERS = {
    "langchain_openai": "langchain_openai",
    "langchain_unchecked": "langchain_openai",
    "llama_index_openai": "llama_index.embeddings.openai",
}
AS_THEY_COME = ["langchain_openai", "llama_index_openai"]
OURS = ("numpy_sync", "langchain_face", "llama_index_face")


def contenders() -> list[str]:
    names = [*OURS, "bare_sdk", *(name for name, package in PEERS.items() if _installed(package))]
    return [*names, *(name.removesuffix("_sync") + "_async" for name in names if name != "bare_sdk")]


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def measure(name: str, url: str) -> dict[str, float]:
    script = Path(__file__).with_name("hosted_contenders.py")
    command = [sys.executable, str(script), name, url, str(COUNT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def figures():
    with BenchServer(latency=0.05, per_text=0.0001) as server:
        return {name: measure(name, server.base_url) for name in contenders()}


def test_figures(figures, board):
    title = f"{COUNT} texts of 1,300 characters by a hosted API, 1536 dimensions, base64, 50 ms + 0.1 ms a text"
    board(title, "texts/s", {name: COUNT / row["seconds"] for name, row in figures.items()})
    board(f"{title}, a text", "µs CPU", {name: row["cpu"] / COUNT * 1e6 for name, row in figures.items()})
    board(f"{title}, peak memory", "MB", {name: row["peak"] / 1024 for name, row in figures.items()})
    assert set(figures) == set(contenders())


def ratio(figures, ours, theirs, part="seconds"):
    if theirs not in figures:
        pytest.skip(f"{theirs} is not installed")
    return figures[theirs][part] / figures[ours][part]


def test_the_numpy_method_keeps_up_with_a_hand_written_loop(figures):
    assert ratio(figures, "numpy_sync", "bare_sdk") >= 0.9
    assert ratio(figures, "numpy_async", "bare_sdk") >= 0.9


@pytest.mark.parametrize("peer", AS_THEY_COME)
@pytest.mark.parametrize("mode", ["", "_async"])
def test_the_numpy_method_is_five_times_as_fast_as_a_peer(figures, peer, mode):
    assert ratio(figures, "numpy_async" if mode else "numpy_sync", peer + mode) >= 5


@pytest.mark.parametrize(
    ("face", "peer"), [("langchain_face", "langchain_openai"), ("llama_index_face", "llama_index_openai")]
)
@pytest.mark.parametrize("mode", ["", "_async"])
def test_each_face_is_four_times_as_fast_as_its_peer(figures, face, peer, mode):
    assert ratio(figures, face + mode, peer + mode) >= 4


def test_it_takes_a_third_of_the_memory_and_a_quarter_of_the_processor(figures):
    assert ratio(figures, "numpy_sync", "langchain_openai", "peak") >= 3
    assert ratio(figures, "numpy_sync", "langchain_openai", "cpu") >= 4
