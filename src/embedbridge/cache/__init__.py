"""Caches: what was paid for once is never paid for again, and a fault in a cache never fails a call."""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from embedbridge.errors import ConfigurationError

from ._store import GuardedStore as GuardedStore
from .base import SCHEMES, BaseCache, Cache, CacheError, CacheStats, LabelStats
from .memory import MemoryCache
from .tiers import TieredCache

if TYPE_CHECKING:
    from .disk import DiskCache
    from .redis import RedisCache

__all__ = [
    "BaseCache",
    "Cache",
    "CacheError",
    "CacheStats",
    "DiskCache",
    "LabelStats",
    "MemoryCache",
    "RedisCache",
    "TieredCache",
    "open_cache",
]


_LATER = {"DiskCache": "disk", "RedisCache": "redis"}
"""Classes whose modules load SQLite or Redis, and are imported by those who want one."""
_BY_SCHEME = dict.fromkeys(SCHEMES, "RedisCache")
"""How an address begins → the class of `_LATER` that opens it, given the address and `ttl`."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)


WORDS = {
    **dict.fromkeys(("none", "false", "no", "off", "null", "0"), "False for no cache"),
    **dict.fromkeys(("true", "yes", "on", "default", "disk", "1"), "True for the user's cache directory"),
    **dict.fromkeys(("redis", "rediss", "valkey"), "its address, as in 'redis://localhost:6379/0'"),
    **dict.fromkeys(("memory", "mem", "ram"), "'memory'"),
}
"""Words that mean something else than a directory of that name → what to write."""


_ADDRESS_GONE_WRONG = re.compile(
    rf"([a-z][a-z0-9+.-]+|[0-9.]+):|({'|'.join(_BY_SCHEME)}|https?|file)\W{{0,2}}//", re.IGNORECASE
)
"""How no directory's name begins: with a scheme that lacks its slashes or its colon, or with a server and its port."""


def open_cache(spec: object, *, ttl: float | None = None, size_limit: int | None = None) -> Cache | None:
    """The cache that an option names. Touches no disk and no network.

    Args:
        spec: True (the user's cache directory, or `EMBEDBRIDGE_CACHE_DIR`), False or None, a directory, `redis://…`,
            `rediss://…`, `valkey://…`, `"memory"`, a `Cache`, which is returned as it is, or a list of these, nearest
            first.
        ttl: seconds that an entry is used after it was stored.
        size_limit: bytes, for each of memory and disk. A Redis server has a limit of its own.

    Returns:
        None where no cache is wanted.

    Raises:
        ConfigurationError: nothing of the kind, or a `ttl` or `size_limit` that this cache would not obey.
        MissingExtraError: redis-py is not installed.
    """
    if spec is None or spec is False:
        return None
    listed = list(spec) if isinstance(spec, list | tuple) else [spec]
    if size_limit is not None and not any(one and _has_no_limit_of_its_own(one) for one in listed):
        raise ConfigurationError(
            "cache_size_limit: it bounds memory and disks only; give a Cache of yours its own size_limit, and a Redis "
            "server its maxmemory"
        )
    if isinstance(spec, list | tuple):
        tiers = [tier for one in listed if (tier := _open(one, ttl, size_limit)) is not None]
        return TieredCache(tiers, ttl=ttl) if tiers else None
    if ttl is not None and isinstance(spec, Cache):
        raise ConfigurationError(
            f"cache_ttl: the {type(spec).__name__} that was given has its own; set its ttl instead"
        )
    return _open(spec, ttl, size_limit)


def _has_no_limit_of_its_own(spec: object) -> bool:
    return not isinstance(spec, Cache) and not (isinstance(spec, str) and "://" in spec)


def _open(spec: object, ttl: float | None, size_limit: int | None) -> Cache | None:
    if spec is None or spec is False:
        return None
    if isinstance(spec, list | tuple):
        return open_cache(spec, ttl=ttl, size_limit=size_limit)
    if isinstance(spec, str) and "://" in spec:
        return _open_url(spec, ttl)
    if isinstance(spec, str) and spec.strip().lower() in WORDS and spec != "memory":
        raise ConfigurationError(
            f"cache={spec!r} is no directory's usual name; write {WORDS[spec.strip().lower()]}, or './{spec.strip()}' "
            "for a directory of that name"
        )
    if isinstance(spec, str | os.PathLike) and (found := _ADDRESS_GONE_WRONG.match(os.fspath(spec))):
        raise ConfigurationError(
            f"cache: {found[0]!r} begins an address that is misspelt, and no directory's name; write an address as "
            "'redis://localhost:6379/0', and such a directory by its whole path"
        )
    if isinstance(spec, str) and spec == "memory":
        return MemoryCache(ttl=ttl, size_limit=size_limit)
    if spec is True or (isinstance(spec, str | os.PathLike) and os.fspath(spec)):
        from .disk import DiskCache

        return DiskCache(None if spec is True else spec, ttl=ttl, size_limit=size_limit)
    if isinstance(spec, Cache) and not isinstance(spec, type):
        return spec
    raise ConfigurationError("cache: use True, False, a directory, 'redis://…', 'memory', a Cache, or a list of these")


def _open_url(url: str, ttl: float | None) -> Cache:
    scheme = url.partition("://")[0]
    if scheme not in _BY_SCHEME:
        raise ConfigurationError(
            f"cache: {scheme}:// is not known here; use one of {', '.join(_BY_SCHEME)}, or a directory"
        )
    opened: Cache = __getattr__(_BY_SCHEME[scheme])(url, ttl=ttl)
    return opened
