"""Which threads wait for what the running one does, and locks that know when this makes them wait for ever.

A signal handler may interrupt a thread that holds a lock, and call us there: in another thread, for which it waits.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from threading import get_ident

PATIENCE = 0.25
"""Seconds for which a lock may be held before its owner is looked at."""

callers: ContextVar[frozenset[int]] = ContextVar("embedbridge_callers", default=frozenset())
stuck: set[int] = set()
"""Threads that hold a lock for which a thread waits that they wait for."""


def calling_threads() -> frozenset[int]:
    """The running thread, and those that wait for what it does in the background: they stand still while it waits."""
    return callers.get() | {get_ident()}


class OwnLock:
    """Reentrant: a flow that is garbage may be closed, and a task leave its place, while its thread holds the lock."""

    __slots__ = ("_inside", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._inside: list[int] = []
        """Threads that hold the lock, or will: a handler may come right after it was acquired, or released."""

    def __enter__(self) -> None:
        self._inside.append(get_ident())
        if not self._lock.acquire(blocking=False):
            self._wait()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self._inside.remove(get_ident())

    def _wait(self) -> None:
        while not self._lock.acquire(timeout=PATIENCE):
            stuck.update(calling_threads().intersection(self._inside) - {get_ident()})
