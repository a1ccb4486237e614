"""How much a server takes: hard limits of an API, rate buckets, and the time an answer needs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from random import Random


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
        """Seconds for one request."""
        spread = 1 + self.jitter * (2 * rng.random() - 1)
        return (self.base + self.per_token * tokens + self.per_item * items) * spread


class RateLimit:
    """Two continuously refilled buckets, as OpenAI describes its own.

    Args:
        requests: requests per `window`; None for no limit.
        tokens: tokens per `window`; None for no limit.
        window: seconds in which an empty bucket fills.
        tells: whether answers have headers about it.
    """

    def __init__(
        self, requests: float | None = None, tokens: float | None = None, window: float = 60.0, *, tells: bool = True
    ) -> None:
        self.window, self.tells = window, tells
        sizes = {"requests": requests, "tokens": tokens}
        self._sizes = {name: float(size) for name, size in sizes.items() if size is not None}
        self._levels = dict(self._sizes)
        self._at = time.monotonic()

    def take(self, tokens: int) -> tuple[float, dict[str, str]]:
        """Let one request in, or say how many seconds it must wait (0: it is in); and the headers that say so."""
        now = time.monotonic()
        passed, self._at = (now - self._at) / self.window, now
        need = {"requests": 1.0, "tokens": float(tokens)}
        wait = 0.0
        for name, size in self._sizes.items():
            self._levels[name] = min(size, self._levels[name] + passed * size)
            wait = max(wait, (need[name] - self._levels[name]) / size * self.window)
        headers = {}
        for name, size in self._sizes.items():
            if wait <= 0:
                self._levels[name] -= need[name]
            headers[f"x-ratelimit-limit-{name}"] = f"{size:.0f}"
            headers[f"x-ratelimit-remaining-{name}"] = f"{max(0, math.floor(self._levels[name]))}"
            headers[f"x-ratelimit-reset-{name}"] = duration((size - self._levels[name]) / size * self.window)
        return wait, headers


def duration(seconds: float) -> str:
    """A span of time as OpenAI's headers write it: `17ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{int(seconds // 60)}m{int(seconds % 60)}s"
