"""An ordinary call for texts that are on their way pays for them, waits for them, or leaves them out, as one says."""

import asyncio
import threading
from functools import partial

import numpy as np
import pytest

from embedbridge import ConfigurationError, DeadlineExceededError, EmbeddingError, PendingError, batch
from embedbridge._core import flow
from support.steps import LIMIT, measured

from .conftest import WIDTH

TEXTS = [f"text {number}" for number in range(20)]


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(flow, "FIRST_LOOK", 0.05)


def test_by_itself_a_call_asks_at_once(caller, server, embedder):
    server.batches.seconds = 3600
    batch.submit(embedder(), TEXTS)
    assert caller.embed(embedder(), TEXTS).report.requests == 1


def test_a_call_that_waits_gets_what_comes_and_asks_for_the_others(caller, server, embedder):
    server.batches.seconds = 3600
    batch.submit(embedder(), TEXTS[:15])
    later = threading.Timer(0.3, server.batches.advance, [3600])
    later.start()
    result = caller.embed(embedder(batch="wait"), TEXTS)
    later.join()
    report = result.report
    assert (report.from_batch, report.hits, report.misses, report.requests) == (15, 15, 5, 1)
    np.testing.assert_array_equal(result.vectors, server.vectors(TEXTS, dims=WIDTH))
    assert server.stats.again() == {}


def test_a_call_waits_until_its_deadline(caller, server, embedder):
    server.batches.script("never")
    batch.submit(embedder(), TEXTS)
    with pytest.raises(DeadlineExceededError, match=r"(waiting for|taking in) a batch"):
        caller.embed(embedder(batch="wait", deadline=0.5), TEXTS)
    assert "/v1/embeddings" not in server.requests.counts


def test_a_call_that_skips_names_them_and_keeps_the_others(caller, server, embedder):
    server.batches.script("never")
    batch.submit(embedder(), [TEXTS[3], TEXTS[7]])
    with pytest.raises(PendingError, match=r"2 text\(s\), at 3, 7, are in a batch") as caught:
        caller.embed(embedder(batch="skip"), TEXTS)
    assert caught.value.failed_indices == (3, 7)
    assert len(caught.value.completed) == 18
    batch.cancel(embedder())
    batch.collect(embedder())
    assert caller.embed(embedder(batch="skip"), TEXTS).report.hits == 18


def test_a_call_that_waits_does_not_mind_what_is_wrong_with_batches_of_other_texts(caller, server, embedder):
    server.batches.script("gone", "elsewhere:to=http://localhost:9", "ok")
    for texts in (TEXTS[:5], TEXTS[5:10], TEXTS[10:]):
        batch.submit(embedder(), texts)
    waiting = embedder(batch="wait")
    report = caller.embed(waiting, TEXTS[10:]).report
    assert (report.from_batch, report.requests) == (10, 0)
    with pytest.raises(EmbeddingError, match="none of openai's own"):
        caller.embed(waiting, TEXTS[5:10])
    batch.forget(embedder(), batch.list(embedder())[1])
    assert caller.embed(waiting, TEXTS[5:]).report.misses == 5  # what was forgotten is asked for, whatever else is lost
    with pytest.raises(EmbeddingError, match="forget it"):
        caller.embed(waiting, TEXTS)


def test_a_call_that_waits_waits_for_its_own_batches_whatever_is_wrong_with_others(caller, server, embedder):
    server.batches.script("elsewhere:to=http://localhost:9", "ok")
    server.batches.seconds = 3600
    batch.submit(embedder(), TEXTS[:10])
    server.batches.advance(3600)
    batch.submit(embedder(), TEXTS[10:])
    later = threading.Timer(0.5, server.batches.advance, [3600])
    later.start()
    report = caller.embed(embedder(batch="wait"), TEXTS[10:]).report
    later.join()
    assert (report.from_batch, report.requests) == (10, 0)
    assert not batch.list(embedder())[0].ended


@pytest.mark.slow
@pytest.mark.measured
async def test_many_texts_hold_no_event_loop_up(embedder):
    texts, ours = [f"text {number}" for number in range(20_000)], embedder()
    await batch.asubmit(ours, ["warm"])
    for call in (
        partial(batch.asubmit, ours, texts),
        partial(batch.acollect, ours),
        partial(batch.acollect, ours, again=(text for text in texts)),
        partial(ours.aestimate, texts),
    ):
        with measured() as steps:
            await asyncio.create_task(call())
        assert steps.longest < LIMIT


def test_nothing_is_on_its_way_where_there_is_no_batch_api(caller, tmp_path):
    from embedbridge import Embedder

    assert caller.embed(Embedder("fake:8", cache=tmp_path, batch="wait"), TEXTS).vectors.shape == (20, 8)


def test_without_a_cache_nobody_can_wait_or_skip(embedder):
    for word in ("wait", "skip"):
        with pytest.raises(ConfigurationError, match=f"batch='{word}': .* leave cache=False out"):
            embedder(cache=False, batch=word)


def test_an_estimate_has_both_prices(caller, embedder):
    found = caller.call(embedder(), "estimate", TEXTS)
    assert found.batch_cost == pytest.approx(found.cost / 2)


def test_observers_are_told(embedder):
    told = []
    ours = embedder(observers=[told.append])
    batch.submit(ours, TEXTS)
    batch.collect(ours)
    handed, came = told
    assert (handed.texts, came.stored, came.tokens) == (20, 20, handed.tokens)
    assert came.cost == pytest.approx(came.saved)
