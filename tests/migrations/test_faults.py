"""What goes wrong around a move: a file that is written meanwhile, a full disk, files of others in its place."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing

import pytest

from embedbridge import ConfigurationError, Embedder, EmbeddingError, SpaceMismatchError, guard
from embedbridge.migration import back, check, plan, run, switch

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
