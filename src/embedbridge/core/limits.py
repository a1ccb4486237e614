"""Rate limits as arithmetic: says how long to wait and never sleeps, so that threads and event loops share it."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$")


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
    """

    def __init__(
        self, *, requests_per_minute: float | None, tokens_per_minute: float | None, clock: Callable[[], float]
    ) -> None:
        self._lock = threading.RLock()  # see `Signal`
        self._clock = clock
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
        child = Limiter(requests_per_minute=None, tokens_per_minute=None, clock=self._clock)
        child._held_until = self._held_until
        child._set, child._learned = deepcopy(self._set), deepcopy(self._learned)
        return child

    def reserve(self, tokens: int) -> Place:
        """Book one request of so many tokens; the place says how long to wait before it is sent."""
        costs = {"requests": 1.0, "tokens": float(tokens)}
        with self._lock:
            now = self._clock()
            buckets = [(kept, kind) for kept in (self._set, self._learned) for kind in kept]
            waits = [kept[kind].wait(costs[kind], now) for kept, kind in buckets]
            wait = max([self._held_until - now, 0.0, *waits])
            taken = [(kept, kind, kept[kind].spend(costs[kind], now, wait)) for kept, kind in buckets]
            return Place(wait, tuple(taken))

    def give_back(self, place: Place) -> None:
        """Undo `reserve` for a request that is not sent."""
        with self._lock:
            for kept, kind, amount in place.taken:
                kept[kind].level += amount

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
            bucket = self._learned.get("tokens")
            return bucket.size if bucket else None

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take in `x-ratelimit-*` headers (names lower-cased)."""
        for kind in ("requests", "tokens"):
            size = _number(headers.get(f"x-ratelimit-limit-{kind}"))
            left = _number(headers.get(f"x-ratelimit-remaining-{kind}"))
            if size is None or left is None or size <= 0 or left < 0:
                continue
            reset = _seconds(headers.get(f"x-ratelimit-reset-{kind}"))
            rate = (size - left) / reset if reset and size > left else size / 60
            with self._lock:
                now = self._clock()
                known = self._learned.get(kind)
                # Our count already has the requests that are under way, and the provider's may not: the lower is right.
                level = left if known is None else min(left, known.at_time(now))
                self._learned[kind] = _Bucket(size, rate, level, now)


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _seconds(value: str | None) -> float | None:
    """`1m30s`, `12ms`, `6` → seconds; None for nothing, nonsense, zero and less."""
    plain = _number(value)
    if plain is not None:
        return plain if plain > 0 else None
    match = _DURATION.fullmatch((value or "").strip())
    if not match or not any(match.groups()):
        return None
    hours, minutes, seconds, millis = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + millis / 1000 or None
