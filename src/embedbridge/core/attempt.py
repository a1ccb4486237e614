"""One attempt to have a batch answered: its place under the limits, its booking, and what becomes of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import RequestFailed
from .job import Job
from .limits import Place
from .purse import Booking
from .retry import may_be_billed
from .types import Batch


@dataclass(slots=True)
class Attempt:
    """One attempt to have a batch answered."""

    place: Place
    booking: Booking | None = None


@contextmanager
def an_attempt(job: Job, batch: Batch) -> Iterator[Attempt]:
    """Begin one, and see to its end. A request that was not sent frees its place and costs nothing."""
    attempt = Attempt(job.setting.limiter.reserve(batch.tokens))
    try:
        yield attempt
    except RequestFailed as failure:
        job.expect(0.0)
        if attempt.booking is not None and not may_be_billed(failure):
            job.settle(attempt.booking, 0)
        raise
    finally:
        booking = attempt.booking
        if booking is None or not booking.sent:
            job.setting.limiter.give_back(attempt.place)
        if booking is not None:
            job.settle(booking, booking.at_most if booking.sent else 0)  # unless that is known by now
