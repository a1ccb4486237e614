"""The disk cache as a LangChain store: any bytes under any text, each with a checksum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from langchain_core.stores import ByteStore

from ._codec import seal, unseal

if TYPE_CHECKING:
    from .disk import DiskCache


class DiskByteStore(ByteStore):
    """Values are kept for ever and without a limit; a damaged one reads as None. Other faults are raised.

    Args:
        cache: a cache that holds nothing but this store's values.
    """

    def __init__(self, cache: DiskCache) -> None:
        self._cache = cache

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values, None where there is none."""
        names = [_name(key) for key in keys]
        found = self._cache.get_many(names)
        return [unseal(name, found[name]) if name in found else None for name in names]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Keep all values."""
        pairs = [(_name(key), value) for key, value in key_value_pairs]
        self._cache.put_many({name: seal(name, value) for name, value in pairs})

    def mdelete(self, keys: Sequence[str]) -> None:
        """Forget these keys."""
        self._cache.delete([_name(key) for key in keys])

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """All keys that begin with `prefix`, in the order in which they were stored."""
        for rows in self._cache.rows():
            for row in rows:
                key = row.key.decode("utf-8", "surrogatepass")
                if key.startswith(prefix or ""):
                    yield key

    def close(self) -> None:
        """Close the file. The next use opens it again."""
        self._cache.close()


def _name(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
