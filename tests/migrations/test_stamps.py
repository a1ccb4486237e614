"""The guard's files of a move's indexes: one each, where the guard was said to be, whoever says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedbridge import ConfigurationError, guard
from embedbridge._core.space import VectorSpace
from embedbridge.migration import back, check, open_index, run, switch
from support.moving_client import documents_of

from .stores import KINDS, jsonl_file


@pytest.mark.parametrize(("said", "by"), [("named", "run"), ("docs.jsonl", "run"), ("docs.jsonl", "switch")])
def test_a_guard_that_one_step_alone_is_told_has_a_file_for_each_index(tmp_path, new, old, said, by):
    index, named = jsonl_file(tmp_path, {"id": 1, "text": "one"}), tmp_path / said
    guard(named, old)
    run(open_index(index, guard=named if by == "run" else None), new)
    before = {*tmp_path.rglob("*embedbridge-space.json")}
    switch(open_index(index, guard=named if by == "switch" else None))
    guard(named, new)
    stamped = {*tmp_path.rglob("*embedbridge-space.json")}
    (previous,) = stamped - before
    assert (len(stamped), VectorSpace.load(previous)) == (2, old.space)
    assert back(open_index(index, guard=named if by == "switch" else None)).model == "fake:16"
    guard(named, old)
    assert {*tmp_path.rglob("*embedbridge-space.json")} == before


def test_a_guard_whose_folder_is_gone_is_told_and_no_file_is_written_in_its_place(tmp_path, new, old):
    index, gone, there = jsonl_file(tmp_path, {"id": 1, "text": "one"}), tmp_path / "gone", tmp_path / "there"
    guard(gone / "docs", old)
    run(open_index(index, guard=gone / "docs"), new)
    gone.rename(there)
    for step in (switch, back, lambda index: run(index, new), lambda index: check(index, new)):
        with pytest.raises(ConfigurationError, match=r"there is no folder .*the path of today"):
            step(index)
    assert not gone.exists()
    run(open_index(index, guard=there / "docs"), new)
    switch(index)
    guard(there / "docs", new)


@pytest.mark.slow
def test_a_folder_that_a_run_is_told_to_guard_is_asked_with_its_own_model_after_the_switch(tmp_path, new, old):
    pytest.importorskip("llama_index.core")
    KINDS["llama-index"].write(tmp_path, documents_of(3), old)
    folder = Path(KINDS["llama-index"].guard.format(tmp_path))
    guard(folder, old)
    run(open_index(folder, guard=folder), new)
    kept = folder.with_name(switch(folder).kept)
    guard(folder, new)
    guard(kept, old)
    assert [back(folder).model, back(folder).model] == ["fake:16"] * 2
    guard(folder, old)
