"""The options as keywords, for type checkers and editors: each with the types that people write, and its meaning.

The meaning of an option stands here and nowhere else: help(), JSON schemas and editors show it from here. Its check
and its default are `EmbedderOptions`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from pydantic import SecretStr

from ._endpoint_options import EndpointOptions
from .cache.base import Cache
from .events import Event

__all__ = ["CachePlace", "Common", "EndpointDict", "Observer", "Options"]

CachePlace: TypeAlias = bool | str | os.PathLike[str] | Cache
"""Where vectors are kept: True (the user's directory), False, a directory, `redis://…`, `"memory"`, or a cache."""

Observer: TypeAlias = Callable[[Event], object]
"""Called with each event of `embedbridge.events`, from whichever thread it happens in."""


class EndpointDict(TypedDict, total=False):
    """One endpoint of a pool. What is left out is as the embedder's options and the environment say."""

    base_url: str | None
    """The address that the official SDK would take."""
    api_key: str | SecretStr | None
    """A key of its own. It travels in no pickle: see `key_env`."""
    key_env: str | None
    """The environment variable that holds its key: every process takes the key from there."""
    weight: float
    """Of two endpoints that are free, the one with twice the weight has twice as many requests under way;
    0.000001 to 1,000,000."""
    requests_per_minute: float | None
    """Requests per minute that may be sent there; None: as many as the headers of its answers allow."""
    tokens_per_minute: float | None
    """Tokens per minute that may be sent there; None: as many as the headers of its answers allow."""
    max_concurrency: int | None
    """Most requests under way there at once; None: the provider's own number."""
    headers: Mapping[str, str | SecretStr]
    """Headers that every request there has."""
    api_version: str | None
    """Of Azure's API. In a pool of `openai:` it makes this endpoint one of Azure's."""
    deployment: str | None
    """Of Azure; None: named like the model. In a pool of `openai:` it makes this endpoint one of Azure's."""
    region: str | None
    """Of Bedrock, or the location of Vertex."""


class Common(TypedDict, total=False):
    """Options whose meaning is the same for an embedder and for every stand-in of a framework's own class."""

    reduction: str | os.PathLike[str] | None
    """Path of a saved `PCA`, applied to queries and documents alike."""
    too_long: Literal["truncate", "error", "mean"]
    """What becomes of a text of more tokens than the model reads: it is truncated, refused, or split into parts whose
    vectors are averaged."""
    empty: Literal["error", "zero"]
    """An empty or blank text is refused before anything is sent, or gets a vector of zeros."""
    cache: CachePlace | Sequence[CachePlace]
    """True (the user's directory), False, a directory, `redis://…`, a `Cache`, or a list of these, nearest first."""
    cache_ttl: float | None
    """Seconds after which a cached vector is not used any more; None: for ever."""
    cache_size_limit: int | None
    """Bytes that a cache on disk or in memory may take; None: the cache's own limit, if any."""
    cache_dtype: Literal["float32", "float16"]
    """How numbers are stored. float16 takes half the space; each number that is read back is then off by at most 1 part
    in 2048, and vectors of which float16 cannot hold that are stored as float32. An embedder with float32 does not use
    entries in float16."""
    concurrency: int | None
    """Most requests under way at once; None: the provider's own number."""
    requests_per_minute: float | None
    """Requests per minute that this embedder may send; None: as many as the provider's headers allow."""
    tokens_per_minute: float | None
    """Tokens per minute that this embedder may send; None: as many as the provider's headers allow."""
    rate_limiter: Any
    """A limiter object of LangChain or LlamaIndex, asked before every request that is sent."""
    deadline: float | None
    """Seconds for one whole call, its waits and retries included; None: no limit."""
    max_cost: float | None
    """Dollars that this embedder may spend in all its calls, at the catalogue's price: it stops before a request that
    could pass them. A copy of the embedder has as much again."""
    batch: Literal["pay", "wait", "skip"]
    """Texts that were handed to a batch API and have not come back are asked for and paid at once, waited for until the
    `deadline`, or left out with a `PendingError` that names them."""
    endpoints: Sequence[EndpointDict | EndpointOptions] | None
    """Several addresses or keys of one model, over which requests are spread: a list of what each has of its own (see
    `EndpointOptions`). One serves only after its vectors of fixed texts have proved to be those of the others. In cache
    keys the pool has the name of `base_url`, else of the first entry's address."""
    observers: Sequence[Observer] | None
    """Functions, each of which is called with every event of a call (see `embedbridge.events`)."""
    provider_options: Mapping[str, Any]
    """Options that only one provider has, such as `device`; that provider checks them."""


class Options(Common, total=False):
    """All options but `model`: `def make(**options: Unpack[Options])` is checked as `Embedder` is."""

    dimensions: int | None
    """Dimensions of the vectors; None: the model's own. Where the API cannot give fewer, vectors are reduced to their
    first numbers and brought to unit length; `ConfigurationError` where the model supports neither."""
    normalize: bool | None
    """Unit-length output; None: as the model gives it."""
    query_prefix: str | None
    """Put before queries; None: what the model needs, "" for nothing."""
    document_prefix: str | None
    """Put before documents; None: what the model needs, "" for nothing."""
    batch_size: int | None
    """Most texts in one request; None: the provider's own limit, which holds in any case."""
    max_retries: int
    """Attempts after the first, for each request. While other requests are let through, a 429 does not count, up to
    four times as often. The SDKs' own retries are off."""
    timeout: float
    """Seconds for one whole request, its answer included."""
    api_key: str | SecretStr | None
    """None: the provider's usual environment variable; an empty key is refused. A provider that asks no server warns
    of one."""
    base_url: str | None
    """The address that the official SDK would take; None: the provider's own, or its environment variable."""
    show_progress: bool
    """Draw a progress bar on stderr."""
