"""Rate limits as arithmetic: says how long to wait and never sleeps, so that threads and event loops share it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

from .locks import OwnLock
from .pace import Pace
from .rate_headers import Rate, kind_of, rates_in

TICK = 1e-6
"""Seconds; a wait that is shorter is over: it may be too short to move the clock on."""
TOLD = 0.001
"""Seconds by which headers tell times."""
HASTE = 2.0
"""Times its rate that a full bucket is emptied at: what is left of it tells each of several clients its share."""


@dataclass(slots=True)
class _Bucket:
    """A token bucket: `level` may be spent at the time `at`, and it refills at `rate` a second up to `size`.

    Spending more makes the level negative: a debt that later requests wait for.
    """

    size: float
    rate: float
    level: float
    at: float
    told: float = 0.0
    """What the provider last said is left."""

    def at_time(self, now: float) -> float:
        return min(self.size, self.level + max(0.0, now - self.at) * self.rate)

    def wait(self, cost: float, now: float) -> float:
        """Seconds until the bucket holds `cost`, or is full where it can never hold so much."""
        return max(0.0, (min(cost, self.size) - self.at_time(now)) / self.rate)

    def spend(self, cost: float, now: float, wait: float) -> float:
        """Book `cost` for a request that is sent in `wait` seconds; returns what was taken from the level now.

        That is more than `cost` where the bucket would overflow before: what overflows cannot be spent.
        """
        level = self.at_time(now)
        taken = cost + max(0.0, level + wait * self.rate - self.size)
        self.level, self.at = level - taken, now
        return taken

    def fair_gap(self, cost: float) -> float:
        """Seconds between two requests of such a cost where others take from the same bucket.

        Each client sends at the rate times `HASTE` times the share of the bucket that is left. So n clients all have
        the same rate, and what is left settles at a share of 1 / (n * `HASTE`). By the time told here, the bucket has
        refilled so far that this rate, over that time, comes to one request.
        """
        return (math.sqrt(self.told**2 + 2 * cost * self.size / HASTE) - self.told) / self.rate


@dataclass(slots=True)
class Place:
    """A request's place under the limits."""

    wait: float
    """Seconds after which to ask `left`; 0: it may be sent."""
    taken: tuple[tuple[dict[str, _Bucket], str, float], ...]
    """For each bucket, the table and the name that it stands under, and what was taken from it."""
    due: float
    """When the buckets have what it takes."""
    number: int
    """Where it stands in the line of `Pace`."""
    paced: bool
    """Whether it had to wait there."""
    rounds: int
    """Refusals before it was sent, of which several at once count as one."""


def refill_of(told: Rate, limit: float, remaining: float, known: float | None) -> float:
    """What a limit refills by, per second, by what an answer tells.

    What is left is told without its fraction: by itself that makes the refill of a bucket that is nearly full look up
    to twice as large, and a client that believes it is refused. So a rate that agrees with what is told is taken: the
    limit's own, or the one that is known.

    Args:
        told: by the answer.
        limit: of it.
        remaining: of it.
        known: what answers before have told; None: nothing.
    """
    nominal, used = limit / told.window, limit - remaining
    if not told.reset or used <= 0:
        return nominal if known is None else max(nominal, 0.9 * known)
    least, most = (used - 1) / (told.reset + TOLD), used / max(told.reset - TOLD, TICK)
    if used > 1 and least <= nominal <= most:
        return nominal
    if known is not None and least <= known <= most:
        return known
    if known is None:
        return used / told.reset
    return max((used - 0.5) / told.reset, 0.9 * known)  # a window tells too little while much is left of it


class Limiter:
    """Limits on requests and tokens a minute: those that the user set, those in headers, and what refusals teach.

    Args:
        requests_per_minute: the user's own limit, or None.
        tokens_per_minute: likewise.
        clock: seconds, monotonic.
        wall: seconds since the epoch, for headers that name a point in time.
        chance: a number from 0 to 1, for pauses that differ from those of other clients.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        clock: Callable[[], float],
        wall: Callable[[], float],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._lock = OwnLock()  # see `Flights`
        self._clock, self._wall, self._chance = clock, wall, chance
        self._held_until = -math.inf
        now = clock()
        # One second's worth may go at once; the rest is spread over the minute.
        self._set = {
            kind: _Bucket(max(1.0, limit / 60), limit / 60, max(1.0, limit / 60), now)
            for kind, limit in (("requests", requests_per_minute), ("tokens", tokens_per_minute))
            if limit is not None
        }
        self._learned: dict[str, _Bucket] = {}
        self._pace, self._rounds = Pace(), 0
        self._first: Place | None = None
        """The one whose refusal began the round."""
        self.answers = 0
        """Requests answered so far."""

    def inherited(self) -> Limiter:
        """The limiter of a forked child: what was learnt is copied, its lock is new."""
        child = Limiter(requests_per_minute=None, tokens_per_minute=None, clock=self._clock, wall=self._wall)
        child._held_until = self._held_until
        child._set, child._learned, child._pace = deepcopy((self._set, self._learned, self._pace))
        return child

    def reserve(self, tokens: int) -> Place:
        """Book one request of so many tokens; the place says how long to wait before it is sent."""
        costs = {"requests": 1.0, "tokens": float(tokens)}
        with self._lock:
            now = self._clock()
            buckets = [(kept, name) for kept in (self._set, self._learned) for name in kept]
            waits = [kept[name].wait(costs[kind_of(name)], now) for kept, name in buckets]
            wait = max([self._held_until - now, 0.0, *waits])
            taken = [(kept, name, kept[name].spend(costs[kind_of(name)], now, wait)) for kept, name in buckets]
            number, turn = self._pace.take(now), 0.0
            if self._pace.cuts:
                gaps = (bucket.fair_gap(costs[kind_of(name)]) for name, bucket in self._learned.items())
                self._pace.spread(max(gaps, default=0.0), now)
                turn = self._pace.wait(number, now)
            return Place(max(wait, turn), tuple(taken), now + wait, number, turn > 0, self._rounds)

    def outlook(self, tokens: int) -> tuple[float, float]:
        """What a request of so many tokens would meet now: seconds to wait, and the least share of a limit left."""
        costs = {"requests": 1.0, "tokens": float(tokens)}
        with self._lock:
            now = self._clock()
            buckets = [(name, bucket) for kept in (self._set, self._learned) for name, bucket in kept.items()]
            waits = [bucket.wait(costs[kind_of(name)], now) for name, bucket in buckets]
            shares = [bucket.at_time(now) / bucket.size for _, bucket in buckets]
            wait = max([self._held_until - now, self._pace.next_wait(now), *waits])
        return max(wait, 0.0), min(shares, default=1.0)

    def give_back(self, place: Place) -> None:
        """Undo `reserve` for a request that is not sent."""
        with self._lock:
            for kept, name, amount in place.taken:
                kept[name].level += amount
            self._pace.give_back(place.number)

    def left(self, place: Place) -> float:
        """Seconds after which to ask again, once a place's wait is over; 0: the request is sent now."""
        with self._lock:
            now, place.rounds = self._clock(), self._rounds
            left = max(self._held_until - now, place.due - now, self._pace.wait(place.number, now))
            return left if left > TICK else 0.0

    def hold(self, seconds: float) -> None:
        """Let no request be sent for so many seconds, because the provider asks for a pause."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + seconds)

    def answered(self, place: Place) -> None:
        """The request in this place was answered."""
        with self._lock:
            self.answers += 1
            self._pace.answered(self._clock(), early=place.rounds != self._rounds, paced=place.paced)

    def refused(self, place: Place) -> int:
        """The request in this place was refused, because requests come too fast.

        Returns:
            How many times this happened with no answer since, counting requests that were under way together once.
        """
        with self._lock:
            if place.rounds == self._rounds:
                self._rounds, self._first = self._rounds + 1, place
                self._pace.refused(self._clock())
            return self._pace.streak

    def slow_down(self, place: Place, seconds: float) -> None:
        """After `refused`: let no request be sent for so many seconds, and by chance a little longer."""
        with self._lock:
            now = self._clock()
            if place is self._first:
                self._pace.pause(max(self._held_until, now + seconds), now, self._chance())

    def token_ceiling(self) -> float | None:
        """The most tokens that the provider's bucket ever holds, where it has said so."""
        if not self._learned:
            return None
        with self._lock:
            return min((self._learned[name].size for name in self._learned if kind_of(name) == "tokens"), default=None)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take in what an answer's headers (names lower-cased) say of limits and of what is left of them."""
        for rate in rates_in(headers, self._wall()):
            if not rate.limit or rate.remaining is None:
                continue
            with self._lock:
                now = self._clock()
                known = self._learned.get(rate.name)
                same = known if known is not None and known.size == rate.limit else None
                refill = refill_of(rate, rate.limit, rate.remaining, same.rate if same else None)
                # Our count already has the requests that are under way, and the provider's may not: the lower is right.
                level = rate.remaining if known is None else min(rate.remaining, known.at_time(now))
                self._learned[rate.name] = _Bucket(rate.limit, refill, level, now, rate.remaining)
