"""Says when something that failed may be tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from embedbridge._core.locks import OwnLock

_FIRST_PAUSE, _LONGEST_PAUSE = 30.0, 600.0


class Breaker:
    """A circuit breaker.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.pause = 0.0
        """Seconds; while it is 0, nothing has failed, and nobody needs to ask."""
        self._until = 0.0
        self._trial = False
        self._lock = OwnLock()

    def allows(self) -> bool:
        """Whether to try now. After a pause one caller may try; the others may once it has succeeded."""
        if not self.pause:
            return True
        with self._lock:
            allowed = not self._trial and self._clock() >= self._until
            self._trial = self._trial or allowed
            return allowed

    @contextmanager
    def attempt(self, report: Callable[[Exception], object]) -> Iterator[None]:
        """A block that uses what may fail. An error ends the block and is reported, and not raised; an interrupt is."""
        try:
            yield
        except BaseException as error:
            self.note(error, report)
        else:
            self.worked()

    def note(self, error: BaseException, report: Callable[[Exception], object]) -> None:
        """What ended an attempt: an error is reported, and not raised; an interrupt is raised."""
        if not isinstance(error, Exception):
            self.interrupted()
            raise error
        self.failed()
        report(error)

    def failed(self) -> None:
        """It failed: pause for 30 seconds, then for twice as long each time, 10 minutes at most."""
        with self._lock:
            if self.pause and not self._trial:
                return  # this attempt began before the pause did
            self.pause = min(max(2 * self.pause, _FIRST_PAUSE), _LONGEST_PAUSE)
            self._until, self._trial = self._clock() + self.pause, False

    def worked(self) -> None:
        """It worked."""
        if self.pause:
            with self._lock:
                self.pause, self._trial = 0.0, False

    def interrupted(self) -> None:
        """The attempt was broken off, so its outcome is not known: the next caller tries."""
        with self._lock:
            self._trial = False
