"""The `Store` that flows use, around any cache: encodes vectors, decodes them, and raises no error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from embedbridge._core.patience import Patience
from embedbridge._core.types import Hits, Vectors

from ._codec import StorageType, decode_many, decode_pieces, encode_many, is_later
from ._guard import Guard
from .base import Cache


class GuardedStore:
    """The `Store` of flows, around any cache. The cache's first fault is a `CacheWarning`; `faults` counts all of them.

    Args:
        label: `provider:model`, for statistics.
        dtype: the number format in the cache. With float32 entries in float16, which are rounded, count as misses;
            what is read is float32 in any case.
        shared: the cache belongs to somebody else, who will close it.
    """

    def __init__(self, cache: Cache, *, label: str = "", dtype: StorageType = "float32", shared: bool = False) -> None:
        self.label = label
        self.dtype = dtype
        self.damaged = 0
        """Values that were found and could not be used: damaged, of another width, or of another version."""
        self._later: set[bytes] = set()
        """Keys of values that a later version of this package has stored: these are left alone."""
        self._guard = Guard(cache)
        self._record = getattr(cache, "record", None)
        self._shared = shared

    @property
    def cache(self) -> Cache:
        """What the vectors are kept in."""
        return self._guard.cache

    @property
    def faults(self) -> int:
        """How often the cache has failed."""
        return self._guard.alarm.faults

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
        """As `Store.read` of `core.types`."""
        found = 0

        def pieces() -> Iterator[Mapping[bytes, bytes]]:
            nonlocal found
            for piece in self._guard.pieces(keys, counted=counted, again=again, patience=patience):
                found += len(piece)
                if later := [key for key, value in piece.items() if is_later(key, value)]:
                    self._later.update(later)
                    self._guard.alarm(
                        "entries were stored by a later version of embedbridge; they are left alone and not used"
                    )
                yield piece

        try:
            hits = decode_pieces(keys, pieces(), width, exact=self.dtype == "float32")
        except Exception as error:  # a cache may give back anything
            self._guard.alarm(f"the cache gave something other than bytes ({type(error).__name__}); it was not used")
            return decode_many(keys, {})
        self.damaged += found - len(hits.rows)
        if counted and self._record is not None and len(hits.rows):
            self._record(self.label, hits=len(hits.rows), tokens=int(np.maximum(hits.tokens, 0).sum()))
        return hits

    def write(
        self,
        keys: Sequence[bytes],
        vectors: Vectors,
        tokens: Sequence[int],
        before: Sequence[int],
        *,
        patience: Patience | None = None,
    ) -> None:
        """As `Store.write` of `core.types`."""
        try:
            items = encode_many(keys, vectors, tokens, before, self.dtype)
        except Exception as error:  # such as MemoryError
            self._guard.alarm(f"{len(keys)} vectors could not be cached ({type(error).__name__}: {error})")
            return
        for key in self._later.intersection(items):
            del items[key]
        self._guard.put_many(items, label=self.label, patience=patience)

    def store_now(self, keys: Sequence[bytes], vectors: Vectors, tokens: Sequence[int], before: Sequence[int]) -> None:
        """`write` that has stored everything when it returns, and raises what the cache raises when it cannot."""
        items = encode_many(keys, vectors, tokens, before, self.dtype)
        for key in self._later.intersection(items):
            del items[key]
        self.cache.put_many(items, label=self.label)

    def hold_width(self, key: bytes, width: int | None, *, patience: Patience | None = None) -> int | None:
        """As `Store.hold_width` of `core.types`."""
        return self._guard.hold_width(key, width, label=self.label, patience=patience)

    def close(self) -> None:
        """Write what could not be written before, and close the cache unless it is shared."""
        if self._shared:
            self._guard.flush()
        else:
            self._guard.close()
