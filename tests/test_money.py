"""What a call cost is told to the last cent, and `max_cost` is never passed. A real SDK, a server that bills."""

from __future__ import annotations

import re

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from embedbridge import BudgetExceededError, ConfigurationError, Embedder, RateLimitTimeoutError
from embedbridge.langchain import BridgeEmbeddings

MODEL, PRICE = "text-embedding-3-small", 0.02 / 1e6
"""Dollars a token."""
TEXTS = [f"{number:08} a text of eight tokens." for number in range(100)]
"""32 bytes each; the server bills a token for four."""
TEN_TEXTS = 10 * 8 * PRICE


@pytest.fixture
def make(server, tmp_path):
    """An embedder of the server's, over the test's cache; ten texts a request, one after another."""

    def make(model=MODEL, **options):
        usual = {"base_url": f"{server.url}/v1", "api_key": "sk-test", "cache": tmp_path}
        return Embedder(f"openai:{model}", **usual | {"batch_size": 10, "concurrency": 1} | options)

    return make


def test_dollars_are_tokens_times_price(caller, make, server):
    report = caller.embed(make(), TEXTS).report
    assert report.tokens == server.stats.tokens == 800
    assert report.cost == pytest.approx(800 * PRICE, rel=1e-12)
    assert report.saved == 0
    assert report.tokens_from == "provider"


def test_what_the_cache_saved_is_what_it_cost_before(caller, make):
    first = caller.embed(make(), TEXTS).report
    embedder = make()
    again = caller.embed(embedder, [*TEXTS, "a new text of seven tokens."]).report
    assert again.saved == pytest.approx(first.cost, rel=1e-12)
    assert again.cost == pytest.approx(7 * PRICE, rel=1e-12)
    assert (again.hits, again.misses, again.tokens, again.tokens_saved) == (100, 1, 7, 800)
    assert (embedder.usage.cost, embedder.usage.saved) == (again.cost, again.saved)


def test_a_call_that_asks_for_nothing_leaves_where_the_sums_tokens_came_from(caller, make):
    embedder = make()
    caller.embed(embedder, TEXTS)
    assert caller.embed(embedder, TEXTS).report.requests == 0
    assert (embedder.usage.tokens, embedder.usage.tokens_from) == (800, "provider")


def test_an_estimate_is_what_the_call_then_costs(caller, make, server):
    caller.embed(make(), TEXTS[:30])
    embedder, texts = make(), [*TEXTS, *TEXTS[:50]]
    server.reset()
    estimate = embedder.estimate(texts)
    assert len(server.requests) == 0
    assert (estimate.texts, estimate.cached, estimate.requests, estimate.tokens) == (150, 60, 7, 560)
    report = caller.embed(embedder, texts).report
    assert (report.requests, report.tokens) == (estimate.requests, estimate.tokens)
    assert report.cost == pytest.approx(estimate.cost, rel=1e-12)


def test_usage_adds_up_dollars_over_calls_and_failures(caller, make, server):
    embedder = make(max_retries=0)
    caller.embed(embedder, TEXTS[:10])
    server.script("ok", "429")
    with pytest.raises(RateLimitTimeoutError):
        caller.embed(embedder, TEXTS[10:30])
    caller.embed(embedder, TEXTS[:30])
    assert embedder.usage.cost == pytest.approx(server.stats.tokens * PRICE, rel=1e-12)
    assert server.stats.tokens == 240


def test_the_request_that_could_pass_the_highest_cost_is_not_sent(caller, make, server):
    ours = make(max_cost=3.5 * TEN_TEXTS)
    with pytest.raises(BudgetExceededError, match=r"raise max_cost to go on") as caught:
        caller.embed(ours, TEXTS)
    error, texts = caught.value, server.stats.texts
    assert (ours.usage.texts, ours.usage.misses) == (100, texts)  # those that were asked for
    assert 280 - 32 < server.stats.tokens <= 280  # what is left does not cover one more text, at a token per byte
    assert error.completed == tuple(range(texts))
    assert error.failed_indices == tuple(range(texts, 100))
    said = [float(dollars) for dollars in re.findall(r"\$([\d.]+)", str(error))]
    assert said == [
        pytest.approx(server.stats.tokens * PRICE),
        pytest.approx(3.5 * TEN_TEXTS),
        pytest.approx(32 * PRICE),
    ]


def test_amounts_far_below_a_cent_are_told_apart(caller, make):
    told = r"\$0 of max_cost=\$0\.00000015 are spent, and the next request can cost up to \$0\.00000064;"
    with pytest.raises(BudgetExceededError, match=told):
        caller.embed(make(max_cost=1.5e-7), TEXTS[:1])


ROOM = 24 * PRICE
"""With so much more than a text costs, it can be booked: at a token per byte."""


def test_what_was_paid_for_is_kept_and_a_second_run_goes_on(caller, make, server):
    for _ in range(4):
        with pytest.raises(BudgetExceededError):
            caller.embed(make(max_cost=2 * TEN_TEXTS + ROOM), TEXTS)
    vectors = caller.embed_documents(make(max_cost=2 * TEN_TEXTS + ROOM), TEXTS)
    assert np.array_equal(vectors, [server.vector(text) for text in TEXTS])
    assert all(count == 1 for count in server.stats.billed.values())


def test_what_an_estimate_says_at_most_is_enough_whatever_the_server_counts(caller, make, server):
    estimate = make().estimate(TEXTS)
    assert (estimate.cost, estimate.cost_at_most) == (800 * PRICE, 3200 * PRICE)
    server.bytes_per_token = 1
    assert caller.embed(make(max_cost=estimate.cost_at_most), TEXTS).report.cost == estimate.cost_at_most


def test_the_highest_cost_holds_over_all_calls_of_an_embedder_and_hits_are_free(caller, make, server):
    embedder = make(max_cost=2 * TEN_TEXTS + ROOM)
    caller.embed(embedder, TEXTS[:20])
    caller.embed(embedder, TEXTS[:20])
    asked = len(server.requests)
    with pytest.raises(BudgetExceededError):
        caller.embed(embedder, TEXTS[20:21])
    assert len(server.requests) == asked


def test_many_calls_at_once_do_not_pass_it_together_and_use_it_up(caller, make, server):
    embedder = make(max_cost=4.5 * TEN_TEXTS, concurrency=8)
    calls = [[f"{text[:-2]}{call}." for text in TEXTS[:50]] for call in range(4)]
    outcomes = caller.at_once(embedder, calls)
    assert {type(outcome) for outcome in outcomes} == {BudgetExceededError}
    assert 360 - 32 < server.stats.tokens <= 360


def test_an_answer_that_was_billed_and_lost_counts_at_the_most_that_it_can_have_cost(caller, make, server):
    server.script("reset:at=mid")
    embedder = make(max_cost=400 * PRICE)
    with pytest.raises(BudgetExceededError):
        caller.embed(embedder, TEXTS[:30])
    assert embedder.usage.paid_again == 10
    kept = server.stats.tokens - 80
    assert embedder.usage.cost == pytest.approx((320 + kept) * PRICE)
    assert 80 - 32 < kept <= 80


def test_a_highest_cost_is_not_taken_where_a_wrapped_object_may_cost_anything():
    with pytest.raises(ConfigurationError, match="max_cost: the price of langchain:paid is not known"):
        BridgeEmbeddings.wrap(DeterministicFakeEmbedding(size=4), name="paid", max_cost=1)


def test_after_closing_what_was_spent_is_spent(caller, make, server):
    """C5: twelve cycles of a call and a close spend no more than one call would."""
    embedder, budget = make(max_cost=3 * TEN_TEXTS + ROOM), 240 + 24
    outcomes = []
    for cycle in range(12):
        outcomes += caller.at_once(
            embedder, [[f"{cycle:08} a text of eight tokens."] * 1 + TEXTS[8 * cycle : 8 * cycle + 5]]
        )
        caller.call(embedder, "close")
    assert budget - 32 < server.stats.tokens <= budget
    assert type(outcomes[-1]) is BudgetExceededError
    assert embedder.usage.cost == pytest.approx(server.stats.tokens * PRICE)


def test_nothing_may_be_spent(caller, make, server):
    embedder = make(max_cost=0)
    with pytest.raises(BudgetExceededError):
        caller.embed(embedder, TEXTS)
    assert len(server.requests) == 0


def test_a_model_whose_price_nobody_knows_has_no_dollars_and_no_highest_cost(caller, make):
    embedder = make("our-own-model")
    assert embedder.estimate(TEXTS).cost is None
    report = caller.embed(embedder, TEXTS).report
    assert (report.cost, report.saved, report.tokens) == (None, None, 800)
    assert embedder.usage.cost is None
    with pytest.raises(ConfigurationError, match="max_cost: the price of openai:our-own-model is not known"):
        make("our-own-model", max_cost=1)
    Embedder("fake:8", max_cost=1)


# Vectors that need no request.


def test_a_whole_vector_in_the_cache_serves_every_smaller_width(caller, make, server):
    caller.embed(make(), TEXTS)
    server.reset()
    for width in (1, 256, 1535):
        embedder = make(dimensions=width)
        assert embedder.estimate(TEXTS).cost == 0
        result = caller.embed(embedder, TEXTS)
        assert (result.report.requests, result.report.hits) == (0, 100)
        own = [server.vector(text, dims=width) for text in TEXTS]
        np.testing.assert_allclose(result.vectors, own, atol=1e-6)


def test_a_smaller_width_is_asked_of_the_api_where_the_cache_has_no_more(caller, make, server):
    report = caller.embed(make(dimensions=256), TEXTS[:10]).report
    assert report.misses == 10
    assert server.requests.bodies[0]["dimensions"] == 256
    assert caller.embed(make(dimensions=128), TEXTS[:10]).report.misses == 10
    assert caller.embed(make(), TEXTS[:10]).report.misses == 10


@pytest.mark.filterwarnings("ignore:OpenAI's tokenizer is not on this machine")
def test_a_mean_of_parts_is_made_of_parts_of_the_width_that_was_asked_for(caller, make):
    long, options = "a b c d e f " * 2000, {"too_long": "mean"}
    caller.embed(make(**options), [long, TEXTS[0]])
    narrow = caller.embed(make(dimensions=64, **options), [long, TEXTS[0]])
    assert (narrow.report.hits, narrow.report.misses) == (1, 1)
    own = caller.embed(make(dimensions=64, cache=False, **options), [long, TEXTS[0]]).vectors
    np.testing.assert_allclose(narrow.vectors, own, atol=1e-6)


def test_a_servers_own_model_may_shorten_as_it_likes(caller, make):
    caller.embed(make("our-own-model"), TEXTS[:10])
    assert caller.embed(make("our-own-model", dimensions=256), TEXTS[:10]).report.misses == 10


@pytest.mark.parametrize("changes", [{"normalize": True}, {"dimensions": 12}, {"dimensions": 12, "normalize": False}])
def test_what_is_derived_here_costs_no_request(caller, tmp_path, changes):
    caller.embed(Embedder("fake:16", cache=tmp_path), TEXTS)
    assert caller.embed(Embedder("fake:16", cache=tmp_path, **changes), TEXTS).report.requests == 0
