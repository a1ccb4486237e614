"""`embedbridge batch` and `embed --batch`: hand a file over, and have another process take its vectors in."""

import json

import numpy as np
import pytest

from embedbridge.cli import main

TEXTS = [f"text {number}" for number in range(30)]
SAME = ["--model", "openai:text-embedding-3-small", "--dimensions", "16"]


@pytest.fixture
def run(server, tmp_path, monkeypatch, capsys):
    """Runs a command; returns its exit status and what it printed."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("EMBEDBRIDGE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("".join(f"{text}\n" for text in TEXTS))

    def command(*arguments, embedder=False):
        own = [*SAME, "--base-url", f"{server.url}/v1"] if embedder else []
        status = main([*arguments, *own])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def test_a_night_by_two_commands(run, server, tmp_path):
    status, out, err = run("batch", "submit", "corpus.txt", embedder=True)
    assert status == 0
    assert "by batch, $" in err
    assert "30 texts handed over in 1 batch" in out
    assert "30 texts" in run("batch", "status")[1]
    assert "30 of 30 texts in the cache" in run("batch", "collect")[1]
    assert run("batch", "status")[1] == "no batch is on its way\n"
    told = json.loads(run("batch", "list", "--json")[1])
    assert [(each["stored"], each["ended"]) for each in told] == [(30, True)]
    assert run("embed", "corpus.txt", "-o", "out.npy", "--no-progress", embedder=True)[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), server.vectors(TEXTS, dims=16))
    assert "/v1/embeddings" not in server.requests.counts
    saved = json.loads(run("cache", "stats", "--json")[1])["batches"]
    assert (saved["texts"], saved["dollars_saved"] > 0) == (30, True)
    assert "30 texts came by 1 batch" in run("cache", "stats")[1]


def test_the_short_way_is_a_flag_of_embed(run, server):
    told = json.loads(run("embed", "corpus.txt", "--batch", "--json", embedder=True)[1])
    assert (told["texts"], told["handed_over"], len(told["batches"])) == (30, 30, 1)
    assert told["cost"] == pytest.approx(told["ordinary_cost"] / 2)
    assert run("embed", "corpus.txt", "--batch", "skip", "-o", "o.npy", embedder=True)[0] == 1
    server.reset()
    status, _, err = run("embed", "corpus.txt", "--batch", "-o", "o.npy", embedder=True)
    assert (status, "leave one out" in err) == (1, True)


def test_a_dry_run_says_both_prices_and_sends_nothing(run, server):
    assert "by ordinary requests" in run("batch", "submit", "corpus.txt", "--dry-run", embedder=True)[1]
    assert "by --batch" in run("embed", "corpus.txt", "--dry-run", embedder=True)[1]
    assert server.requests.counts == {}


def test_what_came_to_nothing_is_handed_over_again(run, server):
    server.batches.script("expire:share=0")
    run("batch", "submit", "corpus.txt", embedder=True)
    status, out, _ = run("batch", "collect", "--again", "corpus.txt")
    assert (status, "expired (batch_expired" in out, "30 texts handed over" in out) == (0, True, True)
    server.batches.script("never")
    assert json.loads(run("batch", "collect", "--wait", "--json", "--no-progress")[1])[0]["stored"] == 30


def test_a_batch_is_cancelled_by_its_name(run, server):
    server.batches.seconds = 3600
    run("batch", "submit", "corpus.txt", embedder=True)
    (each,) = json.loads(run("batch", "list", "--json")[1])
    assert "cancelled" in run("batch", "cancel", each["id"])[1]
    status, _, err = run("batch", "cancel", "batch_of_others")
    assert (status, "no batch 'batch_of_others'" in err) == (1, True)


def test_an_error_names_the_line(run, tmp_path):
    (tmp_path / "corpus.txt").write_text("a\n\nb\n")
    status, _, err = run("batch", "submit", "corpus.txt", embedder=True)
    assert (status, "corpus.txt, line 2" in err) == (1, True)
