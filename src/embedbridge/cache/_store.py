"""Keeps vectors in any cache, and the cache's faults from the caller: a fault is a miss and, once, a warning.

After a fault a cache is not used for a while, longer each time; what could not be written waits in memory.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np

from embedbridge._core.patience import Patience
from embedbridge._core.types import Hits, Kept, Vectors
from embedbridge._threads.background import in_background

from ._backlog import Backlog, Labelled, filled
from ._breaker import Breaker
from ._codec import StorageType, as_hits, decode_one, decode_pieces, encode_many, is_later
from .base import PIECE, Alarm, Cache, CacheError, completed

T = TypeVar("T")

_CLOSING = 2.0  # seconds that closing waits for what is to be written


class GuardedStore:
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
        self._late: set[Future[Any]] = set()
        """Steps of reading that were not waited for to their end."""
        self._closed = False

    @property
    def faults(self) -> int:
        """How often the cache has failed."""
        return self.alarm.faults

    @property
    def blocking(self) -> bool:
        """Whether reading and writing touch a disk or a network."""
        return self.cache.blocking

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
        damaged = self.damaged
        try:
            found = self._get_one((key,), counted=counted, again=again)
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
            items = self._encode(keys, vectors, tokens, before)
        except Exception as error:
            self.alarm(f"{len(keys)} vectors could not be cached ({type(error).__name__}: {error})")
            return
        self.put_many(items, label=self.label, patience=patience)

    def store_now(self, keys: Sequence[bytes], vectors: Vectors, tokens: Sequence[int], before: Sequence[int]) -> None:
        """`write` that has stored everything when it returns, and raises what the cache raises when it cannot."""
        items = self._encode(keys, vectors, tokens, before)
        self._closed = False
        self.cache.put_many(items, label=self.label)

    def _encode(
        self, keys: Sequence[bytes], vectors: Vectors, tokens: Sequence[int], before: Sequence[int]
    ) -> dict[bytes, bytes]:
        """Sealed values by key, but for those in whose place a later version has stored its own."""
        items = encode_many(keys, vectors, tokens, before, self.dtype)
        for key in self._later.intersection(items):
            del items[key]
        return items

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The entries that the cache has, and those that wait to be written to it."""
        found: dict[bytes, bytes] = {}
        for piece in self.get_pieces(keys):
            found.update(piece)
        return found

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
        if keys and patience is not None and self.cache.blocking and patience.seconds() is not None:
            pieces = self._in_time(iter(pieces), patience, few=len(keys) <= PIECE)
        return chain((waiting,), pieces) if waiting else pieces

    def _get_one(self, keys: Sequence[bytes], *, counted: bool, again: bool) -> Mapping[bytes, bytes]:
        """`get_pieces` of a single key, as one: the short way, for a query waits for it."""
        if filled and (waiting := self.backlog.find(keys)):
            return waiting
        if self._reads.pause and not self._reads.allows():
            return {}
        self._closed = False
        try:
            pieces = tuple(self._cache.get_pieces(keys, counted=counted, again=again))
        except BaseException:
            with self._reads.attempt(partial(self._report_fault, "read")):
                raise
            return {}
        if self._reads.pause:
            self._reads.worked()
        return pieces[0] if len(pieces) == 1 else {key: value for piece in pieces for key, value in piece.items()}

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

    def _is_free(self, patience: Patience) -> bool:
        """Whether no reading is under way that others have waited for in vain, or it ends now."""
        under_way = tuple(self._late)
        if under_way and not patience.late:
            patience.late = bool(wait(under_way, patience.seconds()).not_done)
            if patience.late:
                self._reads.failed()
        return not patience.late

    def _in_time(
        self, pieces: Iterator[Mapping[bytes, bytes]], patience: Patience, *, few: bool
    ) -> Iterator[Mapping[bytes, bytes]]:
        """The pieces that come in time, each read in a thread that may be late; those of `few` keys in one thread."""
        more = self._is_free(patience)
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
        self._report_fault("read", TimeoutError("no answer in the time that the deadline leaves"))
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
        elif self._writes.pause and not self._writes.allows():
            self.backlog.add(labelled)
        elif not self._write_now(labelled) and self.cache.blocking:
            self.backlog.drain_later()

    def hold_width(
        self, key: bytes, width: int | None, *, label: str | None = None, patience: Patience | None = None
    ) -> int | None:
        """As `Store.hold_width` of `_core.seams`; None, too, where the cache cannot be had now."""
        label = self.label if label is None else label
        return self._hold(partial(self._cache.hold_width, key, width, label=label), patience, looking=width is None)

    def hold(self, key: bytes, value: bytes | None, *, label: str) -> bytes | None:
        """As `BaseCache.hold`; None, too, where the cache cannot be had now."""
        return self._hold(partial(self._cache.hold, key, value, label=label), None, looking=value is None)

    def hold_vectors(self, key: bytes, vectors: Vectors | None, *, patience: Patience | None = None) -> Vectors | None:
        """As `Store.hold_vectors` of `_core.seams`; None, too, where the cache cannot be had now."""
        return self._hold(partial(self._hold_vectors, key, vectors), patience, looking=vectors is None)

    def _hold_vectors(self, key: bytes, vectors: Vectors | None) -> Vectors | None:
        """As one sealed value, whose count of tokens is that of the vectors."""
        value = None if vectors is None else encode_many([key], vectors.reshape(1, -1), [len(vectors)], [0])[key]
        kept = decode_one(key, self._cache.hold(key, value, label=self.label) or b"")
        return None if kept is None else kept[0].reshape(kept[1], -1)

    def _hold(self, ask: Callable[[], T | None], patience: Patience | None, *, looking: bool) -> T | None:
        """What the cache holds, as far as it comes in time."""
        step = partial(self._try, self._reads if looking else self._writes, ask)
        if patience is None or not self.cache.blocking or patience.seconds() is None:
            return step()
        if patience.late:
            return None
        held = in_background(step)
        wait((held,), patience.seconds())
        patience.late = not held.done()
        return None if patience.late else held.result()

    def _try(self, breaker: Breaker, ask: Callable[[], T | None]) -> T | None:
        if not breaker.allows():
            return None
        self._closed = False
        with breaker.attempt(partial(self._report_fault, "used")):
            return ask()
        return None

    def _write_now(self, labelled: Labelled) -> bool:
        written = False
        try:
            written = self.backlog.drain() and self.write_items(labelled)
        finally:
            if not written:
                self.backlog.add(labelled)
        return written

    def close(self) -> None:
        """Write what waits, even during a pause, and close the cache unless it is shared.

        What is not written after two seconds is counted in a `CacheWarning`, and tried again for a minute.
        """
        if self._shared:
            self.backlog.drain()
            return
        if not self.cache.blocking or not self.backlog.size() or sys.is_finalizing():
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
        with self._writes.attempt(partial(self._report_fault, "written")):
            for label, items in by_label.items():
                self.cache.put_many(items, label=label)
            return True
        return False

    def _report_fault(self, verb: str, error: Exception) -> None:
        self.alarm(f"the cache cannot be {verb} now ({type(error).__name__}: {error}); texts may be paid for again")


def _read_into(found: dict[bytes, bytes], pieces: Iterator[Mapping[bytes, bytes]]) -> bool:
    """Take pieces over; whether there were any."""
    count = 0
    for piece in pieces:
        found.update(piece)
        count += 1
    return count > 0
