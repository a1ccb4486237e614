"""What goes wrong around a move: a file that is written meanwhile, a full disk, files of others in its place."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cache.parts import run_python, start_python
from embedbridge import ConfigurationError, Embedder, EmbeddingError, SpaceMismatchError, guard
from embedbridge.migration import back, check, open_index, plan, run, switch

from .stores import jsonl_file


def test_a_file_that_is_written_while_it_is_read_is_read_again_and_nothing_of_it_is_built(tmp_path, new):
    rows = [{"id": number, "text": f"text {number}"} for number in range(1500)]
    index = jsonl_file(tmp_path, *rows)

    def write(done, _):
        if done == 1000:
            jsonl_file(tmp_path, {"id": "first", "text": "new"}, *rows)

    with pytest.raises(EmbeddingError, match="was written to while it was read; run the migration again"):
        run(index, new, progress=write)
    assert run(index, new).documents == 1501
    assert check(index, new).ok


def test_a_full_disk_is_told_and_the_next_run_goes_on(tmp_path, new):
    resource = pytest.importorskip("resource")
    index = jsonl_file(tmp_path, *({"id": number, "text": "one"} for number in range(2000)))
    new.embed_documents(["one"])
    before, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
        with pytest.raises(EmbeddingError, match=r"docs\.jsonl: File too large"):
            run(index, new)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert run(index, new).written == 2000


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_what_a_killed_run_was_writing_hides_neither_what_was_paid_nor_how_far_it_is(tmp_path, new):
    index = jsonl_file(tmp_path, {"id": 1, "text": "one"})
    run(index, new)
    file = f"{index}.embedbridge-migration.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as journal:
        journal.execute("INSERT INTO paid VALUES (0.5)")
    with start_python(KILLED.format(file)) as process:
        process.wait(60)
    assert Path(f"{file}-journal").exists()
    assert (plan(index, new).stage, open_index(index).paid) == ("built", 0.5)


KILLED = """
import os, sqlite3
run = sqlite3.connect({!r}, isolation_level=None).execute
run("PRAGMA cache_size = 1")
run("BEGIN IMMEDIATE")
for number in range(1000):
    run("INSERT INTO document VALUES (?, ?, 1)", (str(number), bytes(100)))
os.kill(os.getpid(), 9)
"""
"""Is killed in a transaction that has outgrown its memory."""


def test_a_journal_of_another_version_is_left_to_it(tmp_path, new):
    index = jsonl_file(tmp_path, {"id": 1, "text": "one"})
    run(index, new)
    with closing(sqlite3.connect(f"{index}.embedbridge-migration.db", isolation_level=None)) as journal:
        journal.execute("UPDATE migration SET state = json_set(state, '$.later', 1)")
    for step in (plan, run, check):
        with pytest.raises(ConfigurationError, match="another version"):
            step(index, new)
    for step in (switch, back):
        with pytest.raises(ConfigurationError, match="another version"):
            step(index)


def test_a_guards_file_that_is_damaged_is_there_again_after_the_way_back(tmp_path, new):
    old = Embedder("fake:16", cache="memory")
    index = jsonl_file(tmp_path, {"id": 1, "text": "one"})
    guard(index, old)
    file = tmp_path / "docs.jsonl.embedbridge-space.json"
    file.write_bytes(b"\xff\x00")
    with pytest.raises(SpaceMismatchError, match=r"can be asked with no model: .* is no saved vector space"):
        old.embed_query("one")
    assert plan(index, new).old_model == ""
    run(index, new)
    switch(index)
    guard(index, new)
    back(index)
    assert file.read_bytes() == b"\xff\x00"


FORKED = """
import os, sys, warnings
from embedbridge import Embedder
from embedbridge.migration import check, open_index, run
from embedbridge.migration._journal import Journal

warnings.simplefilter("ignore")  # newer Pythons warn of every fork beside threads
address, folder, ends = sys.argv[1:]
parent, children = os.getpid(), []

def fork(*_):
    if not children:
        children.append(os.fork())
        if not children[0] and ends == "ends":
            sys.exit()
        if children[0]:
            os.waitpid(children[0], 0)

with Embedder("fake:8", cache=folder) as new, open_index(address) as index:
    try:
        done = run(index, new, progress=fork)
    except Exception as error:
        for what in (index, address):
            try:
                run(what, new)
            except Exception as other:
                print("parent" if os.getpid() == parent else "child", type(other).__name__, other, flush=True)
        sys.exit()
    with Journal(index.journal) as journal, journal._transaction():
        journal._open.execute("INSERT INTO handed VALUES ('a', x'00', 1)")
        ends = "ends"
        children.clear()
        fork()
    with Journal(index.journal) as journal:
        kept = journal.handed_often({"a": bytes(1)}, 1)
    print(done.documents, kept, check(index, new).faults)
"""
"""A process that forks in the midst of a move: the child ends, or goes on with the move."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.parametrize("ends", ["ends", "goes on"])
def test_a_child_of_a_fork_leaves_the_move_to_its_parent_and_is_told_so(tmp_path, ends):
    index = jsonl_file(tmp_path, *({"id": number, "text": f"text {number}"} for number in range(1100)))
    *told, done = run_python(FORKED, index, tmp_path / "cache", ends).splitlines()
    assert done == "1100 {'a'} ()"
    if ends == "goes on":
        assert "child EmbeddingError this process was forked from the one that opened" in told[0]
        assert "child EmbeddingError another process is moving this index" in told[1]
