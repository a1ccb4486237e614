"""One attempt to have a batch answered: its place under the limits, its booking, and what becomes of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .errors import RequestFailed
from .job import Job
from .limits import Limiter, Place
from .purse import Booking
from .retry import is_too_fast, may_be_billed
from .types import Batch


@dataclass(slots=True)
class Attempt:
    """One attempt to have a batch answered."""

    limiter: Limiter
    tokens: int
    place: Place = field(init=False)
    booking: Booking | None = None

    def __post_init__(self) -> None:
        self.place = self.limiter.reserve(self.tokens)

    def renew(self) -> None:
        """Take another place."""
        self.limiter.give_back(self.place)
        self.place = self.limiter.reserve(self.tokens)


@contextmanager
def an_attempt(job: Job, batch: Batch) -> Iterator[Attempt]:
    """Begin one, and see to its end. A request that was not sent frees its place and costs nothing."""
    attempt = Attempt(job.setting.limiter, batch.tokens)
    try:
        yield attempt
        attempt.limiter.answered()
    except RequestFailed as failure:
        job.expect(0.0)
        if attempt.booking is not None and not may_be_billed(failure):
            job.settle(attempt.booking, 0)
        if is_too_fast(failure):
            attempt.limiter.refused(attempt.place)
        raise
    finally:
        booking = attempt.booking
        if booking is None or not booking.sent:
            attempt.limiter.give_back(attempt.place)
        if booking is not None:
            job.settle(booking, booking.at_most if booking.sent else 0)  # unless that is known by now
