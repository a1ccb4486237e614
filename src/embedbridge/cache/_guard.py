"""Keeps a cache's faults from the caller: a fault is a miss and, once, a warning.

After a fault a cache is not used for a while, longer each time; what could not be written waits in memory.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from functools import partial
from itertools import islice
from typing import Any

from embedbridge._core.locks import OwnLock
from embedbridge._core.patience import Patience
from embedbridge._threads.background import in_background

from ._backlog import Backlog, Labelled
from ._widths import hold_width
from .base import Alarm, Cache, place_of

_FIRST_PAUSE, _LONGEST_PAUSE = 30.0, 600.0
_PIECE = 512  # values held at once
_CLOSING = 2.0  # seconds that closing waits for what is to be written


class Breaker:
    """A circuit breaker: says when something that failed may be tried again.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = self._until = 0.0
        self._trial = False
        self._lock = OwnLock()

    def allows(self) -> bool:
        """Whether to try now. After a pause one caller may try; the others may once it has succeeded."""
        if not self._pause:
            return True
        with self._lock:
            allowed = not self._trial and self._clock() >= self._until
            self._trial = self._trial or allowed
            return allowed

    def failed(self) -> None:
        """It failed: pause for 30 seconds, then for twice as long each time, 10 minutes at most."""
        with self._lock:
            if self._pause and not self._trial:
                return  # this attempt began before the pause did
            self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
            self._until, self._trial = self._clock() + self._pause, False

    def worked(self) -> None:
        """Note that the attempt was successful, so that all may try again."""
        if self._pause:
            with self._lock:
                self._pause, self._trial = 0.0, False

    def interrupted(self) -> None:
        """The attempt was broken off, so its outcome is not known: the next caller tries."""
        with self._lock:
            self._trial = False


class Guard:
    """Wraps a cache so that its faults raise nothing, and cost no more time than a call has patience for.

    Args:
        alarm: told of each fault; the cache's own unless given.
        clock: seconds that never go back.
    """

    def __init__(self, cache: Cache, alarm: Alarm | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.cache = cache
        self.alarm = alarm or getattr(cache, "alarm", None) or Alarm()
        if hasattr(cache, "alarm") and cache.alarm is not self.alarm:  # tiers that are given one begin anew
            cache.alarm = self.alarm
        self._reads, self._writes = Breaker(clock), Breaker(clock)
        self.backlog = Backlog(self, place_of(cache))
        self._late: set[Future[Any]] = set()
        """Steps of reading that were not waited for to their end."""
        self._closed = False

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The entries that the cache has, and those that wait to be written to it."""
        found: dict[bytes, bytes] = {}
        for piece in self.pieces(keys):
            found.update(piece)
        return found

    def pieces(
        self,
        keys: Sequence[bytes],
        *,
        counted: bool = True,
        again: bool = False,
        patience: Patience | None = None,
    ) -> Iterator[Mapping[bytes, bytes]]:
        """`get_many`, some entries at a time and in any order, as many as come while there is patience.

        `counted` and `again` are as in `DiskCache.pieces`.
        """
        if waiting := self.backlog.find(keys):
            yield waiting
            keys = [key for key in keys if key not in waiting]
        if not keys:
            return
        if patience is None or not self.cache.blocking or patience.seconds() is None:
            yield from self._ask(keys, counted=counted, again=again)
        elif self._is_free(patience):
            yield from self._in_time(self._ask(keys, counted=counted, again=again), patience, few=len(keys) <= _PIECE)

    def _is_free(self, patience: Patience) -> bool:
        """Whether no reading is under way that others have waited for in vain, or it ends now."""
        under_way = tuple(self._late)
        if under_way and not patience.late:
            patience.late = bool(wait(under_way, patience.seconds()).not_done)
            if patience.late:
                self._reads.failed()
        return not patience.late

    def _ask(self, keys: Sequence[bytes], *, counted: bool, again: bool) -> Iterator[Mapping[bytes, bytes]]:
        if not self._reads.allows():
            return
        self._closed = False
        try:
            if hasattr(self.cache, "pieces"):
                yield from self.cache.pieces(keys, counted=counted, again=again)
            else:
                for at in range(0, len(keys), _PIECE):
                    yield self.cache.get_many(keys[at : at + _PIECE])
        except Exception as error:  # whatever a cache does, the call goes on
            self._reads.failed()
            self._fault("read", error)
        except BaseException:
            self._reads.interrupted()
            raise
        else:
            self._reads.worked()

    def _in_time(
        self, pieces: Iterator[Mapping[bytes, bytes]], patience: Patience, *, few: bool
    ) -> Iterator[Mapping[bytes, bytes]]:
        """The pieces that come in time, each read in a thread that may be late; those of `few` keys in one thread."""
        more = True
        while more:
            found: dict[bytes, bytes] = {}
            step = in_background(partial(_read_into, found, pieces if few else islice(pieces, 1)))
            more = self._is_in_time(step, patience) and step.result() and not few
            yield found.copy()

    def _is_in_time(self, step: Future[Any], patience: Patience) -> bool:
        """Wait for a step while there is patience."""
        wait((step,), patience.seconds())
        if step.done():
            return True
        patience.late = True
        self._late.add(step)
        step.add_done_callback(self._late.discard)
        self._fault("read", TimeoutError("no answer in the time that the deadline leaves"))
        return False

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "", patience: Patience | None = None) -> None:
        """Write items, and those that wait; what cannot be written now waits."""
        self._closed = False
        labelled = {key: (label, value) for key, value in items.items()}
        seconds = patience.seconds() if patience is not None and self.cache.blocking else None
        if patience is not None and seconds is not None:
            self.backlog.add(labelled)
            allowed = self._writes.allows()
            self.backlog.drain_later(at_once=allowed)
            if allowed and not self.backlog.wait(labelled, seconds):
                patience.late = True
        elif not self._writes.allows():
            self.backlog.add(labelled)
        elif not self._write_now(labelled) and self.cache.blocking:
            self.backlog.drain_later()

    def hold_width(
        self, key: bytes, width: int | None, *, label: str = "", patience: Patience | None = None
    ) -> int | None:
        """As `widths.hold_width`; None, too, where the cache cannot be had now."""
        breaker = self._reads if width is None else self._writes
        step = partial(self._hold_width, breaker, key, width, label)
        if patience is None or not self.cache.blocking or patience.seconds() is None:
            return step()
        if patience.late:
            return None
        held = in_background(step)
        wait((held,), patience.seconds())
        patience.late = not held.done()
        return None if patience.late else held.result()

    def _hold_width(self, breaker: Breaker, key: bytes, width: int | None, label: str) -> int | None:
        if not breaker.allows():
            return None
        self._closed = False
        try:
            held = hold_width(self.cache, key, width, label=label)
        except Exception as error:  # as above
            breaker.failed()
            self._fault("used", error)
            return None
        except BaseException:
            breaker.interrupted()
            raise
        breaker.worked()
        return held

    def _write_now(self, labelled: Labelled) -> bool:
        written = False
        try:
            written = self.backlog.drain() and self.write(labelled)
        finally:
            if not written:
                self.backlog.add(labelled)
        return written

    def flush(self) -> None:
        """Try to write what waits, even during a pause."""
        self.backlog.drain()

    def close(self) -> None:
        """Write what waits, for at most two seconds, and close the cache.

        What is not written then is counted in a `CacheWarning`, and tried again for a minute.
        """
        if not self.cache.blocking or not self.backlog.size() or sys.is_finalizing():
            self.flush()
        elif not self.backlog.settle(_CLOSING):
            self._closed = True  # the thread that is at it closes the cache
            waiting = self.backlog.count()
            self.alarm(f"the cache was closed before {waiting} vectors could be written; they may be paid for again")
            return
        self._close()

    def _close(self) -> None:
        self._closed = True
        try:
            self.cache.close()
        except Exception as error:  # as above
            self._fault("closed", error)

    def end(self) -> None:
        """Close a cache that was closed before it could be written to."""
        if self._closed:
            self._close()

    def write(self, labelled: Labelled) -> bool:
        """Write items; False when that failed."""
        by_label: dict[str, dict[bytes, bytes]] = {}
        for key, (label, value) in labelled.items():
            by_label.setdefault(label, {})[key] = value
        try:
            for label, items in by_label.items():
                self.cache.put_many(items, label=label)
        except Exception as error:  # as above
            self._writes.failed()
            self._fault("written", error)
            return False
        except BaseException:
            self._writes.interrupted()
            raise
        self._writes.worked()
        return True

    def _fault(self, verb: str, error: Exception) -> None:
        self.alarm(f"the cache cannot be {verb} now ({type(error).__name__}: {error}); texts may be paid for again")


def _read_into(found: dict[bytes, bytes], pieces: Iterator[Mapping[bytes, bytes]]) -> bool:
    """Take pieces over; whether there were any."""
    count = 0
    for piece in pieces:
        found.update(piece)
        count += 1
    return count > 0
