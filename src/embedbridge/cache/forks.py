"""A fork waits until no thread is inside SQLite, and the child starts with connections of its own.

A connection must not live on in a child: SQLite would take the parent's locks for its own. It can be closed there only
if it was at rest; one that was not is left alone for ever.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable
from typing import Protocol

_WAIT = 10.0  # seconds; longer than any transaction


class Forkable(Protocol):
    """What has something to look after in a fork."""

    def locks(self) -> Iterable[threading.Lock]:
        """Whoever holds all of these finds it at rest."""
        ...

    def start_again(self, *, at_rest: bool) -> None:
        """In the child: new locks, and nothing open."""
        ...


_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
_held: list[tuple[Forkable, list[threading.Lock], bool]] = []


def watch(forkable: Forkable) -> None:
    """Look after it in every fork for as long as it lives."""
    _watched.add(forkable)


def _before() -> None:
    for forkable in list(_watched):
        held: list[threading.Lock] = []
        at_rest = True
        for lock in forkable.locks():
            if lock.acquire(timeout=_WAIT):
                held.append(lock)
            else:
                at_rest = False
        _held.append((forkable, held, at_rest))


def _in_parent() -> None:
    while _held:
        _, locks, _ = _held.pop()
        for lock in locks:
            lock.release()


def _in_child() -> None:
    while _held:
        forkable, _, at_rest = _held.pop()
        forkable.start_again(at_rest=at_rest)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
