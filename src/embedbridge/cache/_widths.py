"""The dimensions of the vectors that a cache holds for a model: the first ones decide, over all processes.

Caches of this package keep them apart from their entries. In others, and in exports, they stand in a sealed value that
has a header and no numbers, which no reader takes for a vector.
"""

from __future__ import annotations

from ._codec import seal_width, width_of
from .base import Cache


def hold_width(cache: Cache, key: bytes, width: int | None, *, label: str = "") -> int | None:
    """The dimensions that the cache holds under `key`; if it holds none, it holds `width` from now on.

    Args:
        cache: any cache; one that has a `hold_width` of its own decides between processes that come at once.
        key: of the model.
        width: dimensions; None: only look.
        label: `provider:model`, with which they are forgotten.
    """
    if hasattr(cache, "hold_width"):
        held: int | None = cache.hold_width(key, width, label=label)
        return held
    found = width_of(key, cache.get_many([key]).get(key, b""))
    if found is None and width is not None:
        cache.put_many({key: seal_width(key, width)}, label=label)
        return width
    return found
