"""W11: a wait is obeyed wherever the answer states it, by all requests, up to the longest wait."""

from __future__ import annotations

import time

import pytest

from embedbridge import Embedder, RateLimitTimeoutError
from support.faults import body

pytestmark = pytest.mark.one_flow
SLOW = "429:message=slow down"
RESET = {"X-RateLimit-Reset-After": "0.7"}


@pytest.fixture
def make(server):
    def make(**options):
        usual = {"base_url": f"{server.url}/v1", "api_key": "sk-test", "cache": False}
        return Embedder("openai:text-embedding-3-small", **usual | options)

    return make


def seconds_between(server):
    first, second = server.requests
    return second.at - first.at


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        (f"{SLOW}+header:x-ratelimit-reset-tokens=0.7s", 0.7),
        (f"{SLOW}+header:x-ratelimit-reset-requests=700ms", 0.7),
        (f"{SLOW}+header:x-ratelimit-limit-tokens=9;x-ratelimit-remaining-tokens=0;x-ratelimit-reset-tokens=0.7s", 0.7),
        (f"{SLOW}+header:ratelimit-reset=1", 1.0),
        (f"{SLOW}+header:ratelimit=limit=9, remaining=0, reset=1", 1.0),
        (f"{SLOW}+header:x-ms-retry-after-ms=700", 0.7),
        (f"{SLOW}+header:llm_provider-retry-after=0.7", 0.7),
        (f"{SLOW}+header:llm_provider-x-ratelimit-reset-tokens=0.7s", 0.7),
        (f"{SLOW}, try again in 0.5 seconds and 200 ms", 0.7),
        (
            body(429, {"error": {"message": "slow down", "metadata": {"headers": RESET}}}),
            0.7,
        ),
        (body(429, {"error": {"message": "slow down", "details": [{"retryDelay": "0.7s"}]}}), 0.7),
    ],
)
def test_a_wait_is_obeyed_wherever_it_is_stated(caller, server, make, spec, seconds):
    server.script(spec, "ok")
    report = caller.embed(make(), ["a"]).report
    assert seconds_between(server) >= seconds
    assert (report.requests, report.retries, server.stats.served) == (2, 1, 1)
    assert report.cost == make().estimate(["a"]).cost


def test_a_point_in_time_is_waited_for(caller, server, make):
    server.script(f"{SLOW}+header:x-ratelimit-reset={time.time() + 1.5:.2f}", "ok")
    caller.embed(make(), ["a"])
    assert seconds_between(server) >= 1.0
    assert server.stats.served == 1


@pytest.mark.parametrize("value", ["-2", "nan", "0s", "soon", "1600000000", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_nonsense_is_no_wait_and_ends_in_the_usual_pause(caller, server, make, value):
    server.script(f"{SLOW}+header:x-ratelimit-reset-tokens={value};retry-after={value}", "ok")
    assert caller.embed(make(), ["a"]).report.waited < 1  # a pause of our own, short in these tests
    assert (len(server.requests), server.stats.served) == (2, 1)


@pytest.mark.parametrize("told", ["x-ratelimit-reset-requests=6h", "x-ratelimit-reset=2999-01-01T00:00:00Z"])
def test_what_would_take_longer_than_the_longest_wait_is_an_error_at_once(caller, server, make, told):
    server.script(f"{SLOW}+header:{told}")
    with pytest.raises(RateLimitTimeoutError):
        caller.embed(make(), ["a"])
    assert (len(server.requests), server.stats.served) == (1, 0)


def test_a_reset_beside_another_error_is_no_wait(caller, server, make):
    server.script("500+header:x-ratelimit-reset-requests=100s", "ok")
    assert caller.embed(make(), ["a"]).report.retries == 1


def test_all_requests_wait_for_a_reset_that_one_is_told(caller, server, make):
    server.script(f"{SLOW}+header:x-ratelimit-reset-requests=1s", *["ok"] * 20)
    caller.embed(make(batch_size=1, concurrency=1), [f"text {number}" for number in range(3)])
    first, *others = server.requests
    assert min(request.at for request in others) - first.at >= 1
    assert all(count == 1 for count in server.stats.billed.values())
