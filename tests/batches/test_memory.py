"""A file of answers is read by the line: it is never held whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from embedbridge import batch

CLIENT = """
import sys

from embedbridge import Embedder, batch
from support.memory import Peak

url, folder = sys.argv[1:]
with Embedder("openai:text-embedding-3-small", base_url=url, api_key="k", cache=folder) as ours:
    batch.collect(ours, [batch.list(ours)[0].id])
    with Peak() as peak:
        (came,) = batch.collect(ours)
print(came.stored, peak.growth)
"""


@pytest.mark.slow
def test_a_large_file_of_answers_is_never_held_whole(server, embedder, tmp_path):
    if sys.platform != "linux":
        pytest.skip("a process's peak of memory can be reset on Linux only")
    ours = embedder(dimensions=None, batch_size=100)
    batch.submit(ours, ["one first, so that everything is loaded"])
    batch.submit(ours, [f"text {number}" for number in range(10_000)])
    ours.close()
    command = [sys.executable, "-c", CLIENT, f"{server.url}/v1", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    stored, growth = map(int, ran.stdout.split())
    size = max(map(len, server.batches.files.values()))
    assert (stored, size > 75 << 20) == (10_000, True)
    assert growth < size / 2  # what there is of it is the cache, whose file is mapped
