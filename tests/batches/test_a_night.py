"""The night: texts are handed over once, come back in any state, and are found by an ordinary call the next day."""

import json
import sqlite3
import time
from base64 import urlsafe_b64encode

import numpy as np
import pytest

from embedbridge import (
    BudgetExceededError,
    ConfigurationError,
    DeadlineExceededError,
    Embedder,
    InvalidInputError,
    InvalidResponseError,
    ProviderUnavailableError,
    batch,
)
from embedbridge._batch import collecting, making
from embedbridge._core import flow
from embedbridge.cache import MemoryCache
from embedbridge.errors import EmbeddingError

from .conftest import WIDTH

pytestmark = pytest.mark.one_flow
TEXTS = [f"text {number} of a corpus" for number in range(50)]


def truth(server, texts=TEXTS):
    return server.vectors(texts, dims=WIDTH)


def lines_of(server):
    """Names of the texts of every line that was ever made a batch of."""
    return [text for made in server.batches.made for _, body in made.asked for text in body["input"]]


def test_what_is_handed_over_tonight_is_found_tomorrow(caller, server, embedder):
    ours = embedder()
    caller.embed(ours, TEXTS[:5])
    done = caller.call(batch, "submit", ours, [*TEXTS, *TEXTS])
    assert (done.texts, done.pending, done.left, len(done.batches)) == (45, 0, 0, 1)
    assert done.cost == pytest.approx(done.ordinary_cost / 2)
    (came,) = caller.call(batch, "collect", embedder())
    assert (came.ended, came.stored, came.state, came.reason) == (True, 45, "completed", "")
    result = caller.embed(embedder(), TEXTS)
    np.testing.assert_array_equal(result.vectors, truth(server))
    assert (result.report.requests, result.report.hits) == (0, 50)
    assert server.stats.again() == {}


def test_a_text_that_is_on_its_way_is_not_handed_over_again(caller, server, embedder):
    server.batches.seconds = 3600
    caller.call(batch, "submit", embedder(), TEXTS[:30])
    done = caller.call(batch, "submit", embedder(), TEXTS)
    assert (done.texts, done.pending) == (20, 30)
    assert sorted(lines_of(server)) == sorted(TEXTS)
    assert [each.state for each in caller.call(batch, "status", embedder())] == ["in_progress"] * 2
    server.batches.advance(3600)
    assert {each.stored for each in caller.call(batch, "collect", embedder())} == {30, 20}
    assert caller.call(batch, "status", embedder()) == []
    assert [each.ended for each in caller.call(batch, "list", embedder())] == [True, True]


def test_an_ordinary_answer_and_a_line_lie_in_the_cache_as_the_same_bytes(embedder, tmp_path):
    embedder(cache=tmp_path / "usual").embed(TEXTS, input_type="query")
    handed = embedder(cache=tmp_path / "handed")
    batch.submit(handed, TEXTS, input_type="query")
    batch.collect(handed, wait=True)
    handed.close()
    rows = []
    for name in ("usual", "handed"):
        (file,) = (tmp_path / name / "entries").glob("*.db")
        found = sqlite3.connect(file).execute("SELECT key, value FROM Cache").fetchall()
        rows.append({bytes(key): bytes(value)[-4 * WIDTH - 4 : -4] for key, value in found})
    assert rows[0] == rows[1]
    assert len(rows[0]) == len(TEXTS)


SPOILED = {
    "reverse": 50,
    "again:n=2": 50,
    "foreign": 50,
    "lose:n=2": 30,
    "errors:n=2": 30,
    "narrow:line=1;n=8": 40,
    "expire:share=0.4": 20,
    "invalid": 0,
    "queuefull": 0,
    "reverse+again+lose+errors+foreign": 40,
}
"""Fault → vectors of fifty texts in five lines that come back sound."""


def test_what_is_sound_is_kept_and_the_rest_are_misses_again(caller, server, embedder):
    faults = []
    for spec, stored in SPOILED.items():
        texts = [f"{text} {spec}" for text in TEXTS]
        server.reset()
        server.batches.script(spec)
        caller.call(batch, "submit", embedder(batch_size=10), texts)
        (came,) = caller.call(batch, "collect", embedder())
        result = caller.embed(embedder(), texts)
        right = np.array_equal(result.vectors, truth(server, texts))
        told = bool(came.reason) or spec in {"reverse", "again:n=2", "lose:n=2"}
        if not (came.ended and right and told) or (came.stored, result.report.hits) != (stored, stored):
            faults.append((spec, came, result.report))
    assert faults == []


@pytest.mark.parametrize("fault", ["html:status=200", "truncate"])
def test_a_page_or_a_part_in_place_of_the_answers_ends_nothing(caller, server, embedder, fault):
    caller.call(batch, "submit", embedder(), TEXTS)
    server.script("ok", fault)
    with pytest.raises(ProviderUnavailableError, match="collect again"):
        caller.call(batch, "collect", embedder())
    (came,) = caller.call(batch, "collect", embedder())
    assert (came.ended, came.stored) == (True, 50)
    assert caller.embed(embedder(), TEXTS).report.requests == 0
    assert server.stats.again() == {}


def test_an_answer_without_vectors_is_an_answer_that_came(caller, server, embedder):
    caller.call(batch, "submit", embedder(batch_size=10), TEXTS)
    caller.call(batch, "status", embedder())
    name = f"{server.batches.made[0].id}-output"
    for at, body in ((0, {"object": "list"}), (4, {"object": "list", "data": 3})):
        lines = [json.loads(line) for line in server.batches.files[name].splitlines()]
        lines[at]["response"]["body"] = body
        server.batches.files[name] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    (came,) = caller.call(batch, "collect", embedder())
    assert (came.ended, came.stored, "no list of vectors" in came.reason) == (True, 30, True)


def test_what_came_to_nothing_is_handed_over_again_if_one_says_so(caller, server, embedder):
    server.batches.script("expire:share=0")
    caller.call(batch, "submit", embedder(), TEXTS)
    with pytest.raises(InvalidInputError, match="list"):
        caller.call(batch, "collect", embedder(), again="abc")
    expired, anew = caller.call(batch, "collect", embedder(), again=TEXTS)
    assert (expired.state, expired.stored, anew.ended) == ("expired", 0, False)
    assert anew.texts == 50
    assert server.stats.again() == {}


def test_a_batch_that_is_cancelled_ends(caller, server, embedder):
    server.batches.script("never")
    caller.call(batch, "submit", embedder(), TEXTS)
    (told,) = caller.call(batch, "cancel", embedder())
    assert told.state == "cancelled"
    (came,) = caller.call(batch, "collect", embedder())
    assert (came.ended, came.stored) == (True, 0)


def test_waiting_ends_with_the_batch_or_with_its_time(caller, server, embedder):
    server.batches.seconds = 0.3
    caller.call(batch, "submit", embedder(), TEXTS)
    (came,) = caller.call(batch, "collect", embedder(), wait=True)
    assert came.stored == 50
    server.batches.script("never")
    caller.call(batch, "submit", embedder(), ["one more"])
    with pytest.raises(EmbeddingError, match=r"1 batches have not ended|the deadline passed"):
        caller.call(batch, "collect", embedder(), wait=True, timeout=0.2)


def test_collecting_keeps_to_its_time_and_to_the_deadline(caller, server, embedder):
    server.batches.script("never", "ok")
    for texts in (TEXTS[:25], TEXTS[25:]):
        caller.call(batch, "submit", embedder(), texts)
    with pytest.raises(DeadlineExceededError):
        caller.call(batch, "collect", embedder(deadline=0.5), wait=True)
    with pytest.raises(DeadlineExceededError, match="1 batches have not ended after 0 s"):  # one look
        caller.call(batch, "collect", embedder(), wait=True, timeout=0)
    assert [each.stored for each in caller.call(batch, "list", embedder())] == [0, 25]
    server.on(lambda request: request.method == "GET", "stall")
    for options, given in (({}, {"timeout": 0.5}), ({"deadline": 0.5}, {"timeout": 60}), ({"deadline": 0.5}, {})):
        begun = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            caller.call(batch, "collect", embedder(**options), **given)
        assert time.monotonic() - begun < 20


def test_a_text_that_no_queue_has_room_for_is_named_before_anything_is_sent(caller, server, embedder):
    with pytest.raises(InvalidInputError, match=r"text 2 has about .* queue_tokens=20 has never room for it") as caught:
        caller.call(batch, "submit", embedder(), [*TEXTS[:2], "long " * 50, *TEXTS], queue_tokens=20)
    assert caught.value.index == 2
    assert server.requests.counts == {}


def spoil_counts(server, count):
    """The vendor says of every batch that so many of its lines were answered."""
    server.batches.counts = lambda *_: (count, 0)


def test_a_line_that_the_vendor_counts_as_answered_and_has_as_an_error_is_an_error(caller, server, embedder):
    spoil_counts(server, 5)
    server.batches.script("errors:n=2")
    caller.call(batch, "submit", embedder(batch_size=10), TEXTS)
    (came,) = caller.call(batch, "collect", embedder())
    assert (came.ended, came.stored, came.reason) == (True, 30, "server_error (2 lines)")


def test_what_a_file_lacks_after_two_days_is_not_waited_for(caller, server, embedder, monkeypatch):
    spoil_counts(server, 5)
    server.batches.script("lose:n=1")
    caller.call(batch, "submit", embedder(batch_size=10), TEXTS)
    with pytest.raises(ProviderUnavailableError, match="did not come whole"):
        caller.call(batch, "collect", embedder())
    later = time.time() + collecting.PATIENCE
    monkeypatch.setattr(time, "time", lambda: later)
    (came,) = caller.call(batch, "collect", embedder())
    assert (came.ended, came.stored, came.reason) == (True, 40, "no answer came (1 lines)")


def test_files_keep_to_the_limits_of_the_api_and_of_the_account(server, embedder, monkeypatch):
    from dataclasses import replace

    from embedbridge.providers._openai_batches import OpenAIBatches

    monkeypatch.setattr(OpenAIBatches, "limits", replace(OpenAIBatches.limits, texts=20, lines=4))
    done = batch.submit(embedder(batch_size=4), TEXTS)
    assert [(each.texts) for each in done.batches] == [16, 16, 16, 2]
    assert all(len(made.asked) <= 4 for made in server.batches.made)
    few = batch.submit(
        embedder(batch_size=4), [f"other {number}" for number in range(12)], queue_tokens=done.tokens + 20
    )
    assert 0 < few.texts < 12
    assert few.texts + few.left == 12


def test_no_more_is_handed_over_than_max_cost_allows(caller, server, embedder):
    texts = ["x" * 1000 for _ in range(10)]
    texts = [f"{number}{text}" for number, text in enumerate(texts)]
    most = 10_010 * 0.02 / 1e6
    with pytest.raises(BudgetExceededError, match="none of these texts was handed over"):
        caller.call(batch, "submit", embedder(max_cost=most * 0.1), texts)
    assert server.requests.counts == {}
    caller.call(batch, "submit", embedder(max_cost=most * 0.6), texts)
    assert len(server.batches.made) == 1


def test_a_batch_that_is_refused_costs_nothing(caller, server, embedder):
    ours = embedder(max_cost=1.0)
    for path, said in (("/v1/files", "the file of lines is refused: status 400"), ("/v1/batches", "no text of yours")):
        server.on(lambda request, path=path: request.path == path and request.method == "POST", f"400:message={said}")
        with pytest.raises(EmbeddingError, match="status 400"):
            caller.call(batch, "submit", ours, TEXTS)
        server.reset()
    purse = ours._start(None).purse
    assert (purse.spent, purse.booked) == (0, 0)
    assert caller.call(batch, "submit", ours, TEXTS).texts == 50


def test_the_key_stays_out_of_files_and_out_of_redirects_to_others(caller, server, embedder, tmp_path):
    from embedbridge.testing import FaultServer

    batch.submit(embedder(), TEXTS)
    ledger = (tmp_path / "batches.db").read_bytes()
    assert b"text 7" not in ledger
    assert b"sk-not-a-real-key" not in ledger
    batch.collect(embedder())
    with FaultServer() as other:
        other.batches = server.batches
        for host in ("127.0.0.1", "localhost"):
            server.batches.script(f"elsewhere:to={other.url.replace('127.0.0.1', host)}")
            caller.call(batch, "submit", embedder(), [f"answered at {host}"])
        with pytest.raises(InvalidResponseError, match="none of openai's own"):
            caller.call(batch, "collect", embedder())
        assert [request.path[-8:] for request in other.requests] == ["/content"]
        assert not {"authorization", "cookie"} & set(other.requests[0].headers)
    assert [each.stored for each in batch.list(embedder())] == [50, 1, 0]


def test_long_texts_are_cut_or_split_as_in_an_ordinary_call(embedder, tmp_path):
    for policy in ("truncate", "mean"):
        texts = ["a b c " * 4000, *TEXTS]
        batch.submit(embedder(too_long=policy, cache=tmp_path / policy), texts)
        batch.collect(embedder(too_long=policy, cache=tmp_path / policy))
        result = embedder(too_long=policy, cache=tmp_path / policy).embed(texts)
        usual = embedder(too_long=policy, cache=tmp_path / f"usual {policy}").embed(texts)
        np.testing.assert_array_equal(result.vectors, usual.vectors)
        assert (result.report.requests, result.report.cut_texts) == (0, 1)


def test_a_text_that_may_be_too_long_is_refused_alone_where_nobody_counts_exactly(server, tmp_path):
    ours = Embedder(
        "voyage:voyage-3.5", base_url=f"{server.url}/voyage/v1", api_key="k", cache=tmp_path, too_long="mean"
    )
    batch.submit(ours, ["word " * 30_000, *TEXTS])
    assert not ours._shared.flights._watched  # what handing over has looked at is not watched for ever
    (came,) = batch.collect(ours)
    assert came.stored >= 50
    assert ours.embed(TEXTS).report.requests == 0


def test_one_batch_that_is_lost_or_wrong_keeps_no_other_waiting(caller, server, embedder):
    server.batches.script("ok", "elsewhere:to=http://localhost:9", "ok")
    for texts in (TEXTS[:10], TEXTS[10:20], TEXTS[20:]):
        caller.call(batch, "submit", embedder(), texts)
    lost = server.batches.made.pop(0)
    with pytest.raises(InvalidResponseError, match="none of openai's own"):
        caller.call(batch, "collect", embedder())
    first, second, third = caller.call(batch, "list", embedder())
    assert (first.id, first.state, second.ended, third.stored) == (lost.id, "not found", False, 30)
    assert caller.call(batch, "cancel", embedder(), lost.id)[0].ended
    assert caller.call(batch, "submit", embedder(), TEXTS[:10]).texts == 10
    assert caller.call(batch, "forget", embedder(), second)[0].ended  # its answers are where nobody goes
    assert caller.call(batch, "submit", embedder(), TEXTS[10:20]).texts == 10


def test_a_file_that_the_vendor_cannot_give_keeps_no_other_waiting(caller, server, embedder):
    for texts in (TEXTS[:10], TEXTS[10:20], TEXTS[20:]):
        batch.submit(embedder(), texts)
    first = batch.list(embedder())[0]
    server.on(lambda request: f"/{first.id}-output" in request.path, "500")
    with pytest.raises(ProviderUnavailableError, match="500"):
        caller.call(batch, "collect", embedder(max_retries=0))
    assert [each.stored for each in batch.list(embedder())] == [0, 10, 30]


def test_a_line_that_did_not_come_is_told(server, embedder):
    server.batches.script("lose:n=1")
    batch.submit(embedder(batch_size=10), TEXTS[:30])
    (came,) = batch.collect(embedder())
    assert (came.stored, came.reason) == (20, "no answer came (1 lines)")


def test_a_list_that_never_ends_is_an_error(caller, server, embedder):
    page = {"data": [{"id": "batch_other", "status": "completed"}], "has_more": True}
    json_of = urlsafe_b64encode(json.dumps(page).encode()).decode()
    server.on(lambda request: request.method == "POST" and request.path.endswith("/batches"), "500", times=1)
    server.on(lambda request: request.method == "GET" and request.path.endswith("/batches"), f"body:json={json_of}")
    with pytest.raises(EmbeddingError, match="has no end"):
        caller.call(batch, "submit", embedder(max_retries=0), TEXTS)


def test_what_cannot_be_handed_over_is_refused_with_the_reason(embedder, tmp_path, server):
    azure = Embedder(
        "azure:text-embedding-3-small",
        base_url=server.url,
        api_key="k",
        cache=tmp_path,
        provider_options={"api_version": "2024-10-21"},
    )
    for ours, why in (
        (azure, "Azure lists no embedding model"),
        (Embedder("fake:8", cache=tmp_path), "no batch API"),
        (embedder(cache=False), "only a cache keeps them"),
        (embedder(cache=MemoryCache()), "gone with the process"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            batch.submit(ours, TEXTS)
    with pytest.raises(InvalidInputError, match="text 1 is None"):
        batch.submit(embedder(), ["a", None])
    with pytest.raises(ConfigurationError, match="no batch 'x' is in the ledger"):
        batch.status(embedder(), ["x"])
    assert server.requests.counts == {}
    (made,) = batch.submit(embedder(), TEXTS).batches
    others = embedder(provider_options={"default_headers": {"X-Route": "a"}})
    with pytest.raises(ConfigurationError, match="base_url or options, such as headers"):
        batch.status(others, made)


def test_what_is_of_another_kind_is_refused_by_name(caller, embedder):
    ours = embedder()
    faults = []
    for name, arguments, options, told in (
        ("submit", ("no embedder", TEXTS), {}, "embedder: give an Embedder, not str"),
        ("submit", (ours.as_langchain(), TEXTS), {}, "give its .embedder"),
        ("submit", (ours, TEXTS), {"queue_tokens": "3"}, "queue_tokens is a whole number"),
        ("submit", (ours, TEXTS), {"input_type": 3}, "input_type"),
        ("submit", (ours, "abc"), {}, "list"),
        ("status", (ours, 3), {}, "batches: give names"),
        ("status", (ours, [3]), {}, "batches: give names"),
        ("collect", (ours,), {"wait": True, "timeout": "3"}, "timeout: seconds"),
        ("collect", (ours,), {"timeout": float("nan")}, "timeout: seconds"),
        ("collect", (ours,), {"again": 3}, "texts"),
        ("collect", (ours,), {"again": ["a", 3]}, "text 1 is"),
        ("collect", (ours,), {"wait": "yes"}, "wait is True or False; not 'yes'"),
        ("collect", (ours,), {"wait": 1}, "wait is True or False"),
        ("collect", (ours,), {"input_type": "doc"}, "input_type"),
        ("collect", (ours, {"a"}), {}, "batches: give names"),
        ("cancel", (ours, [None]), {}, "batches: give names"),
        ("submit", (ours, TEXTS), {"queue_tokens": True}, "queue_tokens is a whole number"),
        ("submit", (ours, TEXTS), {"queue_tokens": 0}, "queue_tokens is a whole number"),
        ("submit", (ours, {"a": 1}), {}, "list"),
        ("forget", (ours, None), {}, "batches: name those"),
        ("list", (3,), {}, "embedder: give an Embedder"),
    ):
        try:
            caller.call(batch, name, *arguments, **options)
            faults.append((name, arguments, options))
        except EmbeddingError as error:
            if told not in str(error):
                faults.append((name, options, str(error)))
    assert faults == []


def test_a_star_import_leaves_pythons_names_alone():
    names = {}
    exec("from embedbridge.batch import *", names)  # noqa: S102 - what is shown
    assert "list" not in names
    assert "submit" in names


def test_usage_has_what_a_batch_cost(caller, embedder):
    caller.call(batch, "submit", embedder(), TEXTS)
    ours = embedder()
    (came,) = caller.call(batch, "collect", ours)
    assert (ours.usage.cost, ours.usage.tokens) == (pytest.approx(came.cost), came.tokens)
    caller.call(batch, "collect", ours)
    assert ours.usage.cost == pytest.approx(came.cost)


def test_what_was_handed_over_before_a_failure_is_told(caller, server, embedder, monkeypatch):
    from dataclasses import replace

    from embedbridge.providers._openai_batches import OpenAIBatches

    monkeypatch.setattr(OpenAIBatches, "limits", replace(OpenAIBatches.limits, texts=20))
    seen = []

    def second(request):
        seen.extend([1] * (request.path == "/v1/files"))
        return request.path == "/v1/files" and len(seen) > 1

    server.on(second, "400")
    with pytest.raises(EmbeddingError, match="20 texts were handed over before it, in batch_"):
        caller.call(batch, "submit", embedder(batch_size=20), TEXTS)
    assert [each.texts for each in caller.call(batch, "list", embedder())] == [20]


def test_waiting_for_a_lost_batch_ends(caller, server, embedder, monkeypatch):
    monkeypatch.setattr(flow, "FIRST_LOOK", 0.05)
    batch.submit(embedder(), TEXTS)
    server.batches.made.clear()
    with pytest.raises(EmbeddingError, match="forget it"):
        caller.embed(embedder(batch="wait"), TEXTS)


def test_money_for_a_batch_that_came_to_nothing_may_be_spent(caller, server, embedder):
    """Failed validation, or expired, cancelled or refused in all lines: nothing of it is billed."""
    faults = []
    for number, (fault, step) in enumerate(
        [("invalid", step) for step in ("status", "collect", "cancel")]
        + [("expire:share=0", "status"), ("never", "cancel"), ("errors:n=1", "collect"), ("unmade", "status")]
    ):
        server.reset()
        texts = [f"text {number} {'x' * 1000}"]
        ours = embedder(max_cost=1200 * 0.02 / 1e6, max_retries=0)  # of one ordinary request, or of two batches
        if fault == "unmade":
            server.on(lambda request: request.method == "POST" and request.path.endswith("/batches"), "500", times=1)
            with pytest.raises(EmbeddingError, match="is not sure"):
                caller.call(batch, "submit", ours, texts)
        else:
            server.batches.script(fault)
            caller.call(batch, "submit", ours, texts)
        try:
            caller.embed(ours, texts)
            faults.append((fault, step, "spent twice"))
        except BudgetExceededError:  # at once, and not after the batch
            pass
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(making, "DOUBT", 0.0)
            caller.call(batch, step, ours)
        caller.embed(ours, texts)
        if ours._shared.purse.spent > 1200:
            faults.append((fault, step, ours._shared.purse))
    assert faults == []


def test_money_for_a_batch_that_another_process_has_seen_the_end_of_may_be_spent(caller, server, embedder):
    ours = embedder(max_cost=1.0)
    for fault, texts, left in (("invalid", ["a"], False), ("ok", ["b"], True)):
        server.batches.script(fault)
        caller.call(batch, "submit", ours, texts)
        batch.collect(embedder())
        for _ in range(2):
            caller.call(batch, "collect", ours)
            assert (ours._shared.purse.spent > 0) == left


def test_money_for_a_batch_that_has_answers_stays_spent(caller, server, embedder):
    server.batches.script("expire:share=0.5")
    ours = embedder(max_cost=1.0, batch_size=10)
    caller.call(batch, "submit", ours, TEXTS)
    spent = ours._shared.purse.spent
    caller.call(batch, "collect", ours)
    assert ours._shared.purse.spent == spent > 0
