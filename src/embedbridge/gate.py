"""How many requests are under way at once, counted over all threads and event loops of a process together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from .core.locks import OwnLock, calling_threads
from .core.signals import Bell
from .waiting import Ends, Owner, TaskBell, ThreadBell, waits

FULL = "as many requests as concurrency= allows were under way"


@contextmanager
def _told() -> Iterator[None]:
    """Say in a TimeoutError what was waited for."""
    try:
        yield
    except TimeoutError:
        raise TimeoutError(FULL) from None


class _Place:
    """A place that is waited for, or held."""

    __slots__ = ("bell", "blocked", "held", "owner")

    def __init__(self, bell: Bell, owner: Owner, blocked: frozenset[int]) -> None:
        self.bell, self.owner = bell, owner
        self.blocked = blocked
        """Threads that stand still while it is waited for; none for a task."""
        self.held = False


class Gate:
    """Gives out places, first come, first served.

    Two things go before the count. A thread that waits for a task of its own event loop would wait for ever, so it is
    let through; and a place counts no longer when the loop of the task that holds it is closed or stands still.

    Args:
        places: how many there are.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        # Reentrant: a task that is garbage may leave its place while this thread is at work here.
        self._lock = OwnLock()
        self._held: set[_Place] = set()
        self._waiting: dict[_Place, None] = {}
        self._threads: set[_Place] = set()
        """Those of `_waiting` that a thread waits for."""

    @contextmanager
    def take(self, seconds: float | None, ends: Ends = ()) -> Iterator[None]:
        """A place for this thread. Raises TimeoutError when there is none in time; `ends` as for `waits`."""
        bell = ThreadBell()
        place = _Place(bell, Owner(), calling_threads())
        try:
            self._enter(place)
            with _told():
                bell.sit_out(waits(bell, lambda: place.held, seconds, ends, self._look))
            yield
        finally:
            self._leave(place)

    @asynccontextmanager
    async def atake(self, seconds: float | None, ends: Ends = ()) -> AsyncIterator[None]:
        """The same for this task."""
        bell = TaskBell()
        place = _Place(bell, Owner(asyncio.get_running_loop()), frozenset())
        try:
            self._enter(place)
            with _told():
                await bell.sit_out(waits(bell, lambda: place.held, seconds, ends, self._look))
            yield
        finally:
            self._leave(place)

    def _enter(self, place: _Place) -> None:
        with self._lock:
            self._waiting[place] = None
            if place.blocked:
                self._threads.add(place)
            self._admit()

    def _leave(self, place: _Place) -> None:
        """Also for a place that was only waited for."""
        with self._lock:
            self._forget(place)
            self._held.discard(place)
            self._admit()

    def _look(self) -> None:
        with self._lock:
            self._held -= {place for place in self._held if place.owner.is_stuck()}
            self._admit()

    def _admit(self) -> None:
        while self._waiting and len(self._held) < self.places:
            self._let_in(next(iter(self._waiting)))
        if self._threads:
            tasks = [place.owner for place in self._held if place.owner.loop is not None]
            for place in tuple(self._threads):
                if any(owner.waits_for(place.blocked) for owner in tasks):
                    self._let_in(place)

    def _let_in(self, place: _Place) -> None:
        self._forget(place)
        self._held.add(place)
        place.held = True
        place.bell.ring()

    def _forget(self, place: _Place) -> None:
        self._waiting.pop(place, None)
        self._threads.discard(place)
