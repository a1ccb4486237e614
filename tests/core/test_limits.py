"""How fast we may go: what the user set, and what the provider's headers tell."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.parts import Clock, make_limiter

waits = st.floats(0, 5)
requests = st.lists(st.tuples(waits, st.integers(1, 400)), min_size=1, max_size=40)


def headers(kind, *, limit, remaining, reset=None):
    told = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{name}-{kind}": str(value) for name, value in told.items() if value is not None}


def sent(limiter, clock, requests):
    """When each request goes out and how many tokens it has, for requests that come one after another."""
    times = []
    for gap, tokens in requests:
        clock.now += gap
        times.append((clock.now + limiter.reserve(tokens).wait, tokens))
    return times


def most_in(times, seconds):
    """The most requests and tokens that go out in any stretch of so many seconds."""
    stretches = [[tokens for at, tokens in times if begin <= at < begin + seconds] for begin, _ in times]
    return max(map(len, stretches)), max(map(sum, stretches))


@example([(0.0, 111), (0.0, 1), (0.0, 1)], 1.0, 60.0, 10.0)  # tokens hold back what requests would let go
@given(requests, st.floats(1, 600), st.floats(60, 60_000), st.sampled_from([1.0, 10.0, 60.0]))
def test_no_stretch_of_time_holds_more_than_its_share_and_one_batch(requests, per_minute, tokens_per_minute, seconds):
    clock = Clock()
    times = sent(make_limiter(clock, per_minute, tokens_per_minute), clock, requests)
    count, tokens = most_in(times, seconds)
    # One second's worth may go at once.
    assert count <= per_minute / 60 * (seconds + 1) + 1 + 1e-6
    largest = max(tokens for _, tokens in requests)
    assert tokens <= tokens_per_minute / 60 * (seconds + 1) + largest + 1e-6


@given(requests)
def test_without_limits_nobody_waits(requests):
    clock = Clock()
    assert all(make_limiter(clock).reserve(tokens).wait == 0 for _, tokens in requests)


def test_a_full_minutes_work_takes_a_minute():
    clock = Clock()
    limiter = make_limiter(clock, tokens_per_minute=6000)
    assert [limiter.reserve(100).wait for _ in range(4)] == [0, 1, 2, 3]


def test_a_batch_larger_than_the_limit_waits_for_all_of_it_and_goes():
    clock = Clock()
    limiter = make_limiter(clock, tokens_per_minute=60)
    assert limiter.reserve(120).wait == 0
    assert limiter.reserve(1).wait == 120


def test_what_is_given_back_can_be_reserved_again():
    clock = Clock()
    limiter = make_limiter(clock, requests_per_minute=60, tokens_per_minute=6000)
    limiter.reserve(100)
    place = limiter.reserve(500)
    assert place.wait == 1
    limiter.give_back(place)
    assert limiter.reserve(100).wait == 1


def test_a_pause_that_the_provider_asks_for_holds_for_everybody():
    clock = Clock()
    limiter = make_limiter(clock)
    limiter.hold(5)
    limiter.hold(2)
    assert limiter.reserve(1).wait == 5
    clock.now += 4
    assert limiter.reserve(1).wait == 1
    clock.now += 1
    assert limiter.reserve(1).wait == 0


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_what_the_provider_has_left_is_all_that_goes_at_once(kind):
    clock = Clock()
    limiter = make_limiter(clock)
    limiter.learn(headers(kind, limit=600, remaining=2, reset="59.8s"))
    assert [round(limiter.reserve(1).wait, 6) for _ in range(4)] == [0, 0, 0.1, 0.2]


def test_requests_under_way_are_not_counted_twice_nor_forgotten():
    clock = Clock()
    limiter = make_limiter(clock)
    limiter.learn(headers("tokens", limit=600, remaining=600))
    assert limiter.reserve(500).wait == 0
    limiter.learn(headers("tokens", limit=600, remaining=590, reset="1s"))  # of a request before that one
    assert limiter.reserve(110).wait == 1.0
    assert limiter.token_ceiling() == 600


def test_a_bucket_fills_up_by_the_time_that_the_provider_names():
    clock = Clock()
    limiter = make_limiter(clock)
    limiter.learn(headers("tokens", limit=1000, remaining=0, reset="10s"))
    assert limiter.reserve(500).wait == 5.0


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1),
        ("8.64s", 8.64),
        ("6m0s", 360),
        ("1m30.5s", 90.5),
        ("1h0m0s", 3600),
        ("1h", 3600),
        ("2m", 120),
        ("6", 6),
        ("0.5", 0.5),
    ],
)
def test_durations_are_read_as_providers_write_them(reset, seconds):
    clock = Clock()
    limiter = make_limiter(clock)
    limiter.learn(headers("tokens", limit=100, remaining=0, reset=reset))
    assert limiter.reserve(100).wait == pytest.approx(seconds)


@pytest.mark.parametrize(
    "reset", [None, "", "-1", "0", "0s", "0ms", "nan", "inf", "soon", "1w", "2026-01-01T00:00:00Z"]
)
def test_a_reset_that_says_nothing_means_a_minute(reset):
    clock = Clock()
    limiter = make_limiter(clock)
    limiter.learn(headers("tokens", limit=600, remaining=0, reset=reset))
    assert limiter.reserve(10).wait == 1


@pytest.mark.parametrize(
    "told",
    [
        {},
        headers("tokens", limit=-1, remaining=-1, reset=-1),
        headers("tokens", limit=0, remaining=0, reset=0),
        headers("tokens", limit=100, remaining=-1),
        headers("tokens", limit="nan", remaining="inf"),
        headers("tokens", limit="1,000", remaining="many"),
        {"x-ratelimit-limit-tokens": "100"},
        {"x-ratelimit-remaining-tokens": "0"},
    ],
)
def test_headers_that_say_nothing_teach_nothing(told):
    clock = Clock()
    limiter = make_limiter(clock)
    limiter.learn(told)
    assert limiter.reserve(10**6).wait == 0
    assert limiter.token_ceiling() is None


@given(st.dictionaries(st.sampled_from([*headers("tokens", limit=1, remaining=1, reset=1)]), st.text(max_size=8)))
def test_no_header_breaks_the_limiter(told):
    clock = Clock()
    limiter = make_limiter(clock)
    limiter.learn(told)
    assert limiter.reserve(1).wait >= 0
