"""What an embedder has spent and may spend, in whole tokens: `max_cost` is a promise, so no sum is ever rounded.

A request is booked at the most that it can cost; what was billed for it takes the place of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from .locks import OwnLock
from .types import EndpointUse, Report

MOST_CUTS = 1000
"""Texts that were cut of which a total tells one by one."""


@dataclass(slots=True, eq=False)
class Booking:
    """A request, booked before it is sent."""

    at_most: int
    """Tokens that it can cost at most."""
    sent: bool = False
    settled: bool = False


class Purse:
    """Counts tokens over all calls of an embedder.

    Args:
        price: dollars for a million tokens; None: not known.
        max_cost: dollars that may be spent; None: any number.
    """

    def __init__(self, price: float | None, max_cost: float | None) -> None:
        from fractions import Fraction  # a decimal number, as it was written, and not the float that is nearest to it

        self._price = None if price is None else Fraction(repr(price)) / 1_000_000
        self.priced = price is not None
        """Whether the price is known."""
        self.max_cost = max_cost
        bounded = self._price and max_cost is not None and max_cost < math.inf
        self.limit = int(Fraction(repr(max_cost)) / self._price) if self._price and bounded else None
        """Tokens that may be spent."""
        self.spent = 0
        """Tokens that were billed, or may have been."""
        self.booked = 0
        """Tokens that requests under way can cost at most, where there is a limit."""
        self._kept: dict[str, int] = {}
        """Name of a batch → tokens that count as spent for it, until its end."""
        self._lock = OwnLock()  # see `Flights`
        self._waiting: list[Future[Any]] = []

    def dollars(self, tokens: int) -> float:
        """Dollars for so many tokens, rounded once; 0 where the price is not known."""
        price = self._price
        return tokens * price.numerator / price.denominator if price is not None and tokens else 0.0

    def book(self, at_most: int) -> Booking | Future[Any] | None:
        """Book a request.

        Returns:
            The booking; a future to wait for, where it may fit once a request that is under way has ended; or None,
            where it cannot fit whatever becomes of these.
        """
        if self.limit is None:
            return Booking(at_most)
        with self._lock:
            if self.spent + self.booked + at_most <= self.limit:
                self.booked += at_most
                return Booking(at_most)
            if self.spent + at_most > self.limit:
                return None
            changed = Future[Any]()
            self._waiting.append(changed)
            return changed

    def settle(self, booking: Booking, tokens: int) -> bool:
        """A request cost so many tokens; False where that was known before."""
        with self._lock:
            if booking.settled:
                return False
            booking.settled = True
            self.spent += tokens
            if self.limit is not None:
                self.booked -= booking.at_most
            waiting, self._waiting = self._waiting, []
        for changed in waiting:
            changed.set_result(None)
        return True

    def keep(self, booking: Booking, name: str) -> None:
        """A batch may be on its way from now on: all that it can cost counts as spent, lest a call wait for a day."""
        self.settle(booking, booking.at_most)
        with self._lock:
            self._kept[name] = booking.at_most

    def keeps(self, name: str) -> bool:
        """Whether money is kept for a batch."""
        return name in self._kept

    def let_go(self, name: str, *, unused: bool) -> None:
        """A batch has ended; where nothing came of it, what was kept for it may be spent again, once."""
        with self._lock:
            tokens = self._kept.pop(name, 0)
            self.spent -= tokens if unused else 0

    def inherited(self) -> Purse:
        """The purse of a forked child, which counts its parent's requests under way as spent."""
        purse = Purse(None, None)
        purse._price, purse.priced = self._price, self.priced
        purse.max_cost, purse.limit = self.max_cost, self.limit
        purse.spent, purse._kept = self.spent + self.booked, {**self._kept}
        return purse

    def __str__(self) -> str:
        under_way = f", ${_exact(self.dollars(self.booked))} are booked for requests under way" if self.booked else ""
        return f"${_exact(self.dollars(self.spent))} of max_cost=${_exact(self.max_cost or 0.0)} are spent{under_way}"

    def tell(self, tokens: int) -> str:
        """An amount for a message, with as many digits as there are, so that two amounts never look alike."""
        return f"${_exact(self.dollars(tokens))}"


def _exact(dollars: float) -> str:
    return f"{dollars:.12f}".rstrip("0").rstrip(".")


def add_report(total: Report, more: Report) -> None:
    """Add a call's report to a total; of its single texts, those that were cut."""
    # One by one: each query that the cache answers waits for this.
    total.texts += more.texts
    total.unique += more.unique
    total.hits += more.hits
    total.shared += more.shared
    total.from_batch += more.from_batch
    total.misses += more.misses
    total.requests += more.requests
    total.retries += more.retries
    total.waited += more.waited
    total.tokens += more.tokens
    total.tokens_saved += more.tokens_saved
    total.paid_again += more.paid_again
    total.cut_texts += more.cut_texts
    total.seconds += more.seconds
    if more.cut:
        total.cut = (total.cut + more.cut)[-MOST_CUTS:]
    if more.endpoints:
        total.endpoints = add_uses(total.endpoints, more.endpoints)
    if more.requests:  # a call that asked for nothing has no tokens to speak of
        total.tokens_from = more.tokens_from
    if more.cost is not None and more.saved is not None:
        total.cost = (total.cost or 0.0) + more.cost
        total.saved = (total.saved or 0.0) + more.saved


def add_uses(total: Sequence[EndpointUse], more: Sequence[EndpointUse]) -> tuple[EndpointUse, ...]:
    """Add what endpoints did, by their names; of states, the later one holds."""
    by_name = {each.name: each for each in total}
    for each in more:
        before = by_name.get(each.name, EndpointUse(each.name))
        requests, tokens = before.requests + each.requests, before.tokens + each.tokens
        by_name[each.name] = EndpointUse(each.name, requests, tokens, before.failed + each.failed, each.state)
    return tuple(by_name.values())
