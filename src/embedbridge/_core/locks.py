"""Who waits for what the running code does, and locks that know when this makes them wait for ever.

A signal handler may interrupt a thread that holds a lock, and call us there: in another thread, for which it waits.
"""

from __future__ import annotations

from _thread import RLock
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import get_ident

from embedbridge.errors import RequestFailed

from .kinds import Kind

PATIENCE = 0.25
"""Seconds for which a lock may be held before its owner is looked at."""

callers: ContextVar[frozenset[int]] = ContextVar("embedbridge_callers", default=frozenset())
beginner: ContextVar[int] = ContextVar("embedbridge_beginner")
"""The application's thread for which the running code of a thread of ours works; absent in the application's own."""
outer: ContextVar[tuple[object, ...]] = ContextVar("embedbridge_outer", default=())
"""Whatever waits for the running code, outermost first: places that are held, identities of models that are asked."""
DEEPEST = 48
"""So many of them at most; a wrapped object that asks its own embedder adds three each time."""
TOO_DEEP = (
    "the object that is asked asks its own embedder again and again, without an end; it must answer some texts itself"
)
stuck: set[int] = set()
"""Threads that hold a lock for which a thread waits that they wait for."""


def calling_threads() -> frozenset[int]:
    """The running thread, and those that wait for what it does in the background: they stand still while it waits."""
    return callers.get() | {get_ident()}


@contextmanager
def inside(*those: object) -> Iterator[None]:
    """Let what is called here know that these wait for it. Raises `RequestFailed` where that has no end."""
    if len(outer.get()) >= DEEPEST:
        raise RequestFailed(TOO_DEEP, kind=Kind.CONFIGURATION)
    token = outer.set((*outer.get(), *those))
    try:
        yield
    finally:
        with suppress(ValueError):  # closed as garbage, in another context
            outer.reset(token)


class OwnLock(RLock):  # type: ignore[misc]  # final in typeshed only
    """Reentrant: a flow that is garbage may be closed, and a task leave its place, while its thread holds the lock."""

    __slots__ = ()

    def __enter__(self) -> bool:  # type: ignore[override]
        return self.acquire(blocking=False) or self._wait()

    def _wait(self) -> bool:
        while not self.acquire(timeout=PATIENCE):
            # Nothing else tells who has it: a handler may come right after it was acquired, or released.
            owner = int(repr(self).partition("owner=")[2].partition(" ")[0])
            stuck.update(calling_threads() & {owner} - {get_ident()})
        return True
