"""What every cache can do, and how a cache says that it is in trouble.

A cache maps 32-byte keys to sealed values (see `codec`). It may raise: `guard` is what keeps its faults from a caller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from embedbridge._core.locks import OwnLock
from embedbridge._threads.telling import warn
from embedbridge.errors import CacheWarning, ConfigurationError

__all__ = ["Alarm", "Cache", "CacheError", "CacheStats", "LabelStats", "check_limits"]


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
    """Bytes under 32-byte keys, many at a time."""

    @property
    def blocking(self) -> bool:
        """Whether reading and writing touch a disk or a network."""
        ...

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The entries that there are, whole or damaged.

        Args:
            keys: 32 bytes each.

        Returns:
            Values by key; a key without an entry is left out.

        Raises:
            CacheError: the cache cannot be read; OSError and sqlite3.Error mean the same.
        """
        ...

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        """Keep all items.

        Args:
            items: values by key.
            label: `provider:model`, for statistics only.

        Raises:
            CacheError: the cache cannot be written; OSError and sqlite3.Error mean the same.
        """
        ...

    def stats(self) -> CacheStats:
        """What it holds, and how often it was asked.

        Returns:
            Counts and bytes.
        """
        ...

    def clear(self) -> None:
        """Forget all entries."""
        ...

    def close(self) -> None:
        """Close files and sockets. Using the cache again opens them again."""
        ...


def place_of(cache: Cache) -> object:
    """Equal for caches that hold the same entries: their `place` where they have one, else the object's identity."""
    return getattr(cache, "place", id(cache))


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
