"""What a store holds for good in any cache: the dimensions of a model, and the vectors that decide for a pool."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from embedbridge._core.patience import Patience
from embedbridge._core.types import Vectors

from ._breaker import Breaker
from ._codec import decode_one, encode_many
from ._timely import done_in_time
from .base import Alarm, BaseCache

T = TypeVar("T")


class Holding:
    """The part of `GuardedStore` that holds values; each method gives None, too, where the cache cannot be had now."""

    label: str
    blocking: bool
    alarm: Alarm
    _cache: BaseCache
    _reads: Breaker
    _writes: Breaker
    _closed: bool

    def hold_width(
        self, key: bytes, width: int | None, *, label: str | None = None, patience: Patience | None = None
    ) -> int | None:
        """As `Store.hold_width` of `_core.seams`."""
        label = self.label if label is None else label
        return self._hold(partial(self._cache.hold_width, key, width, label=label), patience, looking=width is None)

    def hold(self, key: bytes, value: bytes | None, *, label: str) -> bytes | None:
        """As `BaseCache.hold`."""
        return self._hold(partial(self._cache.hold, key, value, label=label), None, looking=value is None)

    def hold_vectors(self, key: bytes, vectors: Vectors | None, *, patience: Patience | None = None) -> Vectors | None:
        """As `Store.hold_vectors` of `_core.seams`."""
        return self._hold(partial(self._hold_vectors, key, vectors), patience, looking=vectors is None)

    def _hold_vectors(self, key: bytes, vectors: Vectors | None) -> Vectors | None:
        """As one sealed value, whose count of tokens is that of the vectors."""
        value = None if vectors is None else encode_many([key], vectors.reshape(1, -1), [len(vectors)], [0])[key]
        kept = decode_one(key, self._cache.hold(key, value, label=self.label) or b"")
        return None if kept is None else kept[0].reshape(kept[1], -1)

    def _hold(self, ask: Callable[[], T | None], patience: Patience | None, *, looking: bool) -> T | None:
        """What the cache holds, as far as it comes in time."""
        breaker = self._reads if looking else self._writes

        def step() -> T | None:
            if not breaker.allows():
                return None
            self._closed = False
            with breaker.attempt(partial(self._report_fault, "used")):
                return ask()
            return None

        bounded = patience is not None and self.blocking and patience.seconds() is not None
        return done_in_time(step, patience) if patience is not None and bounded else step()

    def _report_fault(self, verb: str, error: Exception) -> None:
        self.alarm(f"the cache cannot be {verb} now ({type(error).__name__}: {error}); texts may be paid for again")
