"""A file of answers is read by the line: it is never held whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from embedbridge import Embedder, batch

CLIENT = """
import sys

from embedbridge import Embedder, batch
from support.memory import Peak

model, url, folder = sys.argv[1:]
with Embedder(model, base_url=url, api_key="k", cache=folder) as ours:
    batch.collect(ours, [batch.list(ours)[0].id])
    with Peak() as peak:
        (came,) = batch.collect(ours)
print(came.stored, peak.growth)
"""


def growth_of(server, folder, texts, model):
    """Bytes of memory that taking a file in needs, and bytes of the file."""
    if sys.platform != "linux":
        pytest.skip("a process's peak of memory can be reset on Linux only")
    ours = Embedder(model, base_url=f"{server.url}/v1", api_key="k", cache=folder, batch_size=100)
    batch.submit(ours, ["one first, so that everything is loaded"])
    batch.submit(ours, [f"text {number}" for number in range(texts)])
    ours.close()
    command = [sys.executable, "-c", CLIENT, model, f"{server.url}/v1", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    stored, growth = map(int, ran.stdout.split())
    size = max(map(len, server.batches.files.values()))
    assert stored == texts
    return growth, size


@pytest.mark.slow
def test_a_large_file_of_answers_is_never_held_whole(server, tmp_path):
    growth, size = growth_of(server, tmp_path, 10_000, "openai:text-embedding-3-small")
    assert size > 75 << 20
    assert growth < size / 2  # what there is of it is the cache, whose file is mapped


@pytest.mark.long
def test_half_a_gigabyte_of_answers_takes_no_more_memory(server, tmp_path):
    growth, size = growth_of(server, tmp_path, 35_000, "openai:text-embedding-3-large")
    print(f"{size:,} bytes of answers, {growth:,} bytes of memory")  # noqa: T201 - figures for who runs it by name
    assert size > 500 << 20
    assert growth < size / 4
