"""Makes a fork wait until no thread is inside SQLite, and gives the child connections of its own.

A child must not use a connection of its parent, since SQLite would take the parent's locks for its own. It can close
one only if it was not in use during the fork; another one is never touched again.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable
from typing import Protocol

_WAIT = 10.0  # seconds; longer than any transaction


class Forkable(Protocol):
    """An object with connections, or with locks that a thread may hold which the child has not."""

    def locks(self) -> Iterable[threading.Lock]:
        """The locks under which its connections are used: while all are held, none is in use."""
        return ()

    def start_again(self, *, at_rest: bool) -> None:
        """In the child: make new locks, and drop the connections; `at_rest`: none was in use, so they can be closed."""
        ...


_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
_held: list[tuple[Forkable, list[threading.Lock], bool]] = []


def watch(forkable: Forkable) -> None:
    """Take the locks of an object before every fork, as long as the object lives."""
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
