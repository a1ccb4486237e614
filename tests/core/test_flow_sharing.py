"""One text is asked for once, however many calls want it at the same time, and nobody waits for ever."""

from __future__ import annotations

import contextlib
from contextlib import suppress

import numpy as np
import pytest

from core.answers import Script, Together, refuse, run, spoil, stored, truth
from core.parts import Clock, Hand, Steps, make_job, make_setting, reply_to
from embedbridge._core.effects import Call, Gather, Wait
from embedbridge._core.flow import embed
from embedbridge._core.job import SLACK
from embedbridge._core.types import Limits
from embedbridge.errors import DeadlineExceededError, ProviderUnavailableError, RequestFailed


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
    flow = Steps(embed(job))
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
    job = make_job(setting, ["a", "b", "c"], seconds=5)
    flow, hand = Steps(embed(job)), Hand(setting.clock)
    effect = next(flow)
    while not isinstance(effect, Wait):
        effect = flow.send(hand.perform(effect))
    assert effect.seconds == 5
    assert isinstance(flow.throw(TimeoutError()), Wait)
    with pytest.raises(DeadlineExceededError) as caught:
        flow.send(None)
    assert (caught.value.failed_indices, caught.value.completed) == ((0, 2), (1,))
    assert (job.report.misses, job.report.requests) == (1, 1)


def test_whoever_waits_too_long_for_another_call_asks_for_itself():
    """C11: too long is more than a request may take after the last sign of any call."""
    setting = make_setting()
    setting.flights.claim(make_job(setting, ["a"]).keys, -1)
    job = make_job(setting, ["a"])
    flow, hand = Steps(embed(job)), Hand(setting.clock)
    effect = next(flow)
    while not isinstance(effect, Wait):
        effect = flow.send(hand.perform(effect))
    assert effect.seconds == setting.timeout + SLACK
    setting.clock.now += effect.seconds
    setting.flights.until = setting.clock.now + 7  # another call got on
    effect = flow.throw(TimeoutError())
    assert effect.seconds == 7
    with suppress(StopIteration):
        while True:
            if isinstance(effect, Wait):
                setting.clock.now += effect.seconds
                effect = flow.throw(TimeoutError())
            else:
                effect = flow.send(hand.perform(effect))
    assert hand.asked == [["a"]]
    assert job.have == [True]


def test_what_lands_between_look_up_and_claim_is_not_asked_for_again():
    setting = make_setting()
    job = make_job(setting, ["a", "b"])
    flow = Steps(embed(job))
    reading = next(flow)
    seen = reading.function()
    run(setting, "a")
    hand = Hand(setting.clock)
    hand.run(flow, seen)
    assert hand.asked == [["b"]]
    assert np.array_equal(job.table, truth("a", "b"))
    assert (job.report.hits, job.report.misses) == (1, 1)


def test_a_call_for_fresh_vectors_neither_takes_nor_hands_on_what_others_have_or_fetch():
    setting = make_setting()
    run(setting, "a")
    setting.flights.claim(make_job(setting, ["b"]).keys, -1)
    job = make_job(setting, ["a", "b", "c"])
    job.fresh, job.store = True, None
    claims = []
    hand = Hand(setting.clock, interrupt=lambda _: claims.append(setting.flights.claim(job.keys[2:], -2)[0]))
    hand.run(embed(job))
    assert hand.asked == [["a", "b", "c"]]
    assert claims[0] == [0]
    assert stored(setting, "abc") == ["a"]


def test_no_claim_outlives_its_call():
    for answer in (reply_to, refuse("b"), spoil("b"), Script(RequestFailed("", status=401)), Script(ValueError())):
        setting = make_setting(limits=Limits(items=2, text_tokens=20), policy="mean")
        texts = ["a", "b", "c", "long " * 40]
        with contextlib.suppress(ValueError):
            run(setting, texts, answer)
        job = make_job(setting, texts)
        assert setting.flights.claim(job.keys, -1)[0] == [0, 1, 2, 3]
