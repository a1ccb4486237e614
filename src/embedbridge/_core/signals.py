"""Something that happens once, and wakes whoever waits for it: a call that is over or given up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from .locks import OwnLock


class Bell(Protocol):
    """Wakes one thread or task."""

    def ring(self) -> None:
        """Wake it, from any thread. May be called often, and before it waits."""
        ...


class Signal:
    """Is set once, by any thread."""

    def __init__(self) -> None:
        # Reentrant, here and in `Flights`: a flow that is garbage may be closed while its thread holds the lock.
        self._lock = OwnLock()
        self._set = False
        self._bells: set[Bell] = set()

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._set

    def set(self) -> None:
        """It has happened: all bells ring."""
        with self._lock:
            self._set = True
            bells = tuple(self._bells)
        for bell in bells:
            bell.ring()

    @contextmanager
    def ringing(self, bell: Bell) -> Iterator[None]:
        """Ring a bell when it happens inside."""
        with self._lock:
            self._bells.add(bell)
        try:
            yield
        finally:
            with self._lock:
                self._bells.discard(bell)
