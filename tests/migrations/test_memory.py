"""However large an index is, a move holds a few pages of its documents at a time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedbridge import Embedder

from .engine_kinds import ENGINE_KINDS, another_database
from .stores import KINDS, Kind

CLIENT = """
import json
import sys

from embedbridge import Embedder, migration
from support.memory import highest

address, options, cache = sys.argv[1:]
found = {}
with Embedder("fake:32", cache=cache) as new, migration.open_index(address, **json.loads(options)) as index:
    for step in (migration.plan, migration.run, migration.check):
        step(index, new)
        found[step.__name__] = highest()
    for step in (migration.switch, migration.back):
        step(index)
        found[step.__name__] = highest()
print(json.dumps(found))
"""
"""A process that moves an index, and tells its peak of memory after each step, in bytes."""
PAGE = 1000
SMALL = 6_000
"""Documents that fill all that is of a fixed size, but for the caches of SQLite's connections."""
SLACK = 32 << 20
"""Bytes for those caches."""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process's peak of memory is read on Linux only")


def page_of(first: int, length: int) -> list[tuple[str, str, dict[str, int]]]:
    """Documents of so many bytes."""
    return [
        (f"d{number}", f"{number} of a corpus. ".ljust(length, "."), {"number": number})
        for number in range(first, first + PAGE)
    ]


def fill(kind: Kind, folder: Path, count: int, length: int) -> None:
    """Make an index by the page, of a model that has 16 dimensions; the JSONL file has no vectors yet."""
    with Embedder("fake:16", cache=False) as old, (folder / "docs.jsonl").open("w", encoding="utf-8") as file:
        for first in range(0, count, PAGE):
            page = page_of(first, length)
            if kind is KINDS["jsonl"]:
                file.writelines(json.dumps({"id": name, "text": text, **other}) + "\n" for name, text, other in page)
            else:
                kind.write(folder, page, old)


def peaks(kind: Kind, folder: Path, count: int, length: int) -> dict[str, int]:
    """Of a process that moves so many documents, after each step."""
    folder.mkdir()
    fill(kind, folder, count, length)
    address = kind.address.format(folder, **os.environ)
    options = {name: text.format(folder) for name, text in kind.options.items()}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLIENT, address, json.dumps(options), str(folder / "cache")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def check_bounded(name: str, folder: Path, count: int, length: int) -> None:
    """Compare the peaks for a small index and for a large one, whose documents would not fit in `SLACK`."""
    assert (count - SMALL) * length > SLACK
    kind = {**KINDS, **ENGINE_KINDS}[name]
    for module in kind.needs:
        pytest.importorskip(module, reason=f"needs {module}, of the extra 'stores'")
    found = []
    for number in (SMALL, count):
        with another_database(str(number)):
            found.append(peaks(kind, folder / str(number), number, length))
    small, large = found
    told = ", ".join(f"{step} {small[step] >> 20} and {large[step] >> 20} MiB" for step in small)
    print(f"{name}, {SMALL:,} and {count:,} documents: {told}")  # noqa: T201 - figures for who runs it by name
    assert [step for step in small if large[step] - small[step] > SLACK] == []


@pytest.mark.slow
def test_a_move_of_many_documents_takes_little_more_memory_than_one_of_few(tmp_path):
    check_bounded("jsonl", tmp_path, 20_000, 2_500)


@pytest.mark.long
def test_a_move_of_two_hundred_thousand_documents_takes_little_more_memory_than_one_of_few(tmp_path):
    check_bounded("jsonl", tmp_path, 200_000, 250)
