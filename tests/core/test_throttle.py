"""A limiter of the user's own, driven by hand: asked before each request, with its tokens and the time that is left."""

from __future__ import annotations

import pytest

from core.parts import Steps, make_job, make_setting
from embedbridge._core.delivery import deliver
from embedbridge._core.effects import Acquire, Ask, Sleep
from embedbridge._core.flow import plan
from embedbridge._core.outcome import error_of
from embedbridge.errors import DeadlineExceededError, RateLimitTimeoutError, RequestFailed


class Throttle:
    """Never called: the hand answers in its place."""

    def __init__(self, ceiling=None):
        self.ceiling = ceiling

    def acquire(self, tokens):
        raise NotImplementedError

    async def aacquire(self, tokens):
        raise NotImplementedError


def begin(ceiling=None, **options):
    """A call with one batch of two texts, and the flow of that batch at its first effect."""
    setting = make_setting(throttle=Throttle(ceiling))
    job = make_job(setting, ["a" * 40, "b"], **options)
    (batch,) = plan(job, [0, 1])
    flow = Steps(deliver(job, batch))
    return job, flow, next(flow)


@pytest.mark.parametrize(("ceiling", "tokens"), [(None, 11), (5, 5)])
def test_a_request_waits_for_the_limiter_and_is_sent_once_it_may(ceiling, tokens):
    job, flow, waiting = begin(ceiling, seconds=30)
    assert isinstance(waiting, Acquire)
    assert (waiting.tokens, waiting.seconds) == (tokens, 30)
    assert job.report.requests == 0
    job.shared.clock.now += 2
    asking = flow.send(True)  # noqa: FBT003 - what the driver sends
    assert isinstance(asking, Ask)
    assert job.report.waited == 2
    asking.begin()
    assert job.report.requests == 1


def test_every_further_attempt_waits_again():
    _, flow, _ = begin()
    assert isinstance(flow.send(True), Ask)  # noqa: FBT003 - what the driver sends
    pause = flow.throw(RequestFailed("busy", status=503))
    assert isinstance(pause, Sleep)
    assert isinstance(flow.send(None), Acquire)


@pytest.mark.parametrize(
    ("outcome", "expected", "said"),
    [
        (False, RateLimitTimeoutError, "lets no more requests go"),
        (OSError("redis is away"), RateLimitTimeoutError, r"the rate_limiter failed \(OSError\)"),
        (TimeoutError(), DeadlineExceededError, "the deadline passed"),
    ],
)
def test_a_limiter_that_does_not_grant_ends_the_call_with_one_named_error(outcome, expected, said):
    job, flow, waiting = begin(seconds=5)
    if isinstance(outcome, TimeoutError):
        job.shared.clock.now += waiting.seconds
    with pytest.raises(StopIteration):
        flow.throw(outcome) if isinstance(outcome, Exception) else flow.send(outcome)
    assert job.report.requests == 0
    with pytest.raises(expected, match=said):
        raise error_of(job)
