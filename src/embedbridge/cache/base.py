"""What every cache can do, what it may do besides, and how it reports that it is in trouble.

A cache maps 32-byte keys to sealed values (see `_codec`). It may raise: `GuardedStore` keeps its faults from a caller.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from embedbridge._core.locks import OwnLock
from embedbridge._threads.telling import warn
from embedbridge.errors import CacheWarning, ConfigurationError

from ._codec import seal_width, width_of

__all__ = [
    "PIECE",
    "SCHEMES",
    "Alarm",
    "BaseCache",
    "Cache",
    "CacheError",
    "CacheStats",
    "LabelStats",
    "check_limits",
    "completed",
]

SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
"""How the address of a Redis server begins → how redis-py writes it."""
PIECE = 512
"""Keys that are looked up at once, so that one piece of values is in memory at a time."""


@dataclass(frozen=True, slots=True)
class LabelStats:
    """What a cache holds for one label (`provider:model`), and what it has saved."""

    entries: int = 0
    bytes: int = 0
    """Length of the values."""
    hits: int = 0
    tokens_saved: int = 0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache holds, and how often it was asked."""

    entries: int = 0
    bytes: int = 0
    """What it occupies: on disk with its log, in memory, or -1 where a server does not say."""
    hits: int = 0
    """Keys found. A disk cache counts over all processes and runs, the others since they were made."""
    misses: int = 0
    labels: Mapping[str, LabelStats] = field(default_factory=dict)
    """By `provider:model`; "" for entries copied up from another tier. Empty for Redis, which keeps no such list."""
    tiers: tuple[CacheStats, ...] = ()


@runtime_checkable
class Cache(Protocol):
    """Bytes under 32-byte keys, many at a time. A class with these members needs to derive from nothing.

    What a method raises is counted as a fault of the cache, and never reaches whoever embeds. Methods are called from
    several threads at once.
    """

    @property
    @abstractmethod
    def blocking(self) -> bool:
        """Whether reading and writing touch a disk or a network."""

    @abstractmethod
    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Read entries.

        Args:
            keys: 32 bytes each.

        Returns:
            The entries there are, whole or damaged; a key without one is left out.
        """

    @abstractmethod
    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        """Keep all items, in the place of those under the same keys.

        Args:
            items: value by key.
            label: `provider:model`, for statistics only.
        """

    @abstractmethod
    def stats(self) -> CacheStats:
        """What it holds.

        Returns:
            Counts and bytes.
        """

    @abstractmethod
    def clear(self) -> None:
        """Forget all entries."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and sockets. Using the cache again opens it again."""


class BaseCache(Cache):
    """What a cache may do besides `Cache`. Derive from this class to do any of it better than it is done here.

    A cache that derives from nothing is treated as if it had these members.
    """

    alarm: Alarm | None = None
    """What the cache itself reports faults to that do not stop it; None: it reports none. Whoever guards it sets it."""

    @property
    def location(self) -> object:
        """Equal for caches that hold the same entries, such as two objects for one directory."""
        return id(self)

    def get_pieces(
        self,
        keys: Sequence[bytes],
        *,
        counted: bool = True,
        again: bool = False,
    ) -> Iterable[Mapping[bytes, bytes]]:
        """`get_many`, some entries at a time and in any order.

        Args:
            keys: 32 bytes each.
            counted: whether they are among the hits and misses of `stats`.
            again: whether their texts were counted as misses under other keys before.

        Returns:
            Values by key, in parts.
        """
        if len(keys) <= PIECE:
            return (self.get_many(keys),)
        return (self.get_many(keys[at : at + PIECE]) for at in range(0, len(keys), PIECE))

    def end_pauses(self) -> None:
        """Have what was left alone because it had failed tried by the next reading: what is not found costs money."""

    def hold_width(self, key: bytes, width: int | None, *, label: str = "") -> int | None:
        """Hold the dimensions of a model's vectors: the first ones decide, over all processes.

        Here they stand among the entries, in a sealed value that has no numbers and that no reader takes for a vector.

        Args:
            key: of the model.
            width: dimensions, which are held from now on if none are; None: only look.
            label: `provider:model`, with which they are forgotten.

        Returns:
            The dimensions that are held.
        """
        found = width_of(key, self.get_many([key]).get(key, b""))
        if found is None and width is not None:
            self.put_many({key: seal_width(key, width)}, label=label)
            return width
        return found

    def hold(self, key: bytes, value: bytes | None, *, label: str = "") -> bytes | None:
        """Hold a value that neither expires nor is evicted: the first one decides, over all processes.

        Here it stands among the entries, with their lifetime, and two processes that come at once may both be first.

        Args:
            key: 32 bytes.
            value: sealed, and held from now on if none is; None: only look.
            label: `provider:model`, with which it is forgotten.

        Returns:
            The value that is held.
        """
        found = self.get_many([key]).get(key)
        if found is None and value is not None:
            self.put_many({key: value}, label=label)
            return value
        return found

    def record_savings(self, label: str, *, hits: int, tokens: int) -> bool:
        """Count what hits have saved.

        Args:
            label: `provider:model`.
            hits: entries that were used.
            tokens: that were not sent for them.

        Returns:
            Whether the cache keeps such counts.
        """
        return False


class _Completed(BaseCache):
    """A cache that derives from nothing, with what `BaseCache` adds."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    @property
    def blocking(self) -> bool:
        return self._cache.blocking

    @property
    def location(self) -> object:
        return id(self._cache)

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return self._cache.get_many(keys)

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        self._cache.put_many(items, label=label)

    def stats(self) -> CacheStats:
        return self._cache.stats()

    def clear(self) -> None:
        self._cache.clear()

    def close(self) -> None:
        self._cache.close()


def completed(cache: Cache) -> BaseCache:
    """A cache with all that `BaseCache` adds.

    Args:
        cache: any.

    Returns:
        The cache itself, where it derives from `BaseCache`.
    """
    return cache if isinstance(cache, BaseCache) else _Completed(cache)


class CacheError(Exception):
    """A cache cannot do what it was asked. The message holds no key, text or password."""


def check_limits(ttl: object, size_limit: object = None) -> None:
    """Check the limits that a user gives.

    Args:
        ttl: seconds above 0, or None.
        size_limit: whole bytes above 0, or None.

    Raises:
        ConfigurationError: one of them is something else.
    """
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 0 < ttl < math.inf):
        raise ConfigurationError(f"ttl: seconds, more than 0, or None for ever; not {ttl!r}")
    if size_limit is not None and (isinstance(size_limit, bool) or not isinstance(size_limit, int) or size_limit <= 0):
        raise ConfigurationError(f"size_limit: whole bytes, more than 0, or None; not {size_limit!r}")


class Alarm:
    """Counts a cache's faults, and warns of the first one with a `CacheWarning`."""

    def __init__(self) -> None:
        self.faults = 0
        self.last = ""
        self._lock = OwnLock()

    def __call__(self, message: str) -> None:
        """Count a fault, and warn if it is the first."""
        with self._lock:
            self.faults += 1
            self.last = message
            first = self.faults == 1
        if first:
            warn(message, CacheWarning, stacklevel=3)
