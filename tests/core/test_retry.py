"""What a failed request means, and when it is tried again."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core.retry import Backoff, RetryBudget, Verdict, as_error, judge
from embedbridge.errors import (
    AuthenticationError,
    ConfigurationError,
    InputTooLongError,
    InvalidInputError,
    InvalidResponseError,
    MissingExtraError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitTimeoutError,
    RequestFailed,
)
from support.cases import each

AGAIN, ONCE, DIVIDE, GIVE_UP, STOP = (
    Verdict.AGAIN,
    Verdict.ONCE_MORE,
    Verdict.DIVIDE,
    Verdict.GIVE_UP,
    Verdict.STOP,
)
MATRIX = [
    # no answer
    ({"kind": "connection"}, AGAIN, ProviderUnavailableError),
    ({"kind": "timeout"}, AGAIN, ProviderUnavailableError),
    ({"kind": "tls"}, STOP, ProviderUnavailableError),
    ({}, GIVE_UP, ProviderUnavailableError),
    # a status
    *(({"status": status}, AGAIN, ProviderUnavailableError) for status in (408, 409, 425)),
    *(({"status": status}, AGAIN, ProviderUnavailableError) for status in (500, 501, 502, 503, 504, 520, 529)),
    ({"status": 429}, AGAIN, RateLimitTimeoutError),
    *(({"status": status}, DIVIDE, InvalidInputError) for status in (400, 413, 422)),
    *(({"status": status}, STOP, AuthenticationError) for status in (401, 403, 498)),
    *(({"status": status}, STOP, ConfigurationError) for status in (404, 405, 410)),
    ({"status": 451}, DIVIDE, InvalidInputError),
    ({"status": 402}, STOP, QuotaExceededError),
    # a kind that the provider knows better
    ({"kind": "too_long"}, DIVIDE, InputTooLongError),
    ({"kind": "too_long", "status": 500}, DIVIDE, InputTooLongError),
    ({"kind": "missing_model"}, STOP, ConfigurationError),
    ({"kind": "configuration"}, STOP, ConfigurationError),
    ({"kind": "not_installed"}, STOP, MissingExtraError),
    ({"kind": "redirect", "status": 307}, STOP, InvalidResponseError),
    # an answer that is none
    *(({"kind": kind}, ONCE, InvalidResponseError) for kind in ("count", "index", "width", "value", "not_json")),
    ({"kind": "not_json", "status": 200}, ONCE, InvalidResponseError),
]


@each(("failure", "verdict", "error"), MATRIX)
def test_the_matrix(failure, verdict, error):
    failed = RequestFailed("it failed", **failure)
    assert judge(failed) is verdict
    named = as_error(failed, "openai:m, text 3")
    assert type(named) is error
    assert named.__cause__ is failed
    assert str(named).startswith("openai:m, text 3: it failed")


QUOTA = "You exceeded your current quota, please check your plan and billing details."
SAID = [
    (429, "insufficient_quota", "no more", STOP, QuotaExceededError),
    (429, "", QUOTA, STOP, QuotaExceededError),
    (429, "", "Trial keys are limited to 1000 API calls / month", STOP, QuotaExceededError),
    (429, "", "Your credit balance is too low", STOP, QuotaExceededError),
    (429, "", "Billing hard limit has been reached", STOP, QuotaExceededError),
    # A free account is told to pay, and is served again in 20 seconds.
    (
        429,
        "rate_limit_exceeded",
        "Rate limit reached on requests per min. Please try again in 20s. Add a payment method at /account/billing.",
        AGAIN,
        RateLimitTimeoutError,
    ),
    (
        429,
        "",
        "You have not yet added your payment method in the billing page and will have reduced rate limits of 3 RPM",
        AGAIN,
        RateLimitTimeoutError,
    ),
    (
        429,
        "",
        "Requests have exceeded call rate limit of your current S0 pricing tier. Go to https://aka.ms/oai/quotaincrease",
        AGAIN,
        RateLimitTimeoutError,
    ),
    (429, "", "Request too large: Limit 1000000, Requested 1500000", DIVIDE, RateLimitTimeoutError),
    (
        400,
        "",
        "This model's maximum context length is 8192 tokens, however you requested 9000",
        DIVIDE,
        InputTooLongError,
    ),
    (400, "", "too many tokens: the limit is 512", DIVIDE, InputTooLongError),
    (400, "", "Requested 350000 tokens, max 300000 tokens per request", DIVIDE, InvalidInputError),
    (500, "", "input is too large to process. increase the physical batch size", DIVIDE, InputTooLongError),
    (500, "", "the input length exceeds the context length", DIVIDE, InputTooLongError),
    (400, "model_not_found", "no such model", STOP, ConfigurationError),
    (400, "", "This model does not support specifying dimensions.", STOP, ConfigurationError),
    (400, "", "valid input_type must be provided with the provided model", STOP, ConfigurationError),
    (400, "", "inputs contains an element that is the empty string at index 0", DIVIDE, InvalidInputError),
    (404, "", "model 'x' not found, try pulling it first", STOP, ConfigurationError),
]


@each(("status", "code", "said", "verdict", "error"), SAID)
def test_words_tell_what_a_status_leaves_open(status, code, said, verdict, error):
    failure = RequestFailed(said, status=status, code=code)
    assert judge(failure) is verdict
    assert type(as_error(failure, "")) is error


def test_an_unsound_answer_keeps_its_kind():
    assert as_error(RequestFailed("two for one", kind="count"), "").kind == "count"


@given(st.integers(1, 5), st.floats(0, 1))
def test_pauses_double_up_to_a_ceiling_with_half_of_it_up_to_chance(attempt, chance):
    backoff = Backoff(first=0.5, ceiling=3.0, chance=lambda: chance)
    full = min(3.0, 0.5 * 2 ** (attempt - 1))
    assert backoff.pause(attempt, RequestFailed("", status=500)) == pytest.approx(full * (1 + chance) / 2)


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_there_are_so_many_attempts_after_the_first(retries):
    backoff = Backoff(retries=retries)
    pauses = [backoff.pause(attempt, RequestFailed("", status=503)) for attempt in range(1, 10)]
    assert [pause is not None for pause in pauses] == [True] * retries + [False] * (9 - retries)


def test_very_many_attempts_are_no_trouble():
    assert Backoff(retries=10_000, chance=lambda: 1.0).pause(5000, RequestFailed("", status=429)) == 20.0


def test_the_providers_word_counts_before_ours():
    assert Backoff().pause(1, RequestFailed("", status=429, retry_after=7.0)) == 7.0


@pytest.mark.parametrize("wrong", [0.0, -5.0, math.nan])
def test_a_pause_that_is_none_is_not_taken_at_its_word(wrong):
    assert Backoff().pause(1, RequestFailed("", status=429, retry_after=wrong)) >= 0.25


@pytest.mark.parametrize("failure", [{"status": 400}, {"status": 401}, {"kind": "too_long"}, {}])
def test_what_cannot_succeed_later_is_not_waited_for(failure):
    assert Backoff().pause(1, RequestFailed("", **failure)) is None


def test_retries_are_paid_from_a_budget_that_successes_fill():
    budget, down = RetryBudget(), RequestFailed("", status=503)
    paid = 0
    while budget.spend(down):
        paid += 1
    assert paid == 100
    assert budget.empty()
    for _ in range(5):
        budget.earn()
    assert not budget.empty()
    assert budget.spend(down)
    assert not budget.spend(down)


def test_a_lost_answer_costs_the_budget_twice_as_much_and_being_throttled_nothing():
    budget = RetryBudget()
    assert all(budget.spend(RequestFailed("", status=429)) for _ in range(1000))
    assert sum(budget.spend(RequestFailed("", kind="timeout")) for _ in range(1000)) == 50


def test_a_full_budget_does_not_grow():
    budget = RetryBudget()
    for _ in range(1000):
        budget.earn()
    assert sum(budget.spend(RequestFailed("", status=500)) for _ in range(1000)) == 100
