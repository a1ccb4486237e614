"""How fast requests are sent to a server that has refused some for their rate: its limit is shared with others.

Nobody tells how many others there are, nor how large the limit is. So each refusal cuts the rate, and answers raise it
again: slowly up to where it was refused, faster beyond. Who sends more is refused more often: the shares become equal.
Until a first request is refused there is no pace, and nothing waits.
"""

from __future__ import annotations

import math

CUT = 0.6
"""What a refusal leaves of the rate."""
FIRST, LEAST = 0.5, 1.5
"""What the first refusal leaves of the rate of the answers so far; requests a second that it leaves in any case."""
SEARCH, SOONER, CALM, STEP = 0.03, 0.002, 25, 0.06
"""Until the second refusal each answer raises the rate by a share; after so many answers by ever more, up to `STEP`."""
BACK, RARER = 20.0, 30.0
"""Seconds after which the rate is where it was refused; where that was 1 a second, and by its root more for less."""
TRUST = 5
"""With so many answers in a time that was mostly a pause, they tell the rate of a limit that is for a longer time."""
LATELY = 10.0
"""Seconds, at least, over which answers are counted before the first refusal."""


class Pace:
    """The time between two requests; 0 until one is refused. Not thread-safe: `Limiter` has the lock."""

    def __init__(self) -> None:
        self.rate = math.inf
        """Requests a second."""
        self.cuts = self.streak = 0
        """Refusals so far, and those since the last answer. Of requests that were under way together, one counts."""
        self._next = -math.inf
        self._peak = math.inf
        """The rate that was refused."""
        self._since: float | None = None
        self._got, self._before = 0, 0.0
        """Answers since then, and how many a second there were before."""
        self._sound = 0.0
        """Answers a second that the first refusal was estimated from."""
        self._paused = self._risen = self._last = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next request may be sent."""
        return max(0.0, self._next - now)

    def take(self, at: float) -> float:
        """A request is sent then; returns the seconds that it takes from the next ones."""
        if self._since is None:
            self._since = at
        elif not self.cuts and at - self._since > LATELY:
            self._before, self._got, self._since = self._got / (at - self._since), 0, at
        self._next = at + 1 / self.rate
        return 1 / self.rate

    def give_back(self, seconds: float) -> None:
        """Undo `take`."""
        self._next -= seconds

    def answered(self, now: float, *, early: bool = False) -> None:
        """A request was answered, that was sent before the last refusal if it is `early`."""
        if early and self.cuts == 1:
            self._sound += 1
            self.rate = max(self.rate, FIRST * self._sound)
            return
        self._got += 1
        self.streak = 0
        if not self.cuts:
            return
        if self.cuts == 1:
            self.rate *= 1 + min(STEP, SEARCH + SOONER * max(0, self._got - CALM))
        else:  # a cubic, as for TCP; only while it is made use of
            used = min(max(0.0, now - self._last), 3 / self.rate)
            self._risen += used / max(BACK, RARER / math.sqrt(self._peak))
            self.rate = self._peak * (1 + (1 - CUT) * (self._risen - 1) ** 3)
        self._last = now

    def refused(self, now: float) -> None:
        """A request was refused that was sent since the last refusal."""
        self.streak += 1
        if self.streak > 1:
            return  # nothing was answered since: that says nothing new of the rate
        took = max(1.0, now - (now if self._since is None else self._since))
        if not self.cuts:
            self._sound = max(self._before, self._got / took)
            self._peak = max(LEAST, FIRST * self._sound) / CUT
        elif self._paused > took / 2 and self._got >= TRUST:
            self._peak = min(self.rate, self._got / took)
        else:
            self._peak = self.rate * (0.9 if self.cuts > 1 and self.rate < self._peak else 1.0)
        self.cuts += 1
        self.rate = CUT * self._peak
        self._since = self._last = now
        self._got, self._paused, self._risen = 0, 0.0, 0.0

    def pause(self, until: float, now: float, chance: float) -> None:
        """Let nothing be sent until then, and by chance a little longer."""
        self._paused += until - now
        # The longer nothing was answered, the further apart clients come back that were refused at the same time.
        self._next = until + chance * (until - now) * min(2.0 ** max(0, min(self.streak, 64) - 1) / 4, 4.0)
