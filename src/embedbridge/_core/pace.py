"""How fast requests are sent to a server that has refused some for their rate: its limit is shared with others.

Nobody tells how many others there are. So each refusal cuts the rate, and answers raise it again: slowly near the rate
that was too much, faster the longer none is refused. Who sends more is refused more often: the shares become equal.
Until a first request is refused there is no pace, and nothing waits.
"""

from __future__ import annotations

import math

from .retry import OwnPauses

CUT = 0.7
"""What a refusal leaves of the rate, as in TCP CUBIC: with less of it, much of the limit would stay unused."""
BACK = 20.0
"""Seconds after which a rate of 1 a second is back where it was cut; by the root of the rate less for higher ones.

So a refusal comes after some 20 * sqrt(rate) answers, and a low rate rises faster in proportion than a high one.
"""
FAR = 2.5
"""Times `BACK` after which the growth gets no faster: it takes time until a limit refuses what is too much."""
SEARCH, FIRST = 8.0, 3
"""Until the refusal after so many, the rate grows by a factor e in so many seconds: the first tell little of the limit,
least of all to who came when others had used it up."""
IDLE = 10.0
"""Seconds without any request after which answers are counted anew."""
MOST = math.log(2)
"""What one answer adds to the rate's logarithm at most."""
FAIR, SURE = 2.0, 0.06
"""While the server tells of more than so many times this rate as a fair share, each answer raises it by so much."""
SHORTEST = 1.0
"""Seconds; what a limit lets through at once, before the first refusal, is taken for that of so long a time."""


class Pace:
    """A line that requests stand in, and its rate. Not thread-safe: `Limiter` has the lock.

    A request has a number, and may go once so many have passed: so a change of the rate holds for all that wait.
    """

    def __init__(self) -> None:
        self.rate = math.inf
        """Requests a second."""
        self.gap = 0.0
        """Seconds between two requests at least, by what the server tells of its limit."""
        self.cuts = self.streak = 0
        """Refusals so far, and those since the last answer. Of requests that were under way together, one counts."""
        self._last, self._passed, self._at = 0, 1.0, -math.inf
        """The last number given, and how many have passed at a time; no more pass before that."""
        self._answers, self._since, self._counted_at = 0, -math.inf, 0.0
        """Answers since a time, when the rate was that."""
        self._before = 0.0
        """Answers a second before the first refusal."""
        self._risen = 0.0
        """Time for which the rate has risen since it was cut, in units of `BACK`."""

    def take(self, now: float) -> int:
        """The next number in the line."""
        if now - self._at > IDLE:
            self._count_from(now)
        if self.cuts:
            self._advance(now)
        else:
            self._passed, self._at = self._last + 1.0, now
        self._last += 1
        return self._last

    def give_back(self, number: int) -> None:
        """One that still stands in the line does not go."""
        if number > self._passed:
            self._passed += 1

    def wait(self, number: int, now: float) -> float:
        """Seconds until it may go; only half of them, for it to look again, where others are before it."""
        if now > self._at:
            self._advance(now)
        ahead = number - self._passed
        return max(0.0, self._at - now) + (ahead * self._gap() / (2 if ahead > 1 else 1) if ahead > 0 else 0.0)

    def next_wait(self, now: float) -> float:
        """Seconds until one could go that comes to the line now."""
        gap, most = self._gap(), self._last + 1.0
        passed = self._passed
        if now > self._at:
            passed = min(most, passed + (now - self._at) / gap) if gap else most
        return max(0.0, self._at - now) + max(0.0, most - passed) * gap

    def spread(self, gap: float, now: float) -> None:
        """From now on leave so many seconds between two requests, at least."""
        self._advance(now)
        self.gap = gap

    def answered(self, now: float, *, early: bool, paced: bool) -> None:
        """A request was answered.

        Args:
            now: seconds.
            early: it was sent before the last refusal.
            paced: it had to wait for its number: one that had not says nothing of a higher rate.
        """
        if self.cuts:
            self._advance(now)
        else:
            self._at = now  # a server that takes long to answer is not one that nothing is asked of
        if early:
            if self.cuts == 1:
                self._before += 1
                self.rate = max(self.rate, self._before)
            return
        self._answers, self.streak = self._answers + 1, 0
        if self.cuts and paced:
            self._rise(now)

    def refused(self, now: float) -> None:
        """A request was refused that was sent since the last refusal."""
        self._advance(now)
        self.streak += 1
        # The pauses count: of a limit for a longer time, nothing is left in them.
        took = max(now - self._since, 1e-3 if self.cuts else SHORTEST)
        sound = (self._answers + 1) / took
        if self.streak > 1:
            self.rate *= CUT
        elif self.cuts:
            self.rate = CUT * min(self.rate, sound)
        else:
            self.rate = self._before = sound
        self.cuts, self._risen = self.cuts + 1, 0.0
        self._count_from(now)

    def pause(self, until: float, now: float, chance: float) -> None:
        """Let nothing be sent until then, and by chance a little longer."""
        self._advance(now)
        # The longer nothing was answered, the further apart clients come back that were refused at the same time.
        until += chance * (until - now) * min(2.0 ** min(self.streak - 1, 8) / 4, 4.0)
        if until > self._at:
            first = math.floor(self._passed) + 1.0
            passed = math.inf if self.cuts == 1 else self._passed + (until - self._at) / self._gap()
            self._passed, self._at = min(first, passed), until

    def _advance(self, now: float) -> None:
        """Let those pass whose time has come: at most one more than stand in the line."""
        if now > self._at:
            gap, most = self._gap(), self._last + 1.0
            self._passed, self._at = min(most, self._passed + (now - self._at) / gap if gap else most), now

    def _gap(self) -> float:
        return max(min(1 / self.rate, OwnPauses.longest), self.gap)

    def _rise(self, now: float) -> None:
        """Raise the rate by what is due for the time between two requests."""
        if self.cuts <= FIRST:
            more = 1 / self.rate / SEARCH
        else:  # a cubic, as for TCP, but of the rate's logarithm
            step = 1 / self.rate * math.sqrt(self.rate) / BACK
            self._risen += step
            more = -math.log(CUT) * 3 * (min(self._risen, FAR) - 1) ** 2 * step
        if self.gap and 1 / self.rate > FAIR * self.gap:
            more = max(more, SURE)
        self.rate *= math.exp(min(more, MOST))
        if self.rate > 2 * self._counted_at:
            self._count_from(now)

    def _count_from(self, now: float) -> None:
        """Count answers from now on: those at a much lower rate say nothing of what is let through."""
        self._answers, self._since, self._counted_at = 0, now, self.rate
