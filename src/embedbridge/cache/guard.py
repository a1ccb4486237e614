"""Keeps a cache's faults from the caller: a fault is a miss and, once, a warning.

After a fault a cache is not used for a while, longer each time; what could not be written waits in memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from .base import Alarm, Cache

_FIRST_PAUSE, _LONGEST_PAUSE = 30.0, 600.0
_WAITING_BYTES = 64 * 2**20
_PIECE = 512  # values held at once


class Breaker:
    """A circuit breaker: says when something that failed may be tried again.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = self._until = 0.0
        self._trial = False
        self._lock = threading.Lock()

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
        """It worked."""
        if self._pause:
            with self._lock:
                self._pause, self._trial = 0.0, False

    def interrupted(self) -> None:
        """The attempt was broken off, so its outcome is not known: the next caller tries."""
        with self._lock:
            self._trial = False


class Guard:
    """Wraps a cache so that its faults raise nothing.

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
        self._waiting: dict[bytes, tuple[str, bytes]] = {}
        self._lock = threading.Lock()

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The entries that the cache has, and those that wait to be written to it."""
        found: dict[bytes, bytes] = {}
        for piece in self.pieces(keys):
            found.update(piece)
        return found

    def pieces(self, keys: Sequence[bytes], *, counted: bool = True) -> Iterator[Mapping[bytes, bytes]]:
        """`get_many`, some entries at a time and in any order; `counted` as in `DiskCache.pieces`."""
        if waiting := self._waiting:
            yield {key: waiting[key][1] for key in keys if key in waiting}
            keys = [key for key in keys if key not in waiting]
        if not keys or not self._reads.allows():
            return
        try:
            if hasattr(self.cache, "pieces"):
                yield from self.cache.pieces(keys, counted=counted)
            else:
                for at in range(0, len(keys), _PIECE):
                    yield self.cache.get_many(keys[at : at + _PIECE])
        except Exception as error:  # noqa: BLE001 - whatever a cache does, the call goes on
            self._reads.failed()
            self._fault("read", error)
        except BaseException:
            self._reads.interrupted()
            raise
        else:
            self._reads.worked()

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        """Write items, and those that wait; what cannot be written now waits."""
        labelled = {key: (label, value) for key, value in items.items()}
        if self._writes.allows():
            self._write({**self._take(), **labelled})
        else:
            self._wait(labelled)

    def flush(self) -> None:
        """Try to write what waits, even during a pause."""
        if self._waiting:
            self._write(self._take())

    def close(self) -> None:
        """Flush, and close the cache."""
        self.flush()
        try:
            self.cache.close()
        except Exception as error:  # noqa: BLE001 - as above
            self._fault("closed", error)

    def _write(self, labelled: dict[bytes, tuple[str, bytes]]) -> None:
        by_label: dict[str, dict[bytes, bytes]] = {}
        for key, (label, value) in labelled.items():
            by_label.setdefault(label, {})[key] = value
        try:
            for label, items in by_label.items():
                self.cache.put_many(items, label=label)
        except Exception as error:  # noqa: BLE001 - as above
            self._writes.failed()
            self._wait(labelled)
            self._fault("written", error)
        except BaseException:
            self._writes.interrupted()
            self._wait(labelled)
            raise
        else:
            self._writes.worked()

    def _take(self) -> dict[bytes, tuple[str, bytes]]:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        return waiting

    def _wait(self, labelled: dict[bytes, tuple[str, bytes]]) -> None:
        """Keep items in memory until they can be written, oldest first, as many as `_WAITING_BYTES` hold."""
        with self._lock:
            waiting = {**self._waiting, **labelled}
            room = _WAITING_BYTES
            for key, (_, value) in list(waiting.items()):
                room -= len(value)
                if room < 0:
                    del waiting[key]
            self._waiting = waiting

    def _fault(self, verb: str, error: Exception) -> None:
        self.alarm(f"the cache cannot be {verb} now ({type(error).__name__}: {error}); texts may be paid for again")
