"""One batch that is refused for its rate, while others are let through or not (R11)."""

from __future__ import annotations

import pytest

from core.parts import Hand, make_job, make_setting, reply_to
from embedbridge._core.flow import embed
from embedbridge.errors import RateLimitTimeoutError, RequestFailed


def ask_once(texts, refused, *, others_get_on, retries=2):
    """Embed texts of which the batch's first requests are refused; returns how often they were asked for."""
    setting = make_setting(retries=retries)
    job, asked = make_job(setting, texts), []

    def answer(batch):
        asked.append(batch.texts)
        if len(asked) > refused:
            return reply_to(batch)
        if others_get_on:
            setting.limiter.answered(setting.limiter.reserve(1))
        raise RequestFailed("status 429: slow down", status=429)

    Hand(setting.clock, answer).run(embed(job))
    return len(asked)


def test_a_refusal_does_not_count_while_other_requests_are_let_through():
    assert ask_once(["a"], 6, others_get_on=True) == 7


def test_it_counts_where_nothing_else_is_answered():
    with pytest.raises(RateLimitTimeoutError):
        ask_once(["a"], 3, others_get_on=False)


def test_there_is_an_end_to_it():
    with pytest.raises(RateLimitTimeoutError):
        ask_once(["a"], 30, others_get_on=True)


def test_without_retries_the_first_refusal_is_the_last():
    with pytest.raises(RateLimitTimeoutError):
        ask_once(["a"], 1, others_get_on=True, retries=0)
