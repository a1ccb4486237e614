"""One request of a call, from its turn to its answer: wait for a place, book what it can cost, send it."""

from __future__ import annotations

import math
from collections.abc import Collection
from concurrent.futures import Future
from functools import partial
from typing import Any

from embedbridge import events
from embedbridge.errors import BudgetExceededError, RateLimitTimeoutError

from .attempt import Attempt, check_no_better, move
from .bills import begin_request, count_billed, most_billed, settle_request
from .deadlines import call_in_time, deadline_error
from .effects import Acquire, Ask, Call, Flow, Over, Sleep, Tell, Wait, WouldDeadlock
from .endpoints import Endpoint
from .job import Job
from .length import COUNTED
from .lessons import knows_better
from .purse import Booking
from .seams import Throttle
from .types import Batch, Reply

MANY = 1 << 14
"""Tokens; the texts of larger requests are looked at in a thread, so that an event loop is not blocked."""


LOOK_AGAIN = 0.5
"""Seconds after which a request that waits for one endpoint of a pool goes to another that has room by then."""


class Outgrown(Exception):  # noqa: N818 - a signal between the steps of one batch
    """Since a batch was packed, the server has taught that it is too large."""


def send(job: Job, batch: Batch, attempt: Attempt, patience: float = math.inf) -> Flow[Reply]:
    """Book a request that has its place, and send it. It may take `patience` seconds at most."""
    check_not_over(job)
    if knows_better(job, batch):
        raise Outgrown
    if job.shared.purse.limit is None:
        booking = attempt.booking = Booking(batch.tokens)  # a guess, for nothing depends on it
    else:
        booking = attempt.booking = yield from book(job, batch)
        check_not_over(job)  # once the attempt has the booking, which its end gives back
    left, model = job.left(), job.shared.identity
    timeout = min(patience, job.shared.timeout, math.inf if left is None else left)
    begin = partial(begin_request, job, batch, booking, attempt.endpoint)
    try:
        reply: Reply = yield Ask(batch, timeout, left, job.over, begin, model, attempt.endpoint)
    except TimeoutError as late:
        raise deadline_error(job, str(late) or "the provider was asked") from None
    except Over:
        check_not_over(job)
        raise
    guess = None if reply.tokens is not None else batch.tokens
    settle_request(job, booking, booking.at_most if reply.tokens is None else reply.tokens, told=guess)
    return reply


def wait_for_place(job: Job, batch: Batch, attempt: Attempt, avoid: Collection[Endpoint] = ()) -> Flow[None]:
    """Wait until the rate limits allow a request; in a pool, those of the endpoint that has room first."""
    wait = max(attempt.place.wait, 0.0 if attempt.overall is None else attempt.overall.wait)
    while wait > 0:
        check_no_better(job, batch, attempt)
        yield Tell(job.shared.emit, events.LimitWaited(job.number, wait, attempt.endpoint.name))
        most = wait if job.shared.pool is None else LOOK_AGAIN
        yield from sleep_in_time(job, min(wait, most), "waiting for a rate limit")
        move(job, batch, attempt, avoid)
        wait = attempt.left(job)
    if job.shared.throttle is not None:
        yield from wait_for_throttle(job, batch, job.shared.throttle)


def book(job: Job, batch: Batch) -> Flow[Booking]:
    """Book a request at the most that it can cost. Raises `BudgetExceededError` when that would pass `max_cost`."""
    purse = job.shared.purse
    at_most = yield Call(partial(most_billed, job, batch), blocking=batch.tokens > MANY)
    if isinstance(booked := purse.book(at_most), Booking):
        return booked
    exactly = yield from call_in_time(job, partial(count_billed, job, batch), COUNTED)
    at_most = at_most if exactly is None else exactly
    while not isinstance(booked := purse.book(at_most), Booking):
        if booked is None or not (yield from settled(job, booked)):
            raise BudgetExceededError(
                f"{job.where()}: {purse}, and the next request can cost up to {purse.tell(at_most)}; "
                "everything so far is kept, raise max_cost to go on"
            )
    return booked


def settled(job: Job, one: Future[Any]) -> Flow[bool]:
    """Wait until it is known what a request under way costs: less than is booked, most likely. False: it takes long."""
    job.expect(job.timeout())
    try:
        yield Wait(one, None, job.timeout())
    except (TimeoutError, WouldDeadlock):
        if job.out_of_time():
            raise deadline_error(job, "waiting to know what requests under way cost, for max_cost") from None
        return False
    check_not_over(job)
    return True


def check_not_over(job: Job) -> None:
    """Raise the error that has ended the call while a request waited."""
    if job.stop is not None:
        raise job.stop
    if job.deadline is not None and job.left() == 0:
        raise deadline_error(job, "a request waited for its turn")


def wait_for_throttle(job: Job, batch: Batch, throttle: Throttle) -> Flow[None]:
    """Wait for the user's own rate limiter. Raises `RateLimitTimeoutError` when it fails or refuses."""
    begun, ceiling = job.shared.clock(), throttle.ceiling
    tokens = batch.tokens if ceiling is None else min(batch.tokens, ceiling)
    try:
        granted = yield Acquire(throttle, tokens, job.left(), job.over)
    except Over:
        return
    except Exception as error:
        if isinstance(error, TimeoutError) and job.out_of_time():
            raise deadline_error(job, "waiting for the rate_limiter") from None
        raise RateLimitTimeoutError(f"{job.where()}: the rate_limiter failed ({type(error).__name__})") from error
    if not granted:
        raise RateLimitTimeoutError(f"{job.where()}: the rate_limiter lets no more requests go")
    job.report.waited += job.shared.clock() - begun


def sleep_in_time(job: Job, seconds: float, doing: str) -> Flow[None]:
    """Sleep, unless the call ends. Raises `DeadlineExceededError` at once when the call's deadline comes first."""
    begun, left = job.shared.clock(), job.left()
    if left is not None and seconds >= left:
        raise deadline_error(job, doing, ahead=seconds)
    job.expect(seconds)
    if seconds > 0:
        yield Sleep(seconds, job.over)
    job.report.waited += job.shared.clock() - begun
    check_not_over(job)
