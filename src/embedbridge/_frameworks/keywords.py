"""The options of ours that every stand-in takes beside its original's keywords, for type checkers and editors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from embedbridge.options import Observer

__all__ = ["Ours"]


class Ours(TypedDict, total=False):
    """As of `EmbedderOptions`; those that some originals have too stand in each constructor."""

    reduction: str | os.PathLike[str] | None
    """Path of a saved `PCA`, applied to queries and documents alike."""
    query_prefix: str | None
    """Put before queries; left out: what the original puts there; None: what the model needs; "" for nothing."""
    document_prefix: str | None
    """Put before documents; left out: what the original puts there; None: what the model needs; "" for nothing."""
    too_long: Literal["truncate", "error", "mean"]
    """A text of more tokens than the model reads is cut, refused, or split into parts whose vectors are averaged."""
    empty: Literal["error", "zero"]
    """An empty or blank text is refused before anything is sent, or gets a vector of zeros."""
    cache: Any
    """True (the user's directory), False, a directory, `redis://…`, a `Cache`, or a list of these, nearest first."""
    cache_ttl: float | None
    """Seconds after which a cached vector is not used any more; None: for ever."""
    cache_size_limit: int | None
    """Bytes that a cache on disk or in memory may take; None: the cache's own limit, if any."""
    cache_dtype: Literal["float32", "float16"]
    """How numbers are stored; float16 takes half the space."""
    concurrency: int | None
    """Most requests under way at once; None: the provider's own number."""
    requests_per_minute: float | None
    """A limit of your own; None: only what the provider's headers tell."""
    tokens_per_minute: float | None
    """A limit of your own; None: only what the provider's headers tell."""
    rate_limiter: Any
    """A limiter object of LangChain or LlamaIndex, asked before every request that is sent."""
    deadline: float | None
    """Seconds for one whole call, its waits and retries included; None: no limit."""
    max_cost: float | None
    """Dollars that this embedder may spend in all its calls, at the catalogue's price."""
    observers: Sequence[Observer]
    """Functions that are called with each event of a call (see `embedbridge.events`)."""
    provider_options: Mapping[str, Any]
    """Options that only one provider has; that provider checks them."""
