"""Asks a cache for no longer than a call has patience. A step that is late goes on in its thread, and is not used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from embedbridge._core.patience import Patience
from embedbridge._threads.background import in_background

from ._breaker import Breaker

T = TypeVar("T")


def done_in_time(step: Callable[[], T | None], patience: Patience) -> T | None:
    """What a step gives, unless it is late; None, too, where one before was late."""
    if patience.late:
        return None
    done = in_background(step)
    wait((done,), patience.seconds())
    patience.late = not done.done()
    return None if patience.late else done.result()


class Timely:
    """Reads in steps that are waited for in time.

    Args:
        breaker: what is told that the cache is still busy with what somebody waited for in vain.
        report: called with the error of a step that is late.
    """

    def __init__(self, breaker: Breaker, report: Callable[[Exception], object]) -> None:
        self._breaker, self._report = breaker, report
        self._late: set[Future[Any]] = set()
        """Steps that were not waited for to their end."""

    def read(
        self, pieces: Iterator[Mapping[bytes, bytes]], patience: Patience, *, few: bool
    ) -> Iterator[Mapping[bytes, bytes]]:
        """The pieces that come in time, each read in a thread that may be late; those of `few` keys in one thread."""
        more = self._is_free(patience)
        while more:
            found: dict[bytes, bytes] = {}
            step = in_background(partial(_read_into, found, pieces if few else islice(pieces, 1)))
            more = self._is_in_time(step, patience) and step.result() and not few
            yield found.copy()

    def _is_free(self, patience: Patience) -> bool:
        """Whether no reading is under way that others have waited for in vain, or it ends now."""
        under_way = tuple(self._late)
        if under_way and not patience.late:
            patience.late = bool(wait(under_way, patience.seconds()).not_done)
            if patience.late:
                self._breaker.failed()
        return not patience.late

    def _is_in_time(self, step: Future[Any], patience: Patience) -> bool:
        """Wait for a step while there is patience."""
        wait((step,), patience.seconds())
        if step.done():
            return True
        patience.late = True
        self._late.add(step)
        step.add_done_callback(self._late.discard)
        self._report(TimeoutError("no answer in the time that the deadline leaves"))
        return False


def _read_into(found: dict[bytes, bytes], pieces: Iterator[Mapping[bytes, bytes]]) -> bool:
    """Take pieces over; whether there were any."""
    count = 0
    for piece in pieces:
        found.update(piece)
        count += 1
    return count > 0
