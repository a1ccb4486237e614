"""How many requests are under way at once, counted over all threads and event loops of a process together."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial

from embedbridge._core.kinds import Kind
from embedbridge._core.locks import OwnLock, calling_threads, inside, outer
from embedbridge._core.signals import Bell
from embedbridge.errors import RequestFailed

from .background import running_loop
from .waiting import Ends, Owner, ThreadBell, waits

FULL = "as many requests as concurrency= allows were under way"
STILL = (
    "the object has been at work for another request for {:.3g} s; raise timeout= if it is slow; if it asks its own "
    "embedder in threads of its own, give it another embedder"
)


@contextmanager
def _told() -> Iterator[None]:
    """Say in a TimeoutError what was waited for."""
    try:
        yield
    except TimeoutError:
        raise TimeoutError(FULL) from None


@dataclass(slots=True, eq=False)
class _Place:
    """A place that is waited for, or held."""

    owner: Owner
    blocked: frozenset[int] = frozenset()
    """Threads that stand still while it is waited for; none for a task."""
    outer: tuple[object, ...] = field(default_factory=outer.get)
    """Places whose holders wait for what is done here, among others."""
    begun: float = field(default_factory=time.monotonic)
    held: bool = False
    bell: Bell | None = None
    """Rung when it is given; None: nobody has waited for it."""

    def is_waited_for(self, held: _Place) -> bool:
        """Whether the holder of a place cannot leave it before this one is given."""
        if held.owner.loop is None:
            return held in self.outer or held.owner.is_same_thread(self.owner)
        return held in self.outer or held.owner.waits_for(self.blocked)


class Gate:
    """Gives out places, first come, first served.

    Two things go before the count. Whoever waits for a holder that waits for it would wait for ever, so it is let
    through: a thread of an event loop whose task holds a place, or what a wrapped object asks of its own embedder. And
    a place counts no longer when the loop of the task that holds it is closed or stands still.

    Args:
        places: how many there are.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        # Reentrant: a task that is garbage may leave its place while this thread is at work here.
        self._lock = OwnLock()
        self._held: set[_Place] = set()
        self._waiting: dict[_Place, None] = {}
        self._related: set[_Place] = set()
        """Those of `_waiting` for which a holder may wait."""
        self._moved = 0.0
        """When a place was last given."""

    @contextmanager
    def take(self, seconds: float | None, ends: Ends = (), patience: float | None = None) -> Iterator[None]:
        """A place for this thread. Raises TimeoutError when there is none in time; `ends` as for `waits`.

        Raises `RequestFailed` when nobody was given one for `patience` seconds.
        """
        place = _Place(Owner(), calling_threads())
        try:
            if not self._enter(place) or any(signal is not None and signal.happened for signal, _ in ends):
                bell = place.bell = ThreadBell()
                look = partial(self._look, place, patience)
                with _told():
                    bell.sit_out(waits(bell, lambda: place.held, seconds, ends, look))
            with inside(place):
                yield
        finally:
            self._leave(place)

    @asynccontextmanager
    async def atake(self, seconds: float | None, ends: Ends = (), patience: float | None = None) -> AsyncIterator[None]:
        """The same for this task."""
        from .task_bell import TaskBell

        place = _Place(Owner(running_loop()))
        try:
            if not self._enter(place) or any(signal is not None and signal.happened for signal, _ in ends):
                bell = place.bell = TaskBell()
                look = partial(self._look, place, patience)
                with _told():
                    await bell.sit_out(waits(bell, lambda: place.held, seconds, ends, look))
            with inside(place):
                yield
        finally:
            self._leave(place)

    def _enter(self, place: _Place) -> bool:
        """Give a place if one is free, or let it be waited for; returns whether it is given."""
        with self._lock:
            if not self._waiting and len(self._held) < self.places:
                self._held.add(place)
                place.held, self._moved = True, time.monotonic()
                return True
            self._waiting[place] = None
            if place.blocked or place.outer:
                self._related.add(place)
            self._admit()
        return place.held

    def _leave(self, place: _Place) -> None:
        """Also for a place that was only waited for."""
        with self._lock:
            self._waiting.pop(place, None)
            self._related.discard(place)
            self._held.discard(place)
            if self._waiting:
                self._admit()

    def _look(self, place: _Place, patience: float | None) -> None:
        with self._lock:
            self._held -= {held for held in self._held if held.owner.is_stuck()}
            self._admit()
        if patience is not None and not place.held and time.monotonic() - max(self._moved, place.begun) >= patience:
            raise RequestFailed(STILL.format(patience), kind=Kind.TIMEOUT, doing=FULL)

    def _admit(self) -> None:
        while self._waiting and len(self._held) < self.places:
            self._let_in(next(iter(self._waiting)))
        for place in tuple(self._related):
            if any(map(place.is_waited_for, self._held)):
                self._let_in(place)

    def _let_in(self, place: _Place) -> None:
        self._waiting.pop(place, None)
        self._related.discard(place)
        self._held.add(place)
        place.held, self._moved = True, time.monotonic()
        if place.bell is not None:
            place.bell.ring()
