"""Something that happens once, and wakes whoever waits for it: a call that is over or given up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol


class Bell(Protocol):
    """Wakes one thread or task."""

    def ring(self) -> None:
        """Wake it, from any thread. May be called often, and before it waits."""
        ...


@dataclass(slots=True, eq=False)
class Signal:
    """Is set once, by any thread."""

    # Without a lock: a bell is put in before its owner looks, and this is set before the bells are read.
    happened: bool = False
    _bells: set[Bell] = field(default_factory=set)

    def set(self) -> None:
        """It has happened: all bells ring."""
        self.happened = True
        for bell in tuple(self._bells):
            bell.ring()

    @contextmanager
    def ringing(self, bell: Bell) -> Iterator[None]:
        """Ring a bell when it happens inside."""
        self._bells.add(bell)
        try:
            yield
        finally:
            self._bells.discard(bell)
