"""What is not written to a cache yet: readers find it, it is bounded, and one thread at a time writes it."""

from __future__ import annotations

import atexit
import itertools
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeAlias

from embedbridge._threads.background import in_background

from ._forks import Forkable, watch

Labelled: TypeAlias = Mapping[bytes, tuple[str, bytes]]
"""Key → label and value."""

_LIMIT = 64 * 2**20  # bytes of values
_PAUSES = (2.0, 4.0, 8.0, 16.0, 32.0)  # seconds between attempts in the background, after which it is given up
_TURN = 10.0  # seconds for the attempt of another thread


class Writer(Protocol):
    """Who stores items."""

    def write_items(self, items: Labelled, /) -> bool:
        """Store items; False when that failed."""
        ...

    def end_writing(self) -> None:
        """The thread in the background has ended."""
        ...


class Backlog(Forkable):
    """Items that wait, in the order in which they came.

    Args:
        writer: who has this backlog, and lives as long.
        location: equal for caches that hold the same entries.
    """

    def __init__(self, writer: Writer, location: object) -> None:
        self._writer, self._location = weakref.ref(writer), location
        self._number = next(_numbers)
        self._self = weakref.ref(self, partial(_forget, self._number))
        self._failures = 0
        self._begin()
        _backlogs.add(self)
        watch(self)

    def _begin(self) -> None:
        filled.pop(self._number, None)
        self._items: dict[bytes, tuple[str, bytes]] = {}
        self._working = False
        self._turn, self._changed, self._now = threading.Lock(), threading.Condition(), threading.Event()

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Values that wait, in this process, to be written to this location."""
        found: dict[bytes, bytes] = {}
        for other in tuple(filled.values()):
            backlog = other()
            if backlog is not None and backlog._location == self._location:  # noqa: SLF001 - its kind
                items = backlog._items  # noqa: SLF001
                found.update((key, item[1]) for key in keys if (item := items.get(key)) is not None)
        return found

    def size(self) -> int:
        """Bytes of the values that wait."""
        return sum(len(value) for _, value in self._items.values())

    def count(self) -> int:
        """How many items wait."""
        return len(self._items)

    def settle(self, seconds: float) -> bool:
        """Have all that waits written now, in the background. False when that takes more seconds."""
        self.drain_later(at_once=True)
        return self.wait(tuple(self._items), seconds)

    def add(self, items: Labelled) -> None:
        """Let items wait, as many as there is room for, oldest first."""
        with self._changed:
            waiting, room = {**self._items, **items}, _LIMIT
            for key, (_, value) in list(waiting.items()):
                room -= len(value)
                if room < 0:
                    del waiting[key]
            self._items = waiting
            filled[self._number] = self._self

    def drain(self) -> bool:
        """Write what waits. False when that failed, or failed in another thread that was at it."""
        failures, writer = self._failures, self._writer()
        if not self._items or writer is None:
            return True
        if not self._turn.acquire(timeout=_TURN):
            return False
        try:
            while (items := self._items) and self._failures == failures:
                self._note(items, written=writer.write_items(items))
        finally:
            self._turn.release()
        return self._failures == failures

    def drain_later(self, *, at_once: bool = False) -> None:
        """Have a thread in the background write what waits, in several attempts if need be."""
        if at_once:
            self._now.set()
        with self._changed:
            if self._working or sys.is_finalizing():  # where no thread works any more
                return
            self._working = True
        in_background(partial(self._drain_often, self._writer()))

    def wait(self, keys: Iterable[bytes], seconds: float) -> bool:
        """Wait until none of these keys waits, or an attempt has failed. False when that takes more seconds."""
        with self._changed:
            failures = self._failures
            return self._changed.wait_for(
                lambda: self._failures != failures or self._items.keys().isdisjoint(keys), seconds
            )

    def start_again(self, *, at_rest: bool) -> None:
        """In the child of a fork, where what waits is its parent's to write. No fork waits for an attempt."""
        self._begin()

    def _note(self, items: Labelled, *, written: bool) -> None:
        with self._changed:
            if written:
                self._items = {key: item for key, item in self._items.items() if items.get(key) is not item}
                if not self._items:
                    filled.pop(self._number, None)
            else:
                self._failures += 1
            self._changed.notify_all()

    def _drain_often(self, writer: Writer | None) -> None:
        for pause in _PAUSES:
            self._now.wait(pause)
            self._now.clear()
            self.drain()
            with self._changed:
                if not self._items or pause == _PAUSES[-1]:
                    self._working = False
                    break
        if writer is not None:
            writer.end_writing()


_backlogs: weakref.WeakSet[Backlog] = weakref.WeakSet()
filled: dict[int, weakref.ref[Backlog]] = {}
"""Backlogs with items, by number."""
_numbers = itertools.count()


def _forget(number: int, _: object) -> None:
    filled.pop(number, None)


@atexit.register
def _write_all() -> None:
    """A last attempt, in the main thread, before caches are closed."""
    with suppress(KeyboardInterrupt, SystemExit):
        for backlog in tuple(_backlogs):
            backlog.drain()
