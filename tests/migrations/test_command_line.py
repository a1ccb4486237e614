"""`embedbridge migrate …`: its steps, its budget, and what it says of a flag that would not be obeyed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedbridge.cli import main
from embedbridge.migration import open_index

JUDGED = Path(__file__).parents[2] / "notebooks" / "data"
BENCH = ("bench", "--from", "fake:16", "--to", "fake:8")


def test_max_cost_of_the_command_line_counts_what_a_run_has_paid_that_was_cut_off(index, server, capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    to = ["--to", "openai:text-embedding-3-small", "--base-url", f"{server.url}/v1", "--batch-size", "10"]
    words = ["migrate", "run", str(index), *to, "--concurrency", "1", "--cache", str(index.parent / "cache")]
    assert main([*words, "--max-cost", "1e-9"]) == 1
    assert "/v1/embeddings" not in server.requests.counts
    for _ in range(3):
        assert main([*words, "--max-cost", "0.00001"]) == 1
        with open_index(index) as there:
            assert 0 < there.paid <= 0.00001
    assert len(server.stats.billed) < 60
    said = capsys.readouterr().err
    assert "were paid by runs that did not come to their end: " in said
    assert main([*words, "--max-cost", "1"]) == 0
    with open_index(index) as there:
        assert there.paid == 0
    assert set(server.stats.billed.values()) == {1}


def test_the_command_line_moves_an_index_and_moves_it_back(index, tmp_path, capsys):
    to = ["--to", "fake:8", "--cache", str(tmp_path / "cache")]
    for step, told in (
        (["plan", *to], "60 documents, 16 dimensions"),
        (["run", *to], "60 written, 0 taken out"),
        (["check", *to], "60 vectors compared"),
        (["switch"], "docs.jsonl is asked with fake:8 now"),
        (["back"], "docs.jsonl is the old index again"),
    ):
        assert main(["migrate", step[0], str(index), *step[1:]]) == 0
        assert told in capsys.readouterr().out
    index.write_text(index.read_text() + json.dumps({"id": "late", "text": "a late one"}) + "\n")
    assert main(["migrate", "check", str(index), *to]) == 1
    assert main(["migrate", "switch", str(index)]) == 1
    assert "run the migration again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "--wait", "--to", "fake:8"), "--wait and --queue-tokens go with --batch: write --batch"),
        (("run", "--batch", "pay", "--queue-tokens", "5", "--to", "fake:8"), "write --batch, without a word"),
        *(((*step, "--batch"), "write --batch pay, wait or skip here") for step in (("plan", "--to", "fake:8"), BENCH)),
        (("plan", "--normalize-l2", "--to", "fake:8"), "'jsonl' has no option --normalize-l2"),
        (("plan", "--index-option", "text=body", "--to", "fake:8"), "'jsonl' has no option 'text'"),
        (("plan", "--index-option", "api_key=hidden", "--to", "fake:8"), "a key is never an argument"),
        (("plan", "--index-option", "journal=x", "--to", "fake:8"), "write --journal FILE"),
        (("plan", "--index-option", "guard=x", "--to", "fake:8"), "write --guard PATH"),
        (("plan", "--index-option", "address=x", "--to", "fake:8"), "write INDEX"),
        (("plan", "--index-option", "text=null", "--to", "fake:8"), "write a value of text, not null"),
        (
            ("plan", "--normalize-l2", "--index-option", "normalize_L2=false", "--to", "fake:8"),
            "stands for a flag that is given too",
        ),
        (("run", "--no-cache", "--to", "fake:8"), "leave --no-cache out"),
        ((*BENCH, "--sample", "1"), "--sample is a whole number above 1"),
        ((*BENCH, "--data", "folder"), "write INDEX, of which a sample is drawn, or --data DIR"),
        (("check", "--guard", "other", "--to", "fake:8"), "was run with --guard "),
    ],
)
def test_a_flag_of_the_command_line_is_obeyed_or_refused_with_what_to_write(index, capsys, monkeypatch, words, told):
    monkeypatch.chdir(index.parent)
    monkeypatch.setenv("EMBEDBRIDGE_CACHE_DIR", str(index.parent / "cache"))
    main(["migrate", "run", index.name, "--to", "fake:8", "-q"])
    assert main(["migrate", words[0], index.name, *words[1:]]) == 1
    said = capsys.readouterr().err
    assert told in said
    assert "hidden" not in said


@pytest.mark.parametrize("flag", ["--queries=x", "--sample=5", "--journal=x", "--trust-pickle", "--index-option=a=b"])
def test_a_bench_of_judgements_takes_no_flag_of_an_index(flag, capsys):
    assert main(["migrate", *BENCH, "--data", str(JUDGED), flag]) == 1
    assert "leave out what says something of INDEX" in capsys.readouterr().err
