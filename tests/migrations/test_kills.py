"""Killed with -9 at any point of a run or a switch, nothing is lost, nothing is paid twice, and the old index stays."""

import json
import subprocess
import sys

import pytest

from embedbridge import Embedder
from embedbridge.testing import FaultServer
from support import moving_client
from support.moving_client import documents_of

from .engine_kinds import ENGINE_KINDS
from .stores import KINDS

ALL = [*KINDS, *ENGINE_KINDS]
KILLS = 10
"""Of a run, at least."""
QUICK = ("jsonl", "chroma", "llama-index", "LanceDB, LangChain")
"""In the quick part; the long one has all."""
FEW = (12, 6)
"""Two pages of documents, as the next repeat the second."""


@pytest.fixture
def _served(request, kind, monkeypatch) -> None:
    """The database of kinds that need one."""
    if kind.startswith("pgvector"):
        monkeypatch.setenv("TEST_POSTGRES", request.getfixturevalue("postgres"))


def a_move_with_kills(kind: str, folder, count: int, page: int, *, both: bool = False) -> int:
    """Move an index of one kind, under a program that kills every child. How many it killed."""
    ends = "both" if both else "in turn"
    for module in {**KINDS, **ENGINE_KINDS}[kind].needs:
        pytest.importorskip(module, reason=f"needs {module}, of the extra 'stores'")
    with FaultServer() as server:
        command = [sys.executable, "-W", "ignore", moving_client.__file__, kind, f"{server.url}/v1", folder]
        ran = subprocess.run(
            [*command, str(count), str(page), ends], capture_output=True, text=True, timeout=3000, check=False
        )
        assert ran.stderr == ""
        told = json.loads(ran.stdout)
        assert told["faults"] == []
        assert told["kills"] > 2 * KILLS
        assert set(server.stats.billed.values()) == {1}
    return told["kills"]


CUT_OFF = """
import json
import os
import sys

from embedbridge import Embedder, migration

address, folder, kill = sys.argv[1:]
with Embedder("fake:8", cache=folder) as new, migration.open_index(address) as index:
    if kill:
        import chromadb
        import lancedb.table

        for kind, step in ((chromadb.Collection, "upsert"), (lancedb.table.LanceTable, "add")):
            setattr(kind, step, lambda *_, **__: os.kill(os.getpid(), 9))
    migration.run(index, new)
    print(json.dumps(migration.check(index, new).faults))
"""
"""A run, killed in the midst of a store's step."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["chroma", "LanceDB, LangChain"])
def test_a_document_that_a_killed_step_took_out_is_written_again_though_it_is_again_as_it_was(kind, tmp_path):
    found = {**KINDS, **ENGINE_KINDS}[kind]
    for module in ("chromadb", "lancedb", *found.needs):
        pytest.importorskip(module, reason=f"needs {module}, of the extra 'stores'")
    first, second = documents_of(9), documents_of(9, changed=3)

    def run(documents, kill=""):
        with Embedder("fake:16", cache=False) as old:
            found.write(tmp_path, documents, old)
        command = [sys.executable, "-W", "ignore", "-c", CUT_OFF, found.address.format(tmp_path), tmp_path / "c", kill]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run(first).stdout == "[]\n"
    assert run(second, kill="kill").returncode == -9
    assert run(first).stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("kind", QUICK)
def test_an_index_that_is_killed_at_every_point_of_its_move_arrives(kind, tmp_path):
    a_move_with_kills(kind, tmp_path, *FEW)


@pytest.mark.long
@pytest.mark.usefixtures("_served")
@pytest.mark.parametrize("kind", ALL)
def test_a_switch_that_is_killed_at_any_point_can_be_completed_there_and_undone_there(kind, tmp_path):
    kills = a_move_with_kills(kind, tmp_path, *FEW, both=True)
    print(f"{kind}: {FEW[0]} documents, {kills} kills")  # noqa: T201 - figures for who runs it by name


@pytest.mark.long
@pytest.mark.usefixtures("_served")
@pytest.mark.parametrize("kind", ALL)
def test_five_thousand_documents_that_are_killed_at_every_point_of_their_move_arrive(kind, tmp_path):
    kills = a_move_with_kills(kind, tmp_path, 5_000, 1_000)
    print(f"{kind}: 5,000 documents, {kills} kills")  # noqa: T201 - figures for who runs it by name
