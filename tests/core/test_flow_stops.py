"""What ends a call early: a refused key, its deadline, its highest cost; and what is kept of it."""

from __future__ import annotations

import pytest

from core.answers import ONE_BY_ONE, Script, busy, lacking, run, stored, truth
from core.parts import Steps, make_job, make_setting, reply_to
from embedbridge._core.delivery import deliver
from embedbridge._core.effects import Ask, Sleep
from embedbridge._core.flow import plan
from embedbridge._core.outcome import error_of
from embedbridge._core.tokens import ByteCounter
from embedbridge._core.types import Limits, Reply
from embedbridge.errors import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    DeadlineExceededError,
    RequestFailed,
)


def test_a_refused_key_stops_everything():
    setting = make_setting(limits=ONE_BY_ONE, requests_per_minute=60)
    refused = RequestFailed("invalid key", status=401)
    _, hand, error = run(setting, "abcde", Script(reply_to, refused, refused))
    assert type(error) is AuthenticationError
    assert hand.asked == [["a"], ["b"], ["b"]]  # once more, because it was accepted before
    assert (error.failed_indices, error.completed) == ((1, 2, 3, 4), (0,))
    assert stored(setting, "abcde") == ["a"]


def test_money_that_is_booked_while_everything_stops_may_be_spent_by_later_calls():
    setting = make_setting(limits=ONE_BY_ONE, price=1.0, max_cost=1.0)
    job = make_job(setting, ["a", "b"])
    one, other = (Steps(deliver(job, batch)) for batch in plan(job, range(2)))
    counted = next(one)
    next(other)
    job.fail([1], AuthenticationError("invalid key"), fatal=True)
    for steps in (one, other):
        with pytest.raises(StopIteration):
            steps.send(counted.function())
    assert (setting.purse.booked, setting.purse.spent) == (0, 0)


def test_what_is_on_its_way_when_everything_stops_is_kept():
    setting = make_setting(limits=ONE_BY_ONE)
    job = make_job(setting, ["a", "b"])
    one, other = (Steps(deliver(job, batch)) for batch in plan(job, range(2)))
    asked = next(one)
    next(other)
    with pytest.raises(StopIteration):
        other.throw(RequestFailed("invalid key", status=401))
    one.send(reply_to(asked.batch)).function()
    assert stored(setting, "ab") == ["a"]


@pytest.mark.parametrize("waiting", ["for a retry", "for a limit"])
def test_a_batch_that_waits_when_everything_stops_is_not_sent(waiting):
    setting = make_setting(limits=ONE_BY_ONE, requests_per_minute=60 if waiting == "for a limit" else None)
    job = make_job(setting, ["a", "b"])
    one, other = (Steps(deliver(job, batch)) for batch in plan(job, range(2)))
    next(one).begin()
    effect = next(other)
    if waiting == "for a retry":
        effect.begin()
        effect = other.throw(busy())
    assert isinstance(effect, Sleep)
    with pytest.raises(StopIteration):
        one.throw(RequestFailed("invalid key", status=401))
    with pytest.raises(StopIteration):
        other.send(None)
    assert job.report.requests == (2 if waiting == "for a retry" else 1)
    assert type(error_of(job)) is AuthenticationError


def test_a_pause_past_the_deadline_is_not_begun():
    setting = make_setting(limits=ONE_BY_ONE)
    job, hand, error = run(setting, "abc", Script(reply_to, busy(retry_after=100.0)), seconds=30)
    assert (job.report.retries, job.report.waited) == (0, 0.0)
    assert type(error) is DeadlineExceededError
    assert hand.slept == []
    assert hand.asked == [["a"], ["b"]]
    assert (error.failed_indices, error.completed) == ((1, 2), (0,))
    assert stored(setting, "abc") == ["a"]


def test_a_rate_limit_past_the_deadline_is_not_waited_for():
    setting = make_setting(limits=ONE_BY_ONE, requests_per_minute=6)
    _, hand, error = run(setting, "abc", seconds=15)
    assert type(error) is DeadlineExceededError
    assert (hand.asked, hand.slept) == ([["a"], ["b"]], [10.0])


def test_no_request_is_sent_after_the_deadline_or_for_longer_than_until_then():
    setting = make_setting(limits=ONE_BY_ONE)

    def slow(batch):
        setting.clock.now += 10
        return reply_to(batch)

    _, hand, error = run(setting, "abcdef", slow, seconds=25)
    assert [effect.timeout for effect in hand.effects if isinstance(effect, Ask)] == [25, 15, 5]
    assert type(error) is DeadlineExceededError
    assert error.completed == (0, 1, 2)


def test_a_deadline_that_has_passed_exactly_is_no_reason_to_wait_the_full_timeout():
    setting = make_setting(limits=ONE_BY_ONE)

    def slow(batch):
        setting.clock.now += 10
        return reply_to(batch)

    _, hand, error = run(setting, "abc", slow, seconds=20)
    assert [effect.timeout for effect in hand.effects if isinstance(effect, Ask)] == [20, 10]
    assert type(error) is DeadlineExceededError


def test_a_request_that_the_deadline_cut_short_is_no_fault_of_the_provider():
    setting = make_setting(limits=ONE_BY_ONE, retries=0)

    def silent(_):
        setting.clock.now += 10
        raise RequestFailed("no whole answer within the timeout", kind="timeout", billed=True)

    _, hand, error = run(setting, "a", silent, seconds=10)
    assert hand.asked == [["a"]]
    assert type(error) is DeadlineExceededError


PRICED = {"price": 1e6, "limits": ONE_BY_ONE}  # a dollar a token


def test_a_request_that_would_pass_the_highest_cost_is_not_sent():
    setting = make_setting(max_cost=3.0, **PRICED)
    job, hand, error = run(setting, "abcde")
    assert type(error) is BudgetExceededError
    assert hand.asked == [["a"], ["b"], ["c"]]
    assert (error.failed_indices, error.completed) == ((3, 4), (0, 1, 2))
    assert setting.purse.dollars(setting.purse.spent) == job.report.cost == 3.0
    assert "raise max_cost" in str(error)


def test_the_highest_cost_is_that_of_all_calls_and_hits_are_free():
    setting = make_setting(max_cost=3.0, **PRICED)
    assert run(setting, "ab")[2] is None
    assert run(setting, "abc")[2] is None
    assert type(run(setting, "abcd")[2]) is BudgetExceededError


def test_what_was_billed_counts_instead_of_what_was_guessed():
    setting = make_setting(max_cost=10.0, **PRICED)
    job, _, error = run(setting, "ab", lambda batch: Reply(truth(*batch.texts), tokens=5))
    assert error is None
    assert setting.purse.dollars(setting.purse.spent) == job.report.cost == 10.0


def test_requests_that_brought_nothing_cost_nothing_unless_they_were_billed():
    setting = make_setting(**PRICED)
    job, _, _ = run(setting, "a", Script(busy(), reply_to))
    assert setting.purse.dollars(setting.purse.spent) == job.report.cost == 1.0
    setting = make_setting(**PRICED)
    job, _, _ = run(setting, "a", Script(RequestFailed("", kind="timeout", billed=True), lacking, reply_to))
    assert setting.purse.dollars(setting.purse.spent) == job.report.cost == 3.0
    assert job.report.paid_again == 2


@pytest.mark.parametrize("given_up", ["the deadline", "its caller"])
def test_a_request_that_is_not_sent_after_all_costs_neither_money_nor_rate(given_up):
    setting = make_setting(requests_per_minute=6, **PRICED)
    run(setting, "a")
    for _ in range(5):
        if given_up == "the deadline":
            job, _, error = run(setting, "b", seconds=5)
            assert type(error) is DeadlineExceededError
        else:
            job = make_job(setting, ["b"])
            (flow,) = (Steps(deliver(job, batch)) for batch in plan(job, range(1)))
            assert isinstance(next(flow), Sleep)
            flow.close()
        assert job.report.requests == 0
    assert setting.purse.spent == 1
    assert setting.limiter.reserve(1).wait == 10.0


def test_an_error_of_another_kind_than_a_failed_request_is_told_with_what_was_finished():
    setting = make_setting(limits=ONE_BY_ONE)
    _, _, error = run(setting, "abc", Script(reply_to, ConfigurationError("no such model")))
    assert type(error) is ConfigurationError
    assert (error.failed_indices, error.completed) == ((1, 2), (0,))


class Broken(ByteCounter):
    def spans(self, _):
        raise ConfigurationError("no vocabulary")


def test_a_tokenizer_that_cannot_be_had_is_told_with_what_was_in_the_cache():
    setting = make_setting(limits=Limits(text_tokens=100), counter=Broken)
    run(setting, "a")
    _, hand, error = run(setting, ["a", "b" * 200])
    assert type(error) is ConfigurationError
    assert (error.failed_indices, error.completed) == ((1,), (0,))
    assert hand.asked == []
