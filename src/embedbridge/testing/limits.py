"""How much a server takes: hard limits of an API, keys, rate buckets, and the time an answer needs."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from random import Random
from typing import Literal

from .request import Refusal, Request

__all__ = ["Latency", "Limits", "RateLimit"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of one API; None switches one off.

    Attributes:
        items: texts in one request.
        tokens_per_item: tokens of one text.
        tokens_per_request: tokens summed over a request, after truncation.
        body_bytes: size of a request's body; more is a 413.
    """

    items: int | None
    tokens_per_item: int | None
    tokens_per_request: int | None
    body_bytes: int | None = 64 << 20


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds an answer takes: `base + per_token * tokens + per_item * items`, spread by ±`jitter` (a share)."""

    base: float = 0.0
    per_token: float = 0.0
    per_item: float = 0.0
    jitter: float = 0.0

    def of(self, items: int, tokens: int, rng: Random) -> float:
        """Seconds for one request.

        Args:
            items: its texts.
            tokens: of all of them.
            rng: decides the spread.

        Returns:
            Seconds.
        """
        spread = 1 + self.jitter * (2 * rng.random() - 1)
        return (self.base + self.per_token * tokens + self.per_item * items) * spread


class RateLimit:
    """Limits on requests and tokens in a window of time.

    Args:
        requests: requests per `window`; None for no limit.
        tokens: tokens per `window`; None for no limit.
        window: seconds in which an empty bucket fills.
        shape: `bucket` is refilled continuously, as OpenAI describes its own; `fixed` windows follow each other, and
            `sliding` counts what came in the last `window` seconds.
        tells: whether answers have headers about it, and refusals say how long to wait.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        requests: float | None = None,
        tokens: float | None = None,
        window: float = 60.0,
        *,
        shape: Literal["bucket", "fixed", "sliding"] = "bucket",
        tells: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.window, self.shape, self.tells = window, shape, tells
        sizes = {"requests": requests, "tokens": tokens}
        self._sizes = {name: float(size) for name, size in sizes.items() if size is not None}
        self._levels = dict(self._sizes)
        self._taken = deque[tuple[float, dict[str, float]]]()
        self._at = clock()

    def take(self, tokens: int) -> tuple[float, dict[str, str]]:
        """Let one request in, or say how long it must wait.

        Args:
            tokens: of the request.

        Returns:
            Seconds to wait (0: it is in), and the headers that say so.
        """
        now = self._clock()
        self._refill(now)
        need = {"requests": 1.0, "tokens": float(tokens)}
        wait = max((self._wait(name, need[name], now) for name in self._sizes), default=0.0)
        if wait <= 0:
            self._taken.append((now, need))
        headers = {}
        for name, size in self._sizes.items():
            if wait <= 0:
                self._levels[name] -= need[name]
            headers[f"x-ratelimit-limit-{name}"] = f"{size:.0f}"
            headers[f"x-ratelimit-remaining-{name}"] = f"{max(0, math.floor(self._levels[name]))}"
            headers[f"x-ratelimit-reset-{name}"] = duration(self._wait(name, size, now))
        return wait, headers

    def _refill(self, now: float) -> None:
        if self.shape == "bucket":
            passed, self._at = (now - self._at) / self.window, now
            self._levels = {name: min(size, self._levels[name] + passed * size) for name, size in self._sizes.items()}
            self._taken.clear()
        elif self.shape == "fixed":
            if now - self._at >= self.window:
                self._at = now - (now - self._at) % self.window
                self._levels = dict(self._sizes)
            self._taken.clear()
        else:
            while self._taken and self._taken[0][0] <= now - self.window:
                for name, amount in self._taken.popleft()[1].items():
                    if name in self._levels:
                        self._levels[name] += amount

    def _wait(self, name: str, need: float, now: float) -> float:
        """Seconds until there is room for so many."""
        lacking = need - self._levels[name]
        if lacking <= 0:
            return 0.0
        if self.shape == "bucket":
            return lacking / self._sizes[name] * self.window
        if self.shape == "fixed":
            return self._at + self.window - now
        for at, amounts in self._taken:
            lacking -= amounts[name]
            if lacking <= 0:
                return at + self.window - now
        return self.window


def duration(seconds: float) -> str:
    """A span of time as OpenAI's headers write it: `17ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{int(seconds // 60)}m{int(seconds % 60)}s"


def check_key(request: Request, keys: AbstractSet[str] | None) -> None:
    """Refuse a key that is not among `keys`; None accepts all, and Ollama asks for none."""
    if keys is None or request.dialect == "ollama":
        return
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    key = bearer or request.headers.get("api-key", "")
    if key not in keys:
        raise Refusal(401, f"Incorrect API key provided: {key[:3]}***.", code="invalid_api_key")


def take_rate(rate: RateLimit | None, tokens: int) -> dict[str, str]:
    """The rate limit's headers for a good answer; a 429 that says how long to wait otherwise."""
    if rate is None:
        return {}
    wait, headers = rate.take(tokens)
    if wait <= 0:
        return headers if rate.tells else {}
    headers |= {"retry-after": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))}
    message = "Rate limit reached." + f" Please try again in {duration(wait)}." * rate.tells
    told = headers if rate.tells else {}
    raise Refusal(429, message, code="rate_limit_exceeded", type_="tokens", headers=told)
