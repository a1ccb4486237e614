"""The budget, single flight and what is told hold over a pool as over one endpoint; proofs are no exception."""

import numpy as np
import pytest

from embedbridge import BudgetExceededError, DeadlineExceededError, events
from embedbridge._core.canary import Canary
from embedbridge._core.proof import SHORT
from embedbridge.cache import MemoryCache
from embedbridge.testing import FaultServer, Latency, contains, no_waiting

from .conftest import always, pool_of

pytest.importorskip("openai")
pytestmark = pytest.mark.filterwarnings("ignore:endpoint .* is left out")
TEXTS = [f"text {at}" for at in range(40)]


def test_what_is_told_is_what_the_servers_have_billed_proofs_included(caller, pair):
    result = caller.embed(pool_of(*pair), TEXTS)
    assert result.report.tokens == sum(each.stats.tokens for each in pair)
    assert result.report.requests == sum(each.stats.calls for each in pair)
    assert result.report.cost == pytest.approx(result.report.tokens * 0.02e-6)


def test_proofs_count_in_max_cost(caller, pair):
    with pytest.raises(BudgetExceededError):
        caller.embed(pool_of(*pair, max_cost=1e-7), ["a"])
    assert [each.stats.calls for each in pair] == [0, 0]


@pytest.mark.parametrize(("options", "fault"), [({"max_cost": 2e-5}, ""), ({"deadline": 1.5}, "hang")])
def test_a_proof_that_ends_a_call_is_told_with_what_the_call_has_and_what_it_lacks(caller, pair, options, fault):
    cache = MemoryCache()
    caller.embed(pool_of(*pair, cache=cache), ["kept"])
    for each in pair:
        each.on(always, fault or "ok")
    pool = pool_of(*pair, cache=cache, **options)
    lacking = [f"text {at} " * 2000 for at in range(2)]  # of such a length that no proof is remembered
    with pytest.raises((BudgetExceededError, DeadlineExceededError)) as caught:
        caller.embed(pool, ["kept", *lacking])
    assert caught.value.failed_indices == (1, 2)
    assert len(caught.value.completed) == 1
    assert (caught.value.provider, caught.value.model) == ("openai", "text-embedding-3-small")


@pytest.mark.parametrize("fault", ["", "503", "reset:at=mid"])
def test_what_is_spent_never_passes_max_cost_whoever_fails(caller, pair, fault):
    first, second = pair
    if fault:
        first.on(contains("text 3"), fault)
    most = 2e-5
    pool = pool_of(first, second, max_cost=most, concurrency=4)
    with no_waiting(), pytest.raises(BudgetExceededError):
        [caller.embed(pool, [f"{text} {turn}" for text in TEXTS]) for turn in range(100)]
    assert sum(each.stats.tokens for each in pair) * 0.02e-6 <= most


def test_calls_at_once_ask_for_each_text_once(caller):
    with FaultServer(latency=Latency(0.03)) as first, FaultServer(latency=Latency(0.03)) as second:
        results = caller.at_once(pool_of(first, second, concurrency=6), [TEXTS] * 4)
        billed = first.stats.billed + second.stats.billed
        assert {text: billed[text] for text in TEXTS} == dict.fromkeys(TEXTS, 1)
        assert sum(each.report.shared for each in results) == 3 * len(TEXTS)
        for each in results:
            np.testing.assert_array_equal(each.vectors, results[0].vectors)
        assert max(each.stats.billed[SHORT[0]] for each in (first, second)) == 1  # proved once each


def test_events_name_the_endpoint_and_what_became_of_it(caller, pair):
    first, second = pair
    seen = []
    pool = pool_of(first, second, observers=[seen.append], max_retries=8)
    caller.embed(pool, ["a"])
    first.on(always, "503")
    with no_waiting():
        for at in range(8):
            caller.embed(pool, [f"text {at}"])
    one, two = f"{first.url}/v1", f"{second.url}/v1"
    assert [(each.endpoint, each.reference) for each in seen if isinstance(each, events.EndpointProved)] == [
        (one, True),
        (two, False),
    ]
    tripped = [each for each in seen if isinstance(each, events.EndpointTripped)]
    assert {(each.endpoint, each.seconds) for each in tripped} >= {(one, 1.0)}
    assert {each.endpoint for each in seen if isinstance(each, events.RequestRetried)} == {one}
    assert [each.endpoint for each in seen if isinstance(each, events.BatchFinished)] == [one] + [two] * 8
    assert pool.usage.endpoints[1].requests == 9
    assert pool.usage.endpoints[0].failed == first.stats.statuses[503]


def test_a_server_that_answers_as_another_one_proves_itself_anew(caller, pair):
    first, second = pair
    pool = pool_of(first, second)
    caller.embed(pool, ["a"])
    first.script("header:server=another", "header:server=another")
    result = caller.embed(pool, ["b"])
    assert first.stats.billed[SHORT[0]] == 2
    first.on(always, "header:server=a-third+shufflelie")
    after = caller.embed(pool, ["c", "d"])
    assert first.stats.billed["c"] == second.stats.billed["c"] == 1  # its answer was thrown away
    assert np.isfinite(result.vectors).all()
    np.testing.assert_allclose(
        after.vectors, [second.vector(t, model="text-embedding-3-small") for t in "cd"], atol=1e-6
    )


def test_a_canary_of_a_pool_is_that_of_its_endpoints(pair):
    assert pool_of(*pair).canary().drift(Canary(pool_of(pair[1]).canary().vectors)) < 1e-6
