"""One call from its texts to its vectors, driven by hand: no clock but the test's, no socket, no thread, no mock."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.parts import WIDTH, Clock, Hand, make_job, make_setting, reply_to
from embedbridge.core.effects import Ask, Call, Gather, Sleep, Wait
from embedbridge.core.errors import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    DeadlineExceededError,
    EmbeddingError,
    InputTooLongError,
    InvalidInputError,
    InvalidResponseError,
    ProviderUnavailableError,
    RateLimitTimeoutError,
    RequestFailed,
)
from embedbridge.core.flow import deliver, embed, halves, plan
from embedbridge.core.tokens import ByteCounter
from embedbridge.core.types import Cut, Limits, Reply
from embedbridge.providers.fake import fake_vectors

LETTERS = list("abcdefgh")
ONE_BY_ONE = Limits(items=1)


def truth(*texts):
    return fake_vectors(list(texts), WIDTH)


def run(setting, texts, answer=reply_to, **job_options):
    """The job, the hand that drove it, and the error it ended with."""
    job, hand = make_job(setting, list(texts), **job_options), Hand(setting.clock, answer)
    try:
        hand.run(embed(job))
    except EmbeddingError as error:
        return job, hand, error
    return job, hand, None


class Script:
    """Answers requests in turn: an exception is raised, a function makes the reply of a batch. The last one stays."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __call__(self, batch):
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step(batch)


def busy(**told):
    return RequestFailed("slow down", status=429, **told)


def refuse(*poison):
    """An API that refuses any batch with one of these texts in it."""

    def answer(batch):
        if set(poison) & set(batch.texts):
            raise RequestFailed("invalid input", status=400)
        return reply_to(batch)

    return answer


def spoil(*texts, by=math.nan):
    """An API that spoils the vectors of these texts."""

    def answer(batch):
        items = [[by] * WIDTH if text in texts else truth(text)[0].tolist() for text in batch.texts]
        return Reply(items, tokens=batch.tokens)

    return answer


def stored(setting, texts):
    """Which of the texts the cache has, with the right vector."""
    job = make_job(setting, list(texts))
    hits = setting.store.read(job.keys, WIDTH)
    found = [job.texts[row] for row in hits.rows.tolist()]
    assert np.array_equal(hits.vectors, truth(*found)) or not found
    return found


# Straight through.


def test_a_call_step_by_step():
    job = make_job(make_setting(), ["a", "b", "a"])
    flow = embed(job)

    reading = next(flow)
    assert isinstance(reading, Call)
    spreading = flow.send(reading.function())
    assert isinstance(spreading, Gather)

    (batch,) = spreading.flows
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
    flow = embed(job)
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


# Trying again.


def test_a_request_that_was_slowed_down_is_sent_again_after_the_pause_asked_for():
    job, hand, error = run(make_setting(), "ab", Script(busy(retry_after=3.0), reply_to))
    assert error is None
    assert hand.slept == [3.0]
    assert hand.asked == [["a", "b"]] * 2
    assert (job.report.requests, job.report.retries, job.report.waited) == (2, 1, 3.0)


def test_a_pause_asked_of_one_batch_is_kept_by_all():
    setting = make_setting(limits=ONE_BY_ONE)
    job = make_job(setting, ["a", "b"])
    one, other = (deliver(job, batch) for batch in plan(job, range(2)))
    next(one)
    assert one.throw(busy(retry_after=3.0)) == Sleep(3.0)
    assert next(other) == Sleep(3.0)
    setting.clock.now += 3.0
    assert isinstance(one.send(None), Ask)
    assert isinstance(other.send(None), Ask)


def test_a_pause_that_grew_while_a_batch_waited_is_kept_as_well():
    setting = make_setting(limits=ONE_BY_ONE, requests_per_minute=60)
    job = make_job(setting, ["a", "b"])
    one, other = (deliver(job, batch) for batch in plan(job, range(2)))
    next(one)
    assert next(other) == Sleep(1.0)
    one.throw(busy(retry_after=5.0))
    setting.clock.now += 1.0
    assert other.send(None) == Sleep(4.0)


def test_without_a_pause_asked_for_pauses_double_and_end():
    job, hand, error = run(make_setting(), "a", Script(busy()))
    assert hand.slept == [0.5, 1.0, 2.0, 4.0, 8.0]
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
    _job, hand, error = run(setting, "abc", Script(reply_to, down, down, reply_to))
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


# What one text does to the others.


@settings(max_examples=30)
@given(st.integers(0, 99))
def test_a_poisonous_text_among_a_hundred_is_named_and_the_others_are_kept(place):
    texts = [f"text {number}" for number in range(100)]
    setting = make_setting()
    _, hand, error = run(setting, texts, refuse(texts[place]))
    assert type(error) is InvalidInputError
    assert (error.index, error.failed_indices) == (place, (place,))
    assert error.completed == tuple(number for number in range(100) if number != place)
    assert f"text {place}:" in str(error)
    assert len(hand.asked) <= 1 + 15
    answered = [text for batch in hand.asked if texts[place] not in batch for text in batch]
    assert sorted(answered) == sorted(set(texts) - {texts[place]})
    assert len(stored(setting, texts)) == 99


def test_each_of_several_poisonous_texts_is_found():
    texts = [f"text {number}" for number in range(16)]
    _, _, error = run(make_setting(), texts, refuse("text 3", "text 4", "text 12"))
    assert error.index == 3
    assert error.failed_indices == (3, 4, 12)


def test_a_poisonous_text_is_named_at_every_place_where_it_stands():
    _, _, error = run(make_setting(), ["a", "!", "b", "!"], refuse("!"))
    assert error.index == 1
    assert error.failed_indices == (1, 3)
    assert error.completed == (0, 2)


def test_an_api_that_refuses_everything_is_not_asked_text_by_text():
    _, hand, error = run(make_setting(), map(str, range(1000)), Script(RequestFailed("bad parameter", status=400)))
    assert isinstance(error, InvalidInputError)
    assert len(hand.asked) < 30
    assert len(error.failed_indices) == 1000


def test_the_halves_of_a_batch_know_their_own_tokens():
    job = make_job(make_setting(), ["a" * 400, "b", "c"])
    (batch,) = plan(job, range(3))
    assert [(half.texts, half.tokens) for half in halves(job, batch)] == [(("a" * 400,), 100), (("b", "c"), 2)]


def test_texts_that_were_too_long_do_not_speak_against_the_others():
    def answer(batch):
        if any(len(text) > 3 for text in batch.texts):
            raise RequestFailed("input is too large to process", status=500)
        return refuse("!")(batch)

    texts = ["long 1", "long 2", "long 3", "a", "long 4", "b", "!", "c"]
    _, _, error = run(make_setting(limits=Limits(items=4)), texts, answer)
    assert type(error) is InputTooLongError
    assert error.completed == (3, 5, 7)
    assert error.failed_indices == (0, 1, 2, 4, 6)


def test_a_text_that_the_provider_finds_too_long_is_named():
    def answer(batch):
        if any(len(text) > 3 for text in batch.texts):
            raise RequestFailed("input is too large to process", status=500)
        return reply_to(batch)

    _, _, error = run(make_setting(), ["a", "b", "long", "c"], answer)
    assert type(error) is InputTooLongError
    assert (error.index, error.completed) == (2, (0, 1, 3))


# Unsound answers.


def test_an_unsound_answer_is_asked_for_once_more():
    job, hand, error = run(make_setting(), "abc", Script(spoil("b"), reply_to))
    assert error is None
    assert hand.asked == [["a", "b", "c"]] * 2
    assert hand.slept == [0.5]
    assert job.report.paid_again == 3


@pytest.mark.parametrize("by", [math.nan, math.inf, 0.0])
def test_a_vector_that_stays_unsound_is_named_and_the_others_are_kept(by):
    setting = make_setting()
    _job, hand, error = run(setting, "abc", spoil("b", by=by))
    assert type(error) is InvalidResponseError
    assert error.kind == "value"
    assert (error.failed_indices, error.completed) == ((1,), (0, 2))
    assert len(hand.asked) == 2
    assert stored(setting, "abc") == ["a", "c"]
    _, again, _ = run(setting, "abc")
    assert again.asked == [["b"]]


def test_an_answer_is_asked_for_once_more_even_after_other_failures():
    _, hand, error = run(make_setting(), "abc", Script(busy(), busy(), spoil("b"), spoil("b")))
    assert len(hand.asked) == 4
    assert error.failed_indices == (1,)


def test_the_last_attempt_keeps_what_is_sound_in_it():
    _, hand, error = run(make_setting(retries=2), "abc", Script(busy(), busy(), spoil("b")))
    assert len(hand.asked) == 3
    assert error.failed_indices == (1,)
    _, hand, error = run(make_setting(retries=0), "abc", spoil("b"))
    assert len(hand.asked) == 1
    assert error.failed_indices == (1,)


def test_unsound_answers_count_as_attempts_like_any_other():
    _, hand, error = run(make_setting(retries=2), "abc", Script(spoil("b"), busy(), busy(), busy()))
    assert len(hand.asked) == 3
    assert type(error) is RateLimitTimeoutError


def lacking(batch):
    return Reply(truth(*batch.texts)[:-1])


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (lacking, "count"),
        (lambda batch: Reply(truth(*batch.texts), [0] * len(batch.texts)), "index"),
        (lambda batch: Reply(truth(*batch.texts)[:, :3]), "width"),
        (lambda batch: Reply([None] * len(batch.texts)), "value"),
        (lambda batch: Reply(truth(*batch.texts), model="another"), "model"),
    ],
)
def test_an_answer_that_cannot_be_trusted_fails_its_whole_batch_and_no_other(wrong, kind):
    setting = make_setting(limits=Limits(items=2), width=WIDTH, other_models=frozenset({"another"}))
    _, hand, error = run(setting, "abcdef", Script(reply_to, wrong, wrong, reply_to))
    assert (type(error), error.kind) == (InvalidResponseError, kind)
    assert hand.asked == [["a", "b"], ["c", "d"], ["c", "d"], ["e", "f"]]
    assert (error.failed_indices, error.completed) == ((2, 3), (0, 1, 4, 5))
    assert stored(setting, "abcdef") == ["a", "b", "e", "f"]


def test_vectors_of_another_width_than_those_in_the_cache_are_an_error_and_not_a_mixture():
    setting = make_setting()
    run(setting, "a")
    setting.width = None
    _, _, error = run(setting, "ab", lambda batch: Reply(fake_vectors(batch.texts, 16)))
    assert (type(error), error.kind) == (InvalidResponseError, "width")
    assert (error.failed_indices, error.completed) == ((1,), (0,))


def test_the_first_vectors_decide_the_width():
    setting = make_setting()
    assert [setting.agree(width) for width in (8, 16, 8)] == [True, False, True]


def test_batches_of_two_widths_are_not_mixed():
    setting = make_setting(limits=ONE_BY_ONE)
    _, _, error = run(setting, "ab", lambda batch: Reply(fake_vectors(batch.texts, 8 if batch.texts == ("a",) else 16)))
    assert error.failed_indices == (1,)


# Stopping.


def test_a_refused_key_stops_everything():
    setting = make_setting(limits=ONE_BY_ONE, requests_per_minute=60)
    _, hand, error = run(setting, "abcde", Script(reply_to, RequestFailed("invalid key", status=401)))
    assert type(error) is AuthenticationError
    assert hand.asked == [["a"], ["b"]]
    assert hand.slept == [1.0]
    assert (error.failed_indices, error.completed) == ((1, 2, 3, 4), (0,))
    assert stored(setting, "abcde") == ["a"]


def test_what_is_on_its_way_when_everything_stops_is_kept():
    setting = make_setting(limits=ONE_BY_ONE)
    job = make_job(setting, ["a", "b"])
    one, other = (deliver(job, batch) for batch in plan(job, range(2)))
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
    one, other = (deliver(job, batch) for batch in plan(job, range(2)))
    next(one)
    effect = next(other)
    if waiting == "for a retry":
        effect = other.throw(busy())
    assert isinstance(effect, Sleep)
    with pytest.raises(StopIteration):
        one.throw(RequestFailed("invalid key", status=401))
    with pytest.raises(StopIteration):
        other.send(None)
    assert job.report.requests == (2 if waiting == "for a retry" else 1)
    assert type(job.outcome()) is AuthenticationError


def test_a_pause_past_the_deadline_is_not_begun():
    setting = make_setting(limits=ONE_BY_ONE)
    _job, hand, error = run(setting, "abc", Script(reply_to, busy(retry_after=100.0)), seconds=30)
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


PRICED = {"price": 1e6, "limits": ONE_BY_ONE}  # a dollar a token


def test_a_request_that_would_pass_the_highest_cost_is_not_sent():
    setting = make_setting(max_cost=3.0, **PRICED)
    job, hand, error = run(setting, "abcde")
    assert type(error) is BudgetExceededError
    assert hand.asked == [["a"], ["b"], ["c"]]
    assert (error.failed_indices, error.completed) == ((3, 4), (0, 1, 2))
    assert setting.spent == job.report.cost == 3.0
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
    assert setting.spent == job.report.cost == 10.0


def test_requests_that_brought_nothing_cost_nothing_unless_they_were_billed():
    setting = make_setting(**PRICED)
    job, _, _ = run(setting, "a", Script(busy(), reply_to))
    assert setting.spent == job.report.cost == 1.0
    setting = make_setting(**PRICED)
    job, _, _ = run(setting, "a", Script(RequestFailed("", kind="timeout", billed=True), lacking, reply_to))
    assert setting.spent == job.report.cost == 3.0
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
            (flow,) = (deliver(job, batch) for batch in plan(job, range(1)))
            assert isinstance(next(flow), Sleep)
            flow.close()
        assert job.report.requests == 0
    assert setting.spent == 1.0
    assert setting.limiter.reserve(1) == 10.0


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


# One text is asked for once.


class Together:
    """Several calls at once, each a flow in the hands of a test."""

    def __init__(self, setting, *calls, answer=reply_to):
        self.jobs = [make_job(setting, list(texts)) for texts in calls]
        self.flows = [embed(job) for job in self.jobs]
        self.answer = answer

    def start(self, call):
        """Drive a call up to the requests that it wants to send, or the first thing that it waits for."""
        effect = next(self.flows[call])
        while isinstance(effect, Call):
            effect = self.flows[call].send(effect.function())
        return effect

    def finish(self, call, effect):
        """Drive a call on, answering what it asks; returns what it waits for, or None at its end."""
        hand = Hand(Clock(), self.answer)
        try:
            while not isinstance(effect, Wait) or effect.future.done():
                effect = self.flows[call].send(hand.perform(effect))
        except StopIteration:
            return None
        return effect


def test_a_second_call_waits_for_the_first_and_asks_for_nothing():
    both = Together(make_setting(), "ab", "ba")
    asking, waiting = both.start(0), both.start(1)
    assert isinstance(asking, Gather)
    assert isinstance(waiting, Wait)
    assert both.finish(0, asking) is None
    assert both.finish(1, waiting) is None
    assert np.array_equal(both.jobs[1].table, truth("b", "a"))
    assert (both.jobs[1].report.shared, both.jobs[1].report.requests) == (2, 0)


def test_a_call_does_its_own_work_before_it_waits_for_others():
    both = Together(make_setting(), "ab", "bc")
    both.start(0)
    work = both.start(1)
    assert isinstance(work, Gather)
    assert isinstance(both.finish(1, work), Wait)
    assert np.array_equal(both.jobs[1].table[both.jobs[1].have], truth("c"))


def test_two_calls_that_want_each_others_texts_never_wait_for_each_other():
    both = Together(make_setting(), "ab", "bca")
    one, other = both.start(0), both.start(1)
    waiting = both.finish(1, other)
    assert isinstance(waiting, Wait)
    assert both.finish(0, one) is None
    assert both.finish(1, waiting) is None
    assert [job.report.requests for job in both.jobs] == [1, 1]


@pytest.mark.parametrize("end", ["fails", "is cancelled"])
def test_a_call_whose_leader_gives_up_asks_for_itself(end):
    setting = make_setting(retries=0)
    both = Together(setting, "a", "a")
    asking, waiting = both.start(0), both.start(1)
    if end == "is cancelled":
        both.flows[0].close()
    else:
        hand = Hand(Clock(), Script(RequestFailed("", status=500)))
        with pytest.raises(ProviderUnavailableError):
            both.flows[0].send(hand.perform(asking))
    assert waiting.future.result(0) is None
    assert both.finish(1, waiting) is None
    assert np.array_equal(both.jobs[1].table, truth("a"))
    assert both.jobs[1].report.requests == 1


def test_of_many_whose_leader_was_cancelled_one_asks():
    setting = make_setting()
    many = Together(setting, *["a"] * 10)
    waits = [many.start(call) for call in range(10)]
    many.flows[0].close()
    for call in range(1, 10):
        waits[call] = many.flows[call].send(waits[call].future.result(0))
        while isinstance(waits[call], Call):
            waits[call] = many.flows[call].send(waits[call].function())
    assert [type(wait) for wait in waits[1:]] == [Gather] + [Wait] * 8
    for call in range(1, 10):
        assert many.finish(call, waits[call]) is None
    assert sum(job.report.requests for job in many.jobs) == 1


def test_nobody_waits_for_one_failing_leader_after_another():
    setting = make_setting()
    job = make_job(setting, ["a"])
    flow = embed(job)
    effect, waits = next(flow), 0
    while not isinstance(effect, Gather):
        if isinstance(effect, Wait):
            waits += 1
            setting.flights.release(job.keys, -waits)
        setting.flights.claim(job.keys, -waits - 1)
        effect = flow.send(effect.future.result(0) if isinstance(effect, Wait) else effect.function())
    assert 1 <= waits <= 2


def test_a_call_that_would_wait_for_its_own_thread_asks_for_itself():
    setting = make_setting()
    setting.flights.claim(make_job(setting, ["a"]).keys, -1)
    job, hand, error = run(setting, "ab")
    assert error is None
    assert hand.asked == [["b"], ["a"]]
    assert np.array_equal(job.table, truth("a", "b"))
    assert (job.report.misses, job.report.shared) == (2, 0)


def test_a_wait_past_the_deadline_ends_there():
    setting = make_setting()
    setting.flights.claim(make_job(setting, ["a", "c"]).keys, -1)
    job = make_job(setting, ["a", "b", "c"], seconds=30)
    flow, hand = embed(job), Hand(setting.clock)
    effect = next(flow)
    while not isinstance(effect, Wait):
        effect = flow.send(hand.perform(effect))
    assert effect.seconds == 30
    assert isinstance(flow.throw(TimeoutError()), Wait)
    with pytest.raises(DeadlineExceededError) as caught:
        flow.send(None)
    assert (caught.value.failed_indices, caught.value.completed) == ((0, 2), (1,))
    assert (job.report.misses, job.report.requests) == (1, 1)


def test_what_lands_between_look_up_and_claim_is_not_asked_for_again():
    setting = make_setting()
    job = make_job(setting, ["a", "b"])
    flow = embed(job)
    reading = next(flow)
    seen = reading.function()
    run(setting, "a")
    hand = Hand(setting.clock)
    hand.run(flow, seen)
    assert hand.asked == [["b"]]
    assert np.array_equal(job.table, truth("a", "b"))
    assert (job.report.hits, job.report.misses) == (1, 1)


def test_no_claim_outlives_its_call():
    for answer in (reply_to, refuse("b"), spoil("b"), Script(RequestFailed("", status=401)), Script(ValueError())):
        setting = make_setting(limits=Limits(items=2, text_tokens=20), policy="mean")
        texts = ["a", "b", "c", "long " * 40]
        with contextlib.suppress(ValueError):
            run(setting, texts, answer)
        job = make_job(setting, texts)
        assert setting.flights.claim(job.keys, -1)[0] == [0, 1, 2, 3]


# Texts that are too long.


def long_setting(**parts):
    return make_setting(limits=Limits(items=100, text_tokens=10), counter=lambda: ByteCounter(2), **parts)


def test_a_text_that_is_too_long_is_cut_and_reported_now_and_from_the_cache():
    setting = long_setting()
    job, hand, _ = run(setting, ["short", "x" * 50, "short"])
    assert hand.asked == [["short", "x" * 20]]
    assert job.report.cut == (Cut(1, 25, 10),)
    job, hand, _ = run(setting, ["x" * 50])
    assert hand.asked == []
    assert job.report.cut == (Cut(0, 25, 10),)


def test_a_short_text_never_meets_a_tokenizer():
    def counter():
        raise AssertionError

    setting = make_setting(limits=Limits(text_tokens=100), counter=counter)
    assert run(setting, ["x" * 92])[2] is None


def test_texts_that_are_too_long_can_be_refused_before_anything_is_sent():
    _, hand, error = run(long_setting(policy="error"), ["short", "x" * 50, "y" * 60, "x" * 50])
    assert type(error) is InputTooLongError
    assert (error.index, error.tokens, error.limit) == (1, 25, 10)
    assert error.failed_indices == (1, 2, 3)
    assert "too_long='truncate'" in str(error)
    assert hand.asked == []


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_a_text_that_is_too_long_can_become_the_mean_of_its_pieces():
    setting = long_setting(policy="mean")
    text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr"
    job, hand, error = run(setting, ["short", text])
    pieces = [text[:20], text[20:40], text[40:]]
    assert error is None
    assert hand.asked == [["short"], pieces]
    mean = unit(np.average(truth(*pieces), axis=0, weights=[10, 10, 2]))
    assert np.allclose(job.table[1], mean, atol=1e-6)
    assert job.report.cut == (Cut(1, 22, 22),)
    assert (job.report.unique, job.report.misses) in {(0, 2), (2, 2)}
    again, hand, _ = run(setting, [text])
    assert hand.asked == []
    assert np.array_equal(again.table[0], job.table[1])


def test_pieces_that_are_alike_are_asked_for_once():
    job, hand, error = run(long_setting(policy="mean"), ["x" * 2000])
    assert error is None
    assert hand.asked == [["x" * 20]]
    assert np.allclose(job.table[0], truth("x" * 20)[0], atol=1e-6)


def test_pieces_that_were_paid_for_are_kept_when_another_one_fails():
    setting = long_setting(policy="mean")
    text = "a" * 20 + "b" * 20 + "c" * 20
    _, hand, error = run(setting, [text, "short"], refuse("b" * 20))
    assert (error.failed_indices, error.completed) == ((0,), (1,))
    assert error.index == 0
    _, hand, _ = run(setting, [text, "short"])
    assert hand.asked == [["b" * 20]]


@pytest.mark.parametrize("store", ["a cache", "no cache"])
def test_a_piece_that_is_also_a_text_never_waits_for_itself(store):
    parts = {} if store == "a cache" else {"store": None}
    piece, long = "p" * 20, "p" * 20 + "q" * 20
    for answer in (reply_to, refuse(piece), spoil(piece)):
        _job, hand, error = run(long_setting(policy="mean", **parts), [piece, long], answer)
        assert error is None or error.failed_indices == (0, 1)
        assert all(not isinstance(effect, Wait) or effect.future.done() for effect in hand.effects)


def test_whoever_waits_holds_nothing_that_others_wait_for():
    setting = long_setting(policy="mean", retries=0)
    texts = ["f" * 4, "p" * 20 + "q" * 20]
    setting.flights.claim(make_job(setting, ["q" * 20]).keys, -1)  # somebody else is at the second piece

    def check(effect):
        if isinstance(effect, Wait):
            job = make_job(setting, [*texts, "p" * 20])
            assert setting.flights.claim(job.keys, -2)[0] == [0, 1, 2]
            setting.flights.release(job.keys, -2)

    job = make_job(setting, texts)
    hand = Hand(setting.clock, refuse("f" * 4), interrupt=check)
    with pytest.raises(InvalidInputError):
        hand.run(embed(job))
    assert any(isinstance(effect, Wait) for effect in hand.effects)


def test_two_calls_with_a_long_text_in_common_ask_for_its_pieces_once():
    setting = long_setting(policy="mean")
    text = "a" * 20 + "b" * 20
    both = Together(setting, [text], [text])
    one, other = both.start(0), both.start(1)
    assert both.finish(0, one) is None
    assert both.finish(1, other) is None
    assert np.array_equal(both.jobs[0].table[0], both.jobs[1].table[0])
    assert both.jobs[1].report.requests == 0


def test_a_cut_that_the_server_made_is_reported_with_the_length_of_the_text():
    def cutting(batch):
        return Reply(truth(*batch.texts), tokens=10, cut={0: 10})

    setting = make_setting()
    job, _, _ = run(setting, ["x" * 400], cutting)
    assert job.report.cut == (Cut(0, 100, 10),)
    job, hand, _ = run(setting, ["x" * 400])
    assert hand.asked == []
    assert job.report.cut == (Cut(0, 100, 10),)


def test_hits_shared_and_misses_are_all_there_is():
    setting = long_setting(policy="mean")
    run(setting, ["hit"])
    setting.flights.claim(make_job(setting, ["other"]).keys, -1)
    job, _, _ = run(setting, ["hit", "other", "miss", "z" * 90])
    assert job.report.hits + job.report.shared + job.report.misses == 4
