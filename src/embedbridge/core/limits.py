"""Rate limits as arithmetic: says how long to wait and never sleeps, so that threads and event loops share it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

from .rate_headers import kind_of, rates_in


@dataclass(slots=True)
class _Bucket:
    """A token bucket: `level` may be spent at the time `at`, and it refills at `rate` a second up to `size`.

    Spending more makes the level negative: a debt that later requests wait for.
    """

    size: float
    rate: float
    level: float
    at: float

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


@dataclass(frozen=True, slots=True)
class Place:
    """A request's place under the limits."""

    wait: float
    """Seconds before it may be sent."""
    taken: tuple[tuple[dict[str, _Bucket], str, float], ...]
    """For each bucket, the table and the name that it stands under, and what was taken from it."""


class Limiter:
    """Limits on requests and tokens a minute: those that the user set, and those in the provider's headers.

    Args:
        requests_per_minute: the user's own limit, or None.
        tokens_per_minute: likewise.
        clock: seconds, monotonic.
        wall: seconds since the epoch, for headers that name a point in time.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._lock = threading.RLock()  # see `Signal`
        self._clock, self._wall = clock, wall
        self._held_until = -math.inf
        now = clock()
        # One second's worth may go at once; the rest is spread over the minute.
        self._set = {
            kind: _Bucket(max(1.0, limit / 60), limit / 60, max(1.0, limit / 60), now)
            for kind, limit in (("requests", requests_per_minute), ("tokens", tokens_per_minute))
            if limit is not None
        }
        self._learned: dict[str, _Bucket] = {}

    def inherited(self) -> Limiter:
        """The limiter of a forked child: what was learnt is copied, its lock is new."""
        child = Limiter(requests_per_minute=None, tokens_per_minute=None, clock=self._clock, wall=self._wall)
        child._held_until = self._held_until
        child._set, child._learned = deepcopy(self._set), deepcopy(self._learned)
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
            return Place(wait, tuple(taken))

    def give_back(self, place: Place) -> None:
        """Undo `reserve` for a request that is not sent."""
        with self._lock:
            for kept, name, amount in place.taken:
                kept[name].level += amount

    def held(self) -> float:
        """Seconds that are left of the longest pause asked for by `hold`."""
        with self._lock:
            return max(0.0, self._held_until - self._clock())

    def hold(self, seconds: float) -> None:
        """Let no request be sent for so many seconds, because the provider asks for a pause."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + seconds)

    def token_ceiling(self) -> float | None:
        """The most tokens that the provider's bucket ever holds, where it has said so."""
        with self._lock:
            return min((self._learned[name].size for name in self._learned if kind_of(name) == "tokens"), default=None)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take in what an answer's headers (names lower-cased) say of limits and of what is left of them."""
        for rate in rates_in(headers, self._wall()):
            if not rate.limit or rate.remaining is None:
                continue
            used = rate.limit - rate.remaining
            refill = used / rate.reset if rate.reset and used > 0 else rate.limit / rate.window
            with self._lock:
                now = self._clock()
                known = self._learned.get(rate.name)
                # Our count already has the requests that are under way, and the provider's may not: the lower is right.
                level = rate.remaining if known is None else min(rate.remaining, known.at_time(now))
                self._learned[rate.name] = _Bucket(rate.limit, refill, level, now)
