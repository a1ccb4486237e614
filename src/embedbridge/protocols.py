"""What outsiders implement: a cache, a provider, a rate limiter, a tokenizer, an observer.

All are structural: an object that has the members is one, and derives from nothing. Their values (`Batch`, `Reply`,
`CacheStats`, the events) are exported by `embedbridge.providers`, `embedbridge.cache` and `embedbridge.events`.

* `Cache`: `Embedder(cache=…)` takes one. `CacheExtras` lists what a cache may have besides; nothing else is looked for.
* `Provider`: what sends requests. Derive from `embedbridge.providers.HostedProvider` or `BaseProvider`, which have all
  that an embedder asks of a provider besides.
* `Throttle`: what `Embedder(rate_limiter=…)` makes of a limiter of LangChain or LlamaIndex.
* `Counter`: a tokenizer, which a provider gives by its method `counter`.
* `Observer`: a function, for `Embedder(observers=[…])`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from ._core.effects import Throttle
from ._core.tokens import Counter
from ._core.types import Provider
from .cache.base import Alarm, Cache
from .options import Observer

__all__ = ["Cache", "CacheExtras", "Counter", "Observer", "Provider", "Throttle"]


class CacheExtras(Cache, Protocol):
    """What a cache may have besides `Cache`. Each member is used where it is there, and each may be left out."""

    alarm: Alarm
    """Called with a message for each fault that does not stop the cache. It is set where several caches share one."""

    @property
    def place(self) -> object:
        """Equal for caches that hold the same entries, so that no text is asked for twice at once through them."""
        ...

    def pieces(
        self, keys: Sequence[bytes], *, counted: bool = True, again: bool = False
    ) -> Iterator[Mapping[bytes, bytes]]:
        """`get_many` in parts, so that whoever stops waiting has those that came.

        Args:
            keys: 32 bytes each.
            counted: whether they count as hits and misses in `stats`.
            again: they were looked up under other keys before, and counted as misses.

        Yields:
            Some of the entries, in any order.
        """
        ...

    def hold_width(self, key: bytes, width: int | None, *, label: str = "") -> int | None:
        """The dimensions of the vectors that the cache holds for a model, over all processes and runs.

        Args:
            key: of the model, 32 bytes.
            width: held from now on, if none are; None: only look.
            label: `provider:model`, for statistics only.

        Returns:
            None where none are held.
        """
        ...

    def record(self, label: str, *, hits: int, tokens: int) -> None:
        """Count what hits have saved, for `stats`.

        Args:
            label: `provider:model`.
            hits: entries that were used.
            tokens: that were not sent because of them.
        """
        ...
