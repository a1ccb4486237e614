"""Several caches as one, nearest first: memory in front of disk in front of Redis.

A value with a wrong checksum is not used, so a damaged value in a near tier does not hide the sound one in a far tier;
it is replaced by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from embedbridge.errors import ConfigurationError

from ._codec import age, is_later, is_sound
from ._store import GuardedStore
from .base import PIECE, Alarm, BaseCache, Cache, CacheStats, check_limits, completed

__all__ = ["TieredCache"]


class TieredCache(BaseCache):
    """Reads go down until a sound value is found, which is then copied to all tiers above; writes go to all.

    A tier that fails is left alone for a while, and the others go on.

    Args:
        tiers: nearest first.
        ttl: seconds after which a value is not used, counted from when it was first stored in any tier; None: for ever.
        clock: seconds of the clock on the wall.

    Raises:
        ConfigurationError: there is no tier, or `ttl` is none.
    """

    def __init__(
        self, tiers: Sequence[Cache], *, ttl: float | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        check_limits(ttl)
        if not isinstance(tiers, list | tuple) or not all(isinstance(tier, Cache) for tier in tiers):
            raise ConfigurationError("tiers: give a list of Cache objects; open_cache takes a list of names")
        if not tiers:
            raise ConfigurationError("cache: the list is empty; write cache=False for no cache")
        self.tiers = tuple(tiers)
        self.ttl = ttl
        self._clock = clock
        self._hits = self._misses = 0
        self.alarm = Alarm()

    @property
    def alarm(self) -> Alarm:
        """What warns of faults in any tier."""
        return self._alarm

    @alarm.setter
    def alarm(self, alarm: Alarm) -> None:
        self._alarm = alarm
        self._guards = [GuardedStore(tier, alarm=alarm) for tier in self.tiers]

    def __repr__(self) -> str:
        return f"TieredCache({list(self.tiers)!r}, ttl={self.ttl})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(TieredCache, self.tiers, ttl=self.ttl), ()

    @property
    def location(self) -> object:
        """The farthest tier's, because all entries are written to it."""
        return completed(self.tiers[-1]).location

    @property
    def blocking(self) -> bool:
        """Whether any tier touches a disk or a network."""
        return any(tier.blocking for tier in self.tiers)

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The sound entries; those that a far tier has are copied to the nearer ones.

        And those that a later version has stored, for which no tier has a sound one.
        """
        return dict(chain.from_iterable(piece.items() for piece in self.get_pieces(keys)))

    def get_pieces(
        self, keys: Sequence[bytes], *, counted: bool = True, again: bool = False
    ) -> Iterator[Mapping[bytes, bytes]]:
        """As `BaseCache.get_pieces`; whoever stops waiting has those of the near tiers."""
        for at in range(0, len(keys), PIECE):
            asked = missing = keys[at : at + PIECE]
            later: dict[bytes, bytes] = {}
            for depth, guard in enumerate(self._guards):
                there = guard.get_many(missing)
                answer = {key: value for key, value in there.items() if self._usable(key, value)}
                later.update((key, there[key]) for key in there.keys() - answer.keys() if is_later(key, there[key]))
                missing = [key for key in missing if key not in answer]
                self._hits += counted * len(answer)
                yield answer
                if copied := {key: value for key, value in answer.items() if key not in later}:
                    for above in self._guards[:depth]:
                        above.put_many(copied)
                if not missing:
                    break
            if later:
                yield {key: later[key] for key in missing if key in later}
            self._misses += counted * (len(missing) - again * len(asked))

    def _usable(self, key: bytes, value: bytes) -> bool:
        return is_sound(key, value) and (self.ttl is None or age(value, self._clock()) < self.ttl)

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        """Keep all items in every tier."""
        for guard in self._guards:
            guard.put_many(items, label=label)

    def end_pauses(self) -> None:
        """As `BaseCache.end_pauses`, of every tier."""
        for guard in self._guards:
            guard.end_pause()

    def hold_width(self, key: bytes, width: int | None, *, label: str = "") -> int | None:
        """As `BaseCache.hold_width`; the farthest tier decides."""
        held = None
        for guard in reversed(self._guards):
            held = held or guard.hold_width(key, held or width, label=label)
        return held

    def hold(self, key: bytes, value: bytes | None, *, label: str = "") -> bytes | None:
        """As `BaseCache.hold`; the farthest tier decides."""
        held = None
        for guard in reversed(self._guards):
            held = held or guard.hold(key, held or value, label=label)
        return held

    def record_savings(self, label: str, *, hits: int, tokens: int) -> bool:
        """As `BaseCache.record_savings`, in the first tier that keeps such counts."""
        return any(completed(tier).record_savings(label, hits=hits, tokens=tokens) for tier in self.tiers)

    def stats(self) -> CacheStats:
        """Entries, bytes and labels are those of the tier that holds most; hits and misses are this object's."""
        tiers = tuple(tier.stats() for tier in self.tiers)
        fullest = max(reversed(tiers), key=lambda stats: stats.entries)
        return CacheStats(fullest.entries, fullest.bytes, self._hits, self._misses, fullest.labels, tiers)

    def clear(self) -> None:
        """Forget all entries in every tier."""
        for tier in self.tiers:
            tier.clear()

    def close(self) -> None:
        """Close every tier."""
        for guard in self._guards:
            guard.close()
