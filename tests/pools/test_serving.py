"""What a pool does: it spreads requests, goes on when one endpoint fails, and returns right vectors only."""

import numpy as np
import pytest

from embedbridge import AuthenticationError, ProviderUnavailableError, SpaceMismatchError, events
from embedbridge._core.proof import SHORT
from embedbridge.testing import FaultServer, Latency, contains, no_waiting

from .conftest import always, expected, pool_of

pytest.importorskip("openai")
pytestmark = [pytest.mark.one_flow, pytest.mark.filterwarnings("ignore:endpoint .* is left out")]
TEXTS = [f"text {at}" for at in range(40)]


def are_right(server, result, texts=TEXTS):
    np.testing.assert_allclose(result.vectors, expected(server, texts), atol=1e-6)


def served(server):
    """Texts that were worked out, those of proofs aside."""
    return {text: times for text, times in server.stats.billed.items() if text in TEXTS}


def test_requests_are_spread_over_both_and_each_text_is_paid_for_once(caller):
    with FaultServer(latency=Latency(0.05)) as first, FaultServer(latency=Latency(0.05)) as second:
        embedder = pool_of(first, second, concurrency=4)
        caller.embed(embedder, [f"by now both are proved {at}" for at in range(40)])
        result = caller.embed(embedder, TEXTS)
        are_right(first, result)
        assert served(first) | served(second) == dict.fromkeys(TEXTS, 1)
        assert min(len(served(first)), len(served(second))) >= len(TEXTS) // 4
        one, two = result.report.endpoints
        assert (one.name, two.name) == (f"{first.url}/v1", f"{second.url}/v1")
        assert one.requests + two.requests == result.report.requests
        assert one.tokens + two.tokens == result.report.tokens
        assert f"{second.url}/v1 {two.requests:,} requests" in str(result.report)


@pytest.mark.parametrize("fault", ["500", "401", "404", "quota", "reset", "html", "429:retry-after=60"])
def test_one_that_fails_from_the_first_request_on_costs_no_text(caller, pair, fault):
    first, second = pair
    first.on(always, fault)
    with no_waiting():
        result = caller.embed(pool_of(first, second), TEXTS)
    are_right(second, result)
    assert served(second) == dict.fromkeys(TEXTS, 1)
    assert served(first) == {}
    assert result.report.waited < 30


@pytest.mark.parametrize(
    "fault", ["500", "403", "quota", "reset:at=mid", "nan", "drop", "dims", "othermodel:name=text-embedding-3-large"]
)
def test_one_that_fails_in_the_middle_costs_no_text(caller, pair, fault):
    first, second = pair
    embedder = pool_of(first, second, max_retries=3)
    caller.embed(embedder, ["first"])
    first.on(contains("text"), fault)
    with no_waiting():
        are_right(second, caller.embed(embedder, TEXTS))
    assert served(second) == dict.fromkeys(TEXTS, 1)


def test_a_key_that_is_refused_is_warned_of_once_and_tried_again_once_the_embedder_was_closed(pair):
    first, second = pair
    seen = []
    embedder = pool_of(first, second, observers=[seen.append])
    first.script("401")
    with pytest.warns(UserWarning, match="is left out") as warned:
        [embedder.embed(texts) for texts in (TEXTS, ["another"])]
    assert len([each for each in warned if "left out" in str(each.message)]) == 1
    assert "sk-0" not in str(warned[0].message)
    (refused,) = [each for each in seen if isinstance(each, events.EndpointRefused)]
    assert refused.endpoint == f"{first.url}/v1"
    assert first.stats.calls == 1
    embedder.close()
    embedder.embed(["and another"])
    assert first.stats.calls > 1


def test_where_all_refuse_the_error_is_the_usual_one(caller, pair):
    for each in pair:
        each.on(always, "401")
    with pytest.warns(UserWarning, match="left out"), pytest.raises(AuthenticationError):
        caller.embed(pool_of(*pair), TEXTS)
    assert [each.stats.calls for each in pair] == [1, 1]


def test_where_all_are_down_the_error_is_the_usual_one_within_the_retries(caller, pair):
    for each in pair:
        each.on(always, "503")
    with no_waiting(), pytest.raises(ProviderUnavailableError):
        caller.embed(pool_of(*pair, max_retries=2), ["a"])
    assert sum(each.stats.calls for each in pair) == 3


def test_a_text_that_is_refused_is_not_sent_elsewhere_in_vain(caller, pair):
    first, second = pair
    embedder = pool_of(first, second)
    caller.embed(embedder, ["first"])
    for each in pair:
        each.on(contains("poison"), "400:message=bad text;code=invalid_text")
    with pytest.raises(Exception, match="bad text") as caught:
        caller.embed(embedder, ["poison"])
    assert caught.value.failed_indices == (0,)
    assert sum("poison" in request.items for each in pair for request in each.requests) == 1


# The proof.


def test_one_of_another_model_is_refused_before_a_vector_of_it_is_returned(caller, pair):
    first, second = pair
    second.on(always, "shufflelie")
    seen = []
    embedder = pool_of(first, second, observers=[seen.append], concurrency=4)
    with pytest.warns(UserWarning, match=r"1 - cosine is .* over 0\.0015"):
        caller.embed(embedder, TEXTS)
    for turn in range(3):
        texts = [f"{text} {turn}" for text in TEXTS]
        result = caller.embed(embedder, texts)
        are_right(first, result, texts)
    assert served(second) == {}
    assert second.stats.calls == 1
    assert result.report.endpoints[1].state == "refused"
    assert "refused" in str(result.report)


def test_one_of_another_width_is_refused_with_both_numbers(caller):
    with FaultServer(latency=Latency(0.05)) as first, FaultServer(width=256) as second:
        with pytest.warns(UserWarning, match="256 dimensions in place of 1536"):
            are_right(first, caller.embed(pool_of(first, second), TEXTS))
        assert set(second.stats.billed) <= {*SHORT, *second.stats.billed} - set(TEXTS)


def test_where_only_one_of_another_model_is_left_the_call_fails_with_the_figures(caller, pair, tmp_path):
    first, second = pair
    caller.embed(pool_of(first, second, cache=tmp_path), ["a"])
    first.on(always, "401")
    second.on(always, "shufflelie")
    with pytest.warns(UserWarning, match="left out"), pytest.raises(SpaceMismatchError, match="1 - cosine"):
        caller.embed(pool_of(first, second, cache=tmp_path), TEXTS)
    assert served(second) == {}


def test_a_first_endpoint_that_is_dead_tomorrow_lets_no_other_model_in(caller, pair, tmp_path):
    first, second = pair
    caller.embed(
        pool_of(first, cache=tmp_path, endpoints=[{"base_url": f"{each.url}/v1", "api_key": "k"} for each in pair]),
        ["a"],
    )
    assert second.stats.calls == 0
    first.on(always, "503")
    second.on(always, "shufflelie")
    with no_waiting(), pytest.raises((SpaceMismatchError, ProviderUnavailableError)):
        caller.embed(pool_of(first, second, cache=tmp_path), TEXTS)
    assert served(second) == {}


def test_what_was_proved_is_remembered_by_the_cache(caller, pair, tmp_path):
    with no_waiting():
        caller.embed(pool_of(*pair, cache=tmp_path, concurrency=4), TEXTS)
        pair[0].on(always, "503")
        caller.embed(pool_of(*pair, cache=tmp_path), ["b"])
        before = pair[1].stats.calls
        caller.embed(pool_of(*pair, cache=tmp_path), ["c"])
    assert pair[1].stats.calls == before + 1


@pytest.mark.parametrize("told", ["othermodel:name=text-embedding-3-small-002", "header:server=another", "othersystem"])
def test_a_proof_that_the_cache_remembers_holds_for_the_model_and_server_that_gave_it(caller, pair, tmp_path, told):
    """Of another name, the answer counts once the same has proved its vectors; of the same, nothing is sent again."""
    first, second = pair
    caller.embed(pool_of(first, second, cache=tmp_path), ["a"])
    first.on(always, told)
    again = {"cache": tmp_path, "provider_options": {"accept_model": True}}
    are_right(first, caller.embed(pool_of(first, second, **again), ["b"]), ["b"])
    assert first.stats.billed[SHORT[0]] == 2
    are_right(first, caller.embed(pool_of(first, second, **again), ["c"]), ["c"])
    assert first.stats.billed[SHORT[0]] == 2  # it has proved them by this name, too
    first.reset()
    first.on(always, f"{told}-2+shufflelie" if "=" in told else "othersystem:name=fp_2+shufflelie")
    with pytest.warns(UserWarning, match="left out"):
        result = caller.embed(pool_of(first, second, **again), ["d", "e"])
    are_right(second, result, ["d", "e"])
    assert second.stats.billed["d"] == 1
    assert caller.embed(pool_of(second, first, base_url=f"{first.url}/v1", **again), ["d", "e"]).report.hits == 2
