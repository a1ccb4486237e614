"""A cache in this process's memory that forgets what was used least recently."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from embedbridge._core.locks import OwnLock

from ._forks import Forkable, watch
from .base import BaseCache, CacheStats, LabelStats, check_limits

__all__ = ["MemoryCache"]

_DEFAULT_LIMIT = 256 * 2**20


class _Entry(NamedTuple):
    value: bytes
    label: str
    stored: float


class MemoryCache(BaseCache, Forkable):
    """Least recently used, bounded by bytes, safe for threads.

    Args:
        size_limit: bytes of keys and values; None: 256 MiB, about 40,000 vectors of 1536 dimensions.
        ttl: seconds that an entry lives; None: for ever.
        clock: seconds that never go back.
    """

    blocking = False

    def __init__(
        self,
        *,
        size_limit: int | None = None,
        ttl: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_limits(ttl, size_limit)
        self.size_limit = _DEFAULT_LIMIT if size_limit is None else size_limit
        self.ttl = ttl
        self._clock = clock
        self._lock = OwnLock()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._widths: dict[bytes, int] = {}
        self._held: dict[bytes, bytes] = {}
        self._bytes = self._hits = self._misses = 0
        watch(self)

    def __repr__(self) -> str:
        return f"MemoryCache(size_limit={self.size_limit}, ttl={self.ttl})"

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process starts empty."""
        return partial(MemoryCache, size_limit=self.size_limit, ttl=self.ttl), ()

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The entries there are, now the most recently used."""
        found = {}
        with self._lock:
            since = float("-inf") if self.ttl is None else self._clock() - self.ttl
            for key in keys:
                entry = self._entries.get(key)
                if entry is not None and entry.stored > since:
                    self._entries.move_to_end(key)
                    found[key] = entry.value
            self._hits += len(found)
            self._misses += len(keys) - len(found)
        return found

    def put_many(self, items: Mapping[bytes, bytes], *, label: str = "") -> None:
        """Keep all items, at the price of the least recently used."""
        with self._lock:
            now = self._clock()
            for key, value in items.items():
                self._drop(key)
                self._entries[key] = _Entry(value, label, now)
                self._bytes += len(key) + len(value)
            while self._bytes > self.size_limit:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(key) + len(entry.value)

    def hold_width(self, key: bytes, width: int | None, *, label: str = "") -> int | None:
        """As `BaseCache.hold_width`, apart from the entries."""
        with self._lock:
            return self._widths.get(key) if width is None else self._widths.setdefault(key, width)

    def hold(self, key: bytes, value: bytes | None, *, label: str = "") -> bytes | None:
        """As `BaseCache.hold`, apart from the entries."""
        with self._lock:
            return self._held.get(key) if value is None else self._held.setdefault(key, value)

    def stats(self) -> CacheStats:
        """Counts since this object was made."""
        with self._lock:
            entries, sizes = Counter[str](), Counter[str]()
            for entry in self._entries.values():
                entries[entry.label] += 1
                sizes[entry.label] += len(entry.value)
            labels = {label: LabelStats(entries[label], sizes[label]) for label in entries}
            return CacheStats(len(self._entries), self._bytes, self._hits, self._misses, labels)

    def clear(self) -> None:
        """Forget all entries."""
        with self._lock:
            self._entries.clear()
            self._widths.clear()
            self._held.clear()
            self._bytes = 0

    def close(self) -> None:
        """Nothing to let go of: the entries stay."""

    def start_again(self, *, at_rest: bool) -> None:
        """In the child of a fork: make a lock that nobody holds; a thread that held it has stayed behind.

        Args:
            at_rest: whether no thread was using the cache.
        """
        self._lock = OwnLock()
