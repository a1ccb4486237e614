"""One call from its texts to its vectors, driven by hand: no clock but the test's, no socket, no thread, no mock."""

from __future__ import annotations

import numpy as np
import pytest

from core.answers import ONE_BY_ONE, Script, busy, run, stored, truth
from core.parts import Steps, make_job, make_setting, reply_to
from embedbridge._core.delivery import deliver
from embedbridge._core.effects import Ask, Call, Gather, Sleep
from embedbridge._core.flow import embed, plan
from embedbridge._core.types import Limits
from embedbridge.errors import ProviderUnavailableError, RateLimitTimeoutError, RequestFailed

LETTERS = list("abcdefgh")


def test_a_call_step_by_step():
    job = make_job(make_setting(), ["a", "b", "a"])
    flow = Steps(embed(job))

    reading = next(flow)
    assert isinstance(reading, Call)
    spreading = flow.send(reading.function())
    assert isinstance(spreading, Gather)

    batch = Steps(*spreading.flows)
    asking = next(batch)
    assert isinstance(asking, Ask)
    assert asking.batch.texts == ("a", "b")
    assert asking.timeout == 60.0
    storing = batch.send(reply_to(asking.batch))
    assert isinstance(storing, Call)
    assert not any(job.have)
    with pytest.raises(StopIteration):
        batch.send(storing.function())

    with pytest.raises(StopIteration):
        flow.send(None)
    assert np.array_equal(job.table, truth("a", "b"))


def test_what_the_cache_has_is_not_asked_for():
    setting = make_setting()
    run(setting, "ab")
    job = make_job(setting, ["b", "a"])
    flow = Steps(embed(job))
    reading = next(flow)
    with pytest.raises(StopIteration):
        flow.send(reading.function())
    assert np.array_equal(job.table, truth("b", "a"))
    assert (job.report.hits, job.report.misses, job.report.requests) == (2, 0, 0)


def test_only_what_the_cache_lacks_is_asked_for_in_one_read_and_one_write_a_batch():
    setting = make_setting()
    run(setting, "bd")
    job, hand, _ = run(setting, "abcde")
    assert hand.asked == [["a", "c", "e"]]
    assert [type(effect) for effect in hand.effects] == [Call, Gather, Ask, Call]
    assert np.array_equal(job.table, truth(*"abcde"))
    assert job.report.hits + job.report.misses == len(job.keys)


def test_without_a_cache_everything_is_asked_for():
    setting = make_setting(store=None)
    run(setting, "a")
    _, hand, _ = run(setting, "a")
    assert hand.asked == [["a"]]


def test_no_texts_do_nothing():
    job, hand, error = run(make_setting(), [])
    assert (hand.effects, error, job.report.requests) == ([], None, 0)


def test_blank_texts_are_nobodys_work():
    _, hand, error = run(make_setting(), ["", " "])
    assert (hand.effects, error) == ([], None)


def test_batches_obey_the_limits_and_keep_the_order():
    _, hand, _ = run(make_setting(limits=Limits(items=3)), LETTERS)
    assert hand.asked == [["a", "b", "c"], ["d", "e", "f"], ["g", "h"]]


def test_a_request_that_was_slowed_down_is_sent_again_after_the_pause_asked_for():
    job, hand, error = run(make_setting(), "ab", Script(busy(retry_after=3.0), reply_to))
    assert error is None
    assert hand.slept == [3.0]
    assert hand.asked == [["a", "b"]] * 2
    assert (job.report.requests, job.report.retries, job.report.waited) == (2, 1, 3.0)


def test_a_pause_asked_of_one_batch_is_kept_by_all():
    setting = make_setting(limits=ONE_BY_ONE)
    job = make_job(setting, ["a", "b"])
    one, other = (Steps(deliver(job, batch)) for batch in plan(job, range(2)))
    next(one)
    assert one.throw(busy(retry_after=3.0)) == Sleep(3.0)
    assert 3.0 < next(other).seconds <= 4.0  # not at the same moment: what was too fast once is not sent at once
    setting.clock.now += 3.0
    assert isinstance(one.send(None), Ask)
    setting.clock.now += 1.0
    assert isinstance(other.send(None), Ask)


def test_a_pause_that_grew_while_a_batch_waited_is_kept_as_well():
    setting = make_setting(limits=ONE_BY_ONE, requests_per_minute=60)
    job = make_job(setting, ["a", "b"])
    one, other = (Steps(deliver(job, batch)) for batch in plan(job, range(2)))
    next(one)
    assert next(other) == Sleep(1.0)
    one.throw(busy(retry_after=5.0))
    setting.clock.now += 1.0
    assert 4.0 <= other.send(None).seconds <= 5.0


def test_without_a_pause_asked_for_pauses_double_and_end():
    job, hand, error = run(make_setting(), "a", Script(busy()))
    assert len(hand.slept) == 5
    # The pace falls with each refusal, so that a pause may be as long as the time between two requests.
    assert all(
        pause <= slept <= 1.5 * pause for slept, pause in zip(hand.slept, [0.5, 1.0, 2.0, 4.0, 8.0], strict=True)
    )
    assert len(hand.asked) == 6
    assert type(error) is RateLimitTimeoutError
    assert (error.failed_indices, error.completed) == ((0,), ())
    assert (error.provider, error.model) == ("fake", "8")
    assert isinstance(error.__cause__, RequestFailed)
    assert job.report.retries == 5


@pytest.mark.parametrize("failure", [{"status": 503}, {"status": 529}, {"kind": "connection"}, {"kind": "timeout"}])
def test_a_provider_that_is_down_fails_its_batch_only(failure):
    down = RequestFailed("down", **failure)
    setting = make_setting(limits=ONE_BY_ONE, retries=1)
    _, hand, error = run(setting, "abc", Script(reply_to, down, down, reply_to))
    assert type(error) is ProviderUnavailableError
    assert (error.failed_indices, error.completed) == ((1,), (0, 2))
    assert hand.asked == [["a"], ["b"], ["b"], ["c"]]
    assert stored(setting, "abc") == ["a", "c"]
    _, again, _ = run(setting, "abc")
    assert again.asked == [["b"]]


def test_a_provider_that_stays_down_is_soon_left_alone():
    _, hand, error = run(make_setting(limits=ONE_BY_ONE), map(str, range(500)), Script(RequestFailed("", status=500)))
    assert type(error) is ProviderUnavailableError
    assert error.failed_indices == tuple(range(500))
    assert len(hand.asked) < 130


@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_asks_for_more_than_two_minutes_is_not_waited_for(status):
    job, hand, error = run(
        make_setting(limits=ONE_BY_ONE), "ab", Script(RequestFailed("", status=status, retry_after=200.0))
    )
    assert isinstance(error, RateLimitTimeoutError if status == 429 else ProviderUnavailableError)
    assert (error.failed_indices, error.completed) == ((0, 1), ())
    assert hand.slept == []
    assert len(hand.asked) == 1
    assert job.report.retries == 0


def test_a_batch_larger_than_the_providers_bucket_is_divided_instead_of_waiting_for_ever():
    headers = {"x-ratelimit-limit-tokens": "4", "x-ratelimit-remaining-tokens": "4"}

    def answer(batch):
        if batch.tokens > 4:
            raise busy(headers=headers)
        return reply_to(batch)

    _, hand, error = run(make_setting(), LETTERS, answer)
    assert error is None
    assert hand.asked == [LETTERS, LETTERS[:4], LETTERS[4:]]
