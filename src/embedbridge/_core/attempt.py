"""One attempt to have a batch answered: its place under the limits, its booking, and what becomes of both."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from embedbridge.errors import RequestFailed

from .bills import settle_request
from .endpoints import Elsewhere, Endpoint, Pool, choose
from .job import Job
from .limits import Place
from .purse import Booking
from .retry import may_be_billed
from .types import Batch


@dataclass(slots=True)
class Attempt:
    """One attempt to have a batch answered."""

    endpoint: Endpoint
    place: Place
    overall: Place | None = None
    """Under the limits of a pool as a whole."""
    booking: Booking | None = None
    fixed: bool = False
    """It is for this endpoint and no other."""
    held: bool = True
    """Whether it has its places."""

    def give_back(self, job: Job) -> None:
        """Free its places, once."""
        if not self.held:
            return
        self.held = False
        self.endpoint.limiter.give_back(self.place)
        if self.overall is not None:
            job.shared.limiter.give_back(self.overall)

    def left(self, job: Job) -> float:
        """Seconds after which to ask again; 0: the request is sent now."""
        left = self.endpoint.limiter.left(self.place)
        return left if self.overall is None else max(left, job.shared.limiter.left(self.overall))


@dataclass(slots=True)
class Tries:
    """What became of a batch so far."""

    number: int = 0
    """Attempts."""
    spared: int = 0
    """Those that do not count."""
    unsound: int = 0
    """Answers that were wrong."""
    answers: int = 0
    """Requests that had been answered when the last one failed."""
    renewed: bool = False
    """Whether a refused key was waited for."""
    avoid: set[Endpoint] = field(default_factory=set)
    """Where it has failed."""
    too_long: tuple[Endpoint, RequestFailed] | None = None
    """Who has refused a text for its length, which another may read."""

    @property
    def counted(self) -> int:
        """Attempts that count."""
        return self.number - self.spared


def begin_attempt(job: Job, batch: Batch, avoid: Collection[Endpoint] = ()) -> Attempt:
    """Take a place for an attempt, which `ending` has to see to the end. Raises why no endpoint is left."""
    pool = job.shared.pool
    if pool is None:
        return Attempt(job.shared.endpoint, job.shared.limiter.reserve(batch.tokens))
    with pool.lock:
        chosen = choose(pool.endpoints, batch, job.bytes_of(batch.rows), avoid)
        if chosen is None:
            raise next(each.out for each in pool.endpoints if each.out is not None)
        return attempt_at(job, batch, chosen)


def attempt_at(job: Job, batch: Batch, endpoint: Endpoint, *, fixed: bool = False) -> Attempt:
    """An attempt at one endpoint of a pool."""
    pool = job.shared.pool
    overall = job.shared.limiter.reserve(batch.tokens) if pool is not None and pool.limited else None
    with endpoint.lock:
        endpoint.under_way += 1
    return Attempt(endpoint, endpoint.limiter.reserve(batch.tokens), overall, fixed=fixed)


def move(job: Job, batch: Batch, attempt: Attempt, avoid: Collection[Endpoint]) -> None:
    """Give an attempt that still waits to the endpoint that has room for it, if another one has more by now."""
    pool, before = job.shared.pool, attempt.endpoint
    if pool is None or attempt.fixed:
        return
    with pool.lock:
        other = choose(pool.endpoints, batch, job.bytes_of(batch.rows), avoid)
        if (
            other is None
            or other is before
            or other.limiter.outlook(batch.tokens)[0] >= before.limiter.left(attempt.place)
        ):
            return
        before.limiter.give_back(attempt.place)
        take_place(batch, attempt, other)


def take_anew(job: Job, pool: Pool, batch: Batch, attempt: Attempt, avoid: Collection[Endpoint]) -> None:
    """Have an attempt that gave its places back take others, where there is the most room by now."""
    with pool.lock:
        chosen = choose(pool.endpoints, batch, job.bytes_of(batch.rows), avoid)
        take_place(batch, attempt, chosen or attempt.endpoint)
        attempt.overall = job.shared.limiter.reserve(batch.tokens) if pool.limited else None
        attempt.held = True


def take_place(batch: Batch, attempt: Attempt, endpoint: Endpoint) -> None:
    """Take a place at an endpoint in lieu of one that was given back."""
    attempt.endpoint.leave()
    with endpoint.lock:
        endpoint.under_way += 1
    attempt.endpoint, attempt.place = endpoint, endpoint.limiter.reserve(batch.tokens)


def check_no_better(job: Job, batch: Batch, attempt: Attempt) -> None:
    """Raise `Elsewhere` where an endpoint would be waited for only to prove itself, while another one has room.

    The limits of all together do not count: what they have a request wait for is the same elsewhere.
    """
    pool = job.shared.pool
    if pool is None or not attempt.fixed:
        return
    wait = attempt.endpoint.limiter.left(attempt.place)
    other = choose(pool.endpoints, batch, 0, {attempt.endpoint})
    if other is not None and other is not attempt.endpoint and other.limiter.outlook(batch.tokens)[0] < wait:
        raise Elsewhere(attempt.endpoint)


@contextmanager
def ending(job: Job, attempt: Attempt) -> Iterator[None]:
    """See to an attempt's end. A request that was not sent frees its place and costs nothing."""
    try:
        yield
        attempt.endpoint.limiter.answered(attempt.place)
        if attempt.overall is not None:
            job.shared.limiter.answered(attempt.overall)
    except RequestFailed as failure:
        job.expect(0.0)
        if attempt.booking is not None and not attempt.booking.settled and not may_be_billed(failure):
            settle_request(job, attempt.booking, 0)
        raise
    finally:
        booking = attempt.booking
        if job.shared.pool is not None:
            attempt.endpoint.leave()
        if booking is None or not booking.sent:
            attempt.give_back(job)
        if booking is not None and not booking.settled:
            settle_request(job, booking, booking.at_most if booking.sent else 0)
