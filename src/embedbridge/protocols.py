"""What outsiders implement: a cache, a provider, a rate limiter, a tokenizer, an observer.

All are structural: an object that has the members is one, and derives from nothing. Their values (`Batch`, `Reply`,
`CacheStats`, the events) are exported by `embedbridge.providers`, `embedbridge.cache` and `embedbridge.events`.

* `Cache`: `Embedder(cache=…)` takes one. What it may do besides is `embedbridge.cache.BaseCache`, to derive from.
* `Provider`: what sends requests. Derive from `embedbridge.providers.HostedProvider` or `BaseProvider`, which have all
  that an embedder asks of a provider besides.
* `Throttle`: what `Embedder(rate_limiter=…)` makes of a limiter of LangChain or LlamaIndex.
* `Counter`: a tokenizer, which a provider gives by its method `counter`.
* `Observer`: a function, for `Embedder(observers=[…])`.
"""

from __future__ import annotations

from ._core.seams import Provider, Throttle
from ._core.tokens import Counter
from .cache.base import Cache
from .options import Observer

__all__ = ["Cache", "Counter", "Observer", "Provider", "Throttle"]
