"""`embedbridge batch` and `embed --batch`: hand a file over, and have another process take its vectors in."""

import contextlib
import json
import threading

import numpy as np
import pytest

from embedbridge._batch import collecting
from embedbridge.cli import handing, main
from embedbridge.testing import FaultServer

TEXTS = [f"text {number}" for number in range(30)]
ASKING = {"status", "collect", "cancel"}
SAME = ["--model", "openai:text-embedding-3-small", "--dimensions", "16"]


@pytest.fixture
def run(server, tmp_path, monkeypatch, capsys):
    """Runs a command; returns its exit status and what it printed."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("EMBEDBRIDGE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("".join(f"{text}\n" for text in TEXTS))

    def command(*arguments, embedder=False):
        asks = embedder or (arguments[1] in ASKING and "--base-url" not in arguments)
        own = ["--base-url", f"{server.url}/v1"] if asks else []
        status = main([*arguments, *(SAME if embedder else []), *own])
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


@pytest.mark.parametrize("option", ['default_headers={"X-Route": "a"}', 'query={"subscription": "secret"}'])
def test_what_may_hold_a_secret_is_given_at_collect_as_at_submit(run, option):
    header = ["--option", option]
    assert run("batch", "submit", "corpus.txt", *header, embedder=True)[0] == 0
    status, out, err = run("batch", "collect")
    assert (status, out, "--option NAME=VALUE" in err) == (1, "", True)
    status, out, _ = run("batch", "collect", *header)
    assert (status, "30 of 30 texts in the cache" in out) == (0, True)


def test_a_reduction_is_not_asked_for_again(run, server, tmp_path):
    from embedbridge.reduction import PCA

    pca = tmp_path / "pca.npz"
    PCA(n_components=4).fit(server.vectors(TEXTS, dims=16)).save(pca)
    assert run("batch", "submit", "corpus.txt", "--reduction", str(pca), embedder=True)[0] == 0
    pca.rename(tmp_path / "kept.npz")
    assert "30 of 30 texts in the cache" in run("batch", "collect")[1]
    pca = tmp_path / "kept.npz"
    command = ["embed", "corpus.txt", "-o", "out.npy", "--no-progress", "--reduction", str(pca)]
    assert run(*command, embedder=True)[0] == 0
    assert np.load(tmp_path / "out.npy").shape == (30, 4)
    assert "/v1/embeddings" not in server.requests.counts


def test_again_is_by_the_model_and_the_role_of_the_batch_that_is_named(run, server):
    other = ["--model", "openai:text-embedding-3-large", "--base-url", f"{server.url}/v1"]
    server.batches.script("expire:share=0", "ok")
    run("batch", "submit", "corpus.txt", "--input-type", "query", embedder=True)
    run("batch", "submit", "corpus.txt", *other)
    first, second = json.loads(run("batch", "list", "--json")[1])
    status, _, err = run("batch", "collect", "--again", "corpus.txt")
    assert (status, first["id"] in err, second["id"] in err, "name one" in err) == (1, True, True, True)
    status, _, err = run("batch", "collect", first["id"], "--again", "corpus.txt", "--max-cost", "0.0000001")
    assert (status, "--max-cost" in err, len(server.batches.made)) == (1, True, 2)
    told = json.loads(run("batch", "collect", first["id"], "--again", "corpus.txt", "--json")[1])  # one document
    assert [each["id"] for each in told["batches"]] == [first["id"]]
    assert [(each["model"], each["input_type"]) for each in told["again"]["batches"]] == [(first["model"], "query")]
    assert len(json.loads(run("batch", "list", "--json", "--model", first["model"])[1])) == 2


def test_waiting_sees_what_others_hand_over_meanwhile(run, server, tmp_path, monkeypatch):
    monkeypatch.setattr(collecting, "FIRST_PAUSE", 0.2)
    server.batches.script("ok", "ok")
    server.batches.seconds = 0.8
    run("batch", "submit", "corpus.txt", embedder=True)
    (tmp_path / "more.txt").write_text("one more\n")
    beside = threading.Timer(0.2, main, [["batch", "submit", "more.txt", *SAME, "--base-url", f"{server.url}/v1"]])
    beside.start()
    status, out, _ = run("batch", "collect", "--wait", "--no-progress")
    beside.join()
    assert (status, "30 of 30 texts" in out, "1 of 1 text in" in out) == (0, True, True)


def test_what_was_handed_over_before_an_error_is_told(run, server, monkeypatch):
    monkeypatch.setattr(handing, "CHUNK", 20)
    most = str(20 * 9 * 0.01 / 1e6)
    status, _, err = run("batch", "submit", "corpus.txt", "--max-cost", most, embedder=True)
    assert (status, "20 texts of the file were handed over before, in batch_" in err) == (1, True)
    assert len(server.batches.made) == 1
    assert "30 texts" not in run("batch", "status")[1]


def test_texts_on_their_way_have_no_price(run, server):
    server.batches.seconds = 3600
    run("batch", "submit", "corpus.txt", embedder=True)
    told = json.loads(run("batch", "submit", "corpus.txt", "--dry-run", "--json", embedder=True)[1])
    assert (told["pending"], told["tokens"], told["cost"], told["ordinary_cost"]) == (30, 0, 0, 0)
    told = json.loads(run("embed", "corpus.txt", "--dry-run", "--json", "--batch", "skip", embedder=True)[1])
    assert (told["pending"], told["cost"], told["requests"]) == (30, 0, 0)
    told = json.loads(run("embed", "corpus.txt", "--dry-run", "--json", embedder=True)[1])
    assert (told["pending"], told["cost"] > 0, told["batch_cost"]) == (30, True, 0)


def test_a_lost_batch_is_told_and_forgotten(run, server):
    server.batches.script("gone")
    run("batch", "submit", "corpus.txt", embedder=True)
    (each,) = json.loads(run("batch", "collect", "--wait", "--json", "--no-progress")[1])
    assert (each["lost"], each["ended"]) == (True, False)
    assert "forget it" in run("batch", "status")[1]
    assert "forgotten" in run("batch", "forget", each["id"])[1]
    assert "30 texts handed over" in run("batch", "submit", "corpus.txt", embedder=True)[1]


def test_a_batch_of_which_nobody_is_sure_is_forgotten_by_its_name(run, server):
    server.on(lambda request: request.path == "/v1/batches" and request.method == "POST", "500", times=1)
    status, _, err = run("batch", "submit", "corpus.txt", embedder=True)
    assert (status, "is not sure" in err) == (1, True)
    (each,) = json.loads(run("batch", "status", "--json")[1])
    assert (each["state"], each["ended"]) == ("not sure", False)
    assert "30 texts on their way already" in run("batch", "submit", "corpus.txt", embedder=True)[1]
    assert "not made (forgotten)" in run("batch", "forget", each["id"])[1]
    assert "30 texts handed over" in run("batch", "submit", "corpus.txt", embedder=True)[1]


def test_a_damaged_ledger_is_named_by_every_command(run, tmp_path):
    run("batch", "submit", "corpus.txt", embedder=True)
    ledger = tmp_path / "cache" / "batches.db"
    ledger.write_bytes(b"no ledger at all" * 100)
    for command in ("status", "collect", "list", "cancel"):
        status, _, err = run("batch", command)
        assert (command, status, "it is damaged" in err) == (command, 1, True)
    assert run("cache", "stats")[0] == 1


def test_what_a_command_takes_it_obeys_or_refuses(run, tmp_path):
    elsewhere = ("--cache", str(tmp_path / "elsewhere"))
    assert (
        "batch collect, with the same --cache and --base-url"
        in run("batch", "submit", "corpus.txt", *elsewhere, embedder=True)[1]
    )
    assert run("batch", "collect", "-q", *elsewhere)[:2] == (0, "")
    assert "30 of 30" in run("batch", "list", *elsewhere)[1]
    status, _, err = run("batch", "collect", "--max-cost", "1", "--column", "text")
    assert (status, "--max-cost, --column" in err, "--again" in err) == (1, True, True)
    status, _, err = run("embed", "corpus.txt", "--batch", "--to", "npy", embedder=True)
    assert (status, "for --to; leave one out" in err) == (1, True)
    for where in (("-m", "fake:16"), ("--no-cache", *SAME)):
        status, out, err = run("batch", "submit", "corpus.txt", "--dry-run", *where)
        assert (status, out, err.startswith("error: ")) == (1, "", True)


def test_no_ledger_decides_where_a_key_goes(run, server, valkey):
    """A ledger in a shared Redis is whoever's: its `base_url` got the key of the environment."""
    with FaultServer() as other, contextlib.closing(valkey.client()) as redis:
        there = ("--cache", valkey.url)
        server.batches.seconds = 3600
        run("batch", "submit", "corpus.txt", *there, embedder=True)
        (made,) = json.loads(run("batch", "list", "--json", *there)[1])
        assert len(run("batch", "list", "--base-url", server.url, *there)[1].splitlines()) == 1
        assert "no batch" in run("batch", "list", "--base-url", "http://elsewhere", *there)[1]
        (entry,) = redis.scan_iter("embedbridge:batch:1:of:*")
        written = json.loads(json.loads(redis.hget(entry, "made_by")))
        asked = len(server.requests)
        for forged, told in (
            ({"base_url": f"{other.url}/v1"}, f"write --base-url {other.url}/v1; if not, forget the batch"),
            ({"base_url": None}, "handed over to the vendor's own address, and requests go to"),
            ({"base_url": f"{other.url}/v1; sh"}, f"--base-url '{other.url}/v1; sh'"),
            ({"endpoints": [{"base_url": other.url}], "base_url": other.url}, "and requests go to"),
            ({"provider_options": {"proxy": other.url}}, "never written down stand in the ledger: proxy"),
            ({"provider_options": {"verify": False}}, "in the ledger: verify"),
            ({"provider_options": {"default_headers": {"X-A": "b"}}}, "in the ledger: default_headers"),
            ({"provider_options": [1]}, "does not hold the options of an embedder"),
        ):
            redis.hset(entry, "made_by", json.dumps(json.dumps(written | forged)))
            for command in ("status", "collect", "cancel"):
                status, _, err = run("batch", command, *there)
                assert (status, told in err, made["id"] in err) == (1, True, True), (command, forged, err)
        assert (len(other.requests), len(server.requests)) == (0, asked)
        redis.hset(entry, "made_by", json.dumps(json.dumps(written)))
        status, _, err = run("batch", "status", "--base-url", f"{other.url}/v1", *there)
        assert (status, len(other.requests), f"--base-url {server.url}/v1" in err) == (1, 0, True)
        assert run("batch", "status", *there)[0] == 0
        redis.hset(entry, "made_by", json.dumps("no options"))
        assert "forgotten" in run("batch", "forget", made["id"], *there)[1]  # which sends nothing
