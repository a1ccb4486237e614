"""Keeps vectors in any cache, and the cache's faults from the caller: a fault is a miss and, once, a warning.

After a fault a cache is not used for a while, longer each time; what could not be written waits in memory.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain

import numpy as np

from embedbridge._core.patience import Patience
from embedbridge._core.types import Hits, Kept, Vectors

from ._backlog import Backlog, Labelled, filled
from ._breaker import Breaker
from ._codec import StorageType, as_hits, decode_one, decode_pieces, encode_many, is_later
from ._holding import Holding
from ._timely import Timely
from .base import PIECE, Alarm, Cache, CacheError, completed

_CLOSING = 2.0  # seconds that closing waits for what is to be written


class GuardedStore(Holding):
    """The `Store` of flows, around any cache: raises no error, and takes no more time than a call has patience for.

    The cache's first fault is a `CacheWarning`; `faults` counts all of them.

    Args:
        cache: what the vectors are kept in.
        label: `provider:model`, for statistics.
        dtype: the number format in the cache. With float32 entries in float16, which are rounded, count as misses;
            what is read is float32 in any case.
        shared: the cache belongs to somebody else, who will close it.
        alarm: what each fault is reported to; the cache's own unless given.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        label: str = "",
        dtype: StorageType = "float32",
        shared: bool = False,
        alarm: Alarm | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cache = cache
        self.label = label
        self.dtype = dtype
        self.blocking = cache.blocking
        """Whether reading and writing touch a disk or a network."""
        self.damaged = 0
        """Values that were found and could not be used: damaged, of another width, or of another version."""
        self._cache = completed(cache)
        self.alarm = alarm or self._cache.alarm or Alarm()
        if self._cache.alarm not in (None, self.alarm):  # tiers that are given one begin anew
            self._cache.alarm = self.alarm
        self.backlog = Backlog(self, self._cache.location)
        self._later: set[bytes] = set()
        """Keys of values that a later version of this package has stored: these are left alone."""
        self._shared = shared
        self._reads, self._writes = Breaker(clock), Breaker(clock)
        self._timely = Timely(self._reads, partial(self._report_fault, "read"))
        self._closed = False

    @property
    def faults(self) -> int:
        """How often the cache has failed."""
        return self.alarm.faults

    def read(
        self,
        keys: Sequence[bytes],
        width: int | None = None,
        *,
        counted: bool = True,
        again: bool = False,
        patience: Patience | None = None,
    ) -> Hits:
        """As `Store.read` of `_core.seams`."""
        if len(keys) == 1 and patience is None:
            return as_hits(self.read_one(keys[0], width, counted=counted, again=again))
        damaged = self.damaged
        try:
            pieces = self.get_pieces(keys, counted=counted, again=again, patience=patience)
            hits = decode_pieces(keys, map(self._seen, pieces), width, exact=self.dtype == "float32")
            self.damaged -= len(hits.rows)
        except Exception as error:
            self._report_no_bytes(error)
            self.damaged = damaged
            return as_hits(None)
        if counted and len(hits.rows):
            tokens = int(np.maximum(hits.tokens, 0).sum())
            self._cache.record_savings(self.label, hits=len(hits.rows), tokens=tokens)
        return hits

    def read_one(
        self, key: bytes, width: int | None = None, *, counted: bool = True, again: bool = False
    ) -> Kept | None:
        """As `Store.read_one` of `_core.seams`."""
        damaged, keys = self.damaged, (key,)
        pieces: tuple[Mapping[bytes, bytes], ...] = ()
        if filled and (waiting := self.backlog.find(keys)):
            pieces = (waiting,)
        elif not self._reads.pause or self._reads.allows():
            self._closed = False
            try:
                pieces = tuple(self._cache.get_pieces(keys, counted=counted, again=again))
            except BaseException as error:
                self._reads.note(error, partial(self._report_fault, "read"))
                return None
            if self._reads.pause:
                self._reads.worked()
        try:
            found = pieces[0] if len(pieces) == 1 else dict(chain.from_iterable(piece.items() for piece in pieces))
            kept = decode_one(key, found[key], width, exact=self.dtype == "float32") if key in found else None
            if kept is None and found:
                self._seen(found)
        except Exception as error:
            self._report_no_bytes(error)
            self.damaged = damaged
            return None
        if kept is not None and counted:
            self._cache.record_savings(self.label, hits=1, tokens=max(kept[1], 0))
        return kept

    def _report_no_bytes(self, error: Exception) -> None:
        self.alarm(f"the cache gave something other than bytes ({type(error).__name__}); it was not used")

    def _seen(self, piece: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
        """Count the values of a piece as damaged until they are decoded, and note those of a later version."""
        self.damaged += len(piece)
        if later := [key for key, value in piece.items() if is_later(key, value)]:
            self._later.update(later)
            self.alarm("entries were stored by a later version of embedbridge; they are left alone and not used")
        return piece

    def write(
        self,
        keys: Sequence[bytes],
        vectors: Vectors,
        tokens: Sequence[int],
        before: Sequence[int],
        *,
        patience: Patience | None = None,
    ) -> None:
        """As `Store.write` of `_core.seams`."""
        try:
            items = encode_many(keys, vectors, tokens, before, self.dtype)
        except Exception as error:
            self.alarm(f"{len(keys)} vectors could not be cached ({type(error).__name__}: {error})")
            return
        self.put_many(self._unless_later(items) if self._later else items, label=self.label, patience=patience)

    def store_now(self, keys: Sequence[bytes], vectors: Vectors, tokens: Sequence[int], before: Sequence[int]) -> None:
        """`write` that has stored everything when it returns, and raises what the cache raises when it cannot."""
        items = self._unless_later(encode_many(keys, vectors, tokens, before, self.dtype))
        self._closed = False
        self.cache.put_many(items, label=self.label)

    def _unless_later(self, items: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
        """Items but for those in whose place a later version has stored its own."""
        return {key: value for key, value in items.items() if key not in self._later}

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The entries that the cache has, and those that wait to be written to it."""
        return dict(chain.from_iterable(piece.items() for piece in self.get_pieces(keys)))

    def get_pieces(
        self,
        keys: Sequence[bytes],
        *,
        counted: bool = True,
        again: bool = False,
        patience: Patience | None = None,
    ) -> Iterable[Mapping[bytes, bytes]]:
        """`get_many`, some entries at a time and in any order, as many as come while there is patience.

        `counted` and `again` are as in `BaseCache.get_pieces`.
        """
        waiting = self.backlog.find(keys)
        if waiting:
            keys = [key for key in keys if key not in waiting]
        pieces: Iterable[Mapping[bytes, bytes]] = self._ask(keys, counted=counted, again=again) if keys else ()
        if keys and patience is not None and self.blocking and patience.seconds() is not None:
            pieces = self._timely.read(iter(pieces), patience, few=len(keys) <= PIECE)
        return chain((waiting,), pieces) if waiting else pieces

    def _ask(self, keys: Sequence[bytes], *, counted: bool, again: bool) -> Iterator[Mapping[bytes, bytes]]:
        if not self._reads.allows():
            return
        self._closed = False
        with self._reads.attempt(partial(self._report_fault, "read")):
            yield from self._cache.get_pieces(keys, counted=counted, again=again)

    def end_pause(self) -> None:
        """Have the next reading tried, of every tier, also where the one before has failed."""
        self._reads.worked()
        self._cache.end_pauses()

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Raise `CacheError` at the end where something could not be read: what was not found may be there."""
        self.end_pause()
        before = self.alarm.faults
        yield
        if self.alarm.faults > before:
            raise CacheError(self.alarm.last)

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "", patience: Patience | None = None) -> None:
        """Write items, and those that wait; what cannot be written now waits."""
        self._closed = False
        labelled = {key: (label, value) for key, value in items.items()}
        seconds = patience.seconds() if patience is not None and self.blocking else None
        if patience is not None and seconds is not None:
            self.backlog.add(labelled)
            allowed = self._writes.allows()
            self.backlog.drain_later(at_once=allowed)
            if allowed and not self.backlog.wait(labelled, seconds):
                patience.late = True
        elif self._writes.pause and not self._writes.allows():
            self.backlog.add(labelled)
        else:
            written = False
            try:
                written = (not filled or self.backlog.drain()) and self.write_items(labelled)
            finally:
                if not written:
                    self.backlog.add(labelled)
            if not written and self.blocking:
                self.backlog.drain_later()

    def close(self) -> None:
        """Write what waits, even during a pause, and close the cache unless it is shared.

        What is not written after two seconds is counted in a `CacheWarning`, and tried again for a minute.
        """
        if self._shared:
            self.backlog.drain()
            return
        if not self.blocking or not self.backlog.size() or sys.is_finalizing():
            self.backlog.drain()
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
        except Exception as error:
            self._report_fault("closed", error)

    def end_writing(self) -> None:
        """Close a cache that was closed before it could be written to."""
        if self._closed:
            self._close()

    def write_items(self, labelled: Labelled) -> bool:
        """Write items; False when that failed."""
        by_label: dict[str, dict[bytes, bytes]] = {}
        for key, (label, value) in labelled.items():
            by_label.setdefault(label, {})[key] = value
        try:
            for label, items in by_label.items():
                self.cache.put_many(items, label=label)
        except BaseException as error:
            self._writes.note(error, partial(self._report_fault, "written"))
            return False
        if self._writes.pause:
            self._writes.worked()
        return True
