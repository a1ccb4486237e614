"""How fast requests are sent to a provider that has refused some: its limit is shared with others whom we do not see.

As in TCP: a refusal cuts the rate below what was lately answered, and each answer raises it again, a little up to where
it was, then faster.
"""

from __future__ import annotations

import math
from collections import deque

CUT = 0.7
"""What a refusal leaves of the rate."""
RISE, SOONER = 0.05, 10.0
"""Requests a second, by which the rate rises in a second; by as much again for every 10 seconds since the refusal."""
MOST = 0.05
"""Share by which an answer may raise the rate at most; so refusals stay rare where requests are few."""
FIRST, SEARCH = 2.0, 1.25
"""Requests a second, at least, after the first refusal; until the next, each answer raises them by this factor."""
LATELY = 10.0
"""Seconds over which answers are counted."""


class Pace:
    """The time between two requests; 0 until one is refused. Not thread-safe: `Limiter` has the lock."""

    def __init__(self) -> None:
        self.rate = math.inf
        """Requests a second."""
        self._before = math.inf
        """The same, before the last cut; infinite until the second one."""
        self._next = self._cut_at = -math.inf
        self._found = 0
        """Answers since the first cut."""
        self._begun: float | None = None
        self._answers = deque[float](maxlen=1024)

    def wait(self, now: float) -> float:
        """Seconds until the next request may be sent."""
        return max(0.0, self._next - now)

    def take(self, now: float, wait: float) -> float:
        """A request is sent in `wait` seconds; returns the seconds that it takes from the next ones."""
        self._begun = now if self._begun is None else self._begun
        self._next = now + wait + 1 / self.rate
        return 1 / self.rate

    def give_back(self, seconds: float) -> None:
        """Undo `take`."""
        self._next -= seconds

    def answered(self, now: float) -> None:
        """A request was answered."""
        self._answers.append(now)
        if self.rate == math.inf:
            return
        if self._before == math.inf:
            self._found += 1
            answered = self._found / max(now - self._cut_at, 0.1)
            self.rate = max(self.rate, min(SEARCH * self.rate, 2 * answered))
        else:  # by as much a second as everybody else, for then the shares become equal
            rise = RISE * (1 + (now - self._cut_at) / SOONER)
            self.rate += min(rise / self.rate, MOST * self.rate)

    def refused(self, reserved: float, now: float) -> None:
        """A request that was given its place at the time `reserved` was refused. Those of one moment count once."""
        if reserved < self._cut_at or self._begun is None:
            return
        span = min(LATELY, now - self._begun)
        lately = sum(at >= now - span for at in self._answers) / max(span, 0.1)
        self._cut_at = now
        if self.rate == math.inf:
            self.rate = max(FIRST, CUT * lately)
        else:
            self._before = min(self.rate, max(lately, self.rate / 2))
            self.rate = CUT * self._before
        self._next = max(self._next, now + 1 / self.rate)
