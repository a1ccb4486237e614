"""One attempt to have a batch answered: its place under the limits, its booking, and what becomes of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from embedbridge.errors import RequestFailed

from .bills import settle_request
from .job import Job
from .limits import Limiter, Place
from .purse import Booking
from .retry import may_be_billed
from .types import Batch


@dataclass(slots=True)
class Attempt:
    """One attempt to have a batch answered."""

    limiter: Limiter
    place: Place
    booking: Booking | None = None


def begin_attempt(job: Job, batch: Batch) -> Attempt:
    """Take a place for an attempt, which `ending` has to see to the end of."""
    limiter = job.shared.limiter
    return Attempt(limiter, limiter.reserve(batch.tokens))


@contextmanager
def ending(job: Job, attempt: Attempt) -> Iterator[None]:
    """See to an attempt's end. A request that was not sent frees its place and costs nothing."""
    try:
        yield
        attempt.limiter.answered(attempt.place)
    except RequestFailed as failure:
        job.expect(0.0)
        if attempt.booking is not None and not may_be_billed(failure):
            settle_request(job, attempt.booking, 0)
        raise
    finally:
        booking = attempt.booking
        if booking is None or not booking.sent:
            attempt.limiter.give_back(attempt.place)
        if booking is not None:
            settle_request(job, booking, booking.at_most if booking.sent else 0)  # unless that is known by now
