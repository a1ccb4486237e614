"""What all calls of an embedder share, made of its parts at the first one: limits, money, its cache, its endpoints."""

from __future__ import annotations

import fractions  # noqa: F401 - the purse's, here because a fork may come while a thread makes its first call
import time
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy.ma  # noqa: F401 - as fractions: NumPy loads it in the midst of several functions

from embedbridge._core.endpoints import Pool
from embedbridge._core.flights import Flights
from embedbridge._core.keys import width_key
from embedbridge._core.learnt import learnt_of
from embedbridge._core.purse import Purse
from embedbridge._core.retry import Backoff, RetryBudget
from embedbridge._core.seams import OnTheirWay
from embedbridge._core.shared import Shared
from embedbridge._core.space import INDEXED
from embedbridge._core.types import Limits, Report
from embedbridge._core.words import SHORT
from embedbridge._threads.imports import importing
from embedbridge._threads.telling import warn
from embedbridge.errors import ConfigurationError
from embedbridge.options import EmbedderOptions
from embedbridge.providers import canonical_name

from .parts import Parts
from .pool import limits_of, make_limiter, make_pool, with_gates

if TYPE_CHECKING:
    from embedbridge.cache import GuardedStore
    from embedbridge.cache.base import Cache


def make_shared(
    parts: Parts,
    flights: MutableMapping[object, Flights],
    book: Callable[[Report], None],
    parent: Shared | None = None,
) -> Shared:
    """Make what all calls of an embedder share: limits, money, its cache.

    Args:
        parts: of the embedder.
        flights: of each cache, for all embedders that use it.
        book: adds a call's report to the embedder's total.
        parent: in the child of a fork, its parent's: what was spent and learnt is copied, locks are not.
    """
    options, provider, limits = parts.options, parts.provider, _limits(parts)
    shared = Shared(
        identity=parts.identity,
        limits=limits,
        limiter=parent.limiter.inherited() if parent else make_limiter(*_rates(options)),
        backoff=Backoff(retries=options.max_retries),
        budget=RetryBudget(),
        flights=_flights_of(parts.cache, flights),
        store=_store(parts),
        counter=provider.counter,
        policy=options.too_long,
        timeout=options.timeout,
        purse=parent.purse.inherited() if parent else Purse(parts.card.price if parts.card else None, options.max_cost),
        bound=provider.bound,
        billed_by=provider.billed_by,
        clock=time.monotonic,
        emit=parts.emit,
        is_heard=parts.emit.is_heard,
        book=book,
        finish=parts.finish,
        warn=warn,
        throttle=parts.throttle,
        names=parts.names,
        accept_zeros=parts.accept_zeros,
        width=parent.width if parent else provider.width(),
        width_key=width_key(parts.identity) if provider.width() is None else None,
        full_width=parts.full_width(),
        learnt=parent.learnt if parent else learnt_of(None if parts.members else provider.learns_as),
        server=provider.server,
        wall=time.time,
        pool=_pool(parts, parent),
    )
    if options.batch != "pay":
        shared.on_their_way = on_their_way(parts, shared)
    return shared


def _pool(parts: Parts, parent: Shared | None) -> Pool | None:
    if not parts.members:
        return None
    if parent is not None and parent.pool is not None:
        return with_gates(parent.pool.inherited(), parts.members)
    wires = tuple(dict.fromkeys(parts.provider.wire_type(role) for role in INDEXED))
    return make_pool(parts.options, parts.members, wires)


def _rates(options: EmbedderOptions) -> tuple[float | None, float | None]:
    """Requests and tokens a minute, of an only endpoint the lower ones of its own and the embedder's."""
    own = options.endpoints[0] if options.endpoints and len(options.endpoints) == 1 else options
    pairs = (
        (options.requests_per_minute, own.requests_per_minute),
        (options.tokens_per_minute, own.tokens_per_minute),
    )
    requests, tokens = (min((rate for rate in pair if rate is not None), default=None) for pair in pairs)
    return requests, tokens


def on_their_way(parts: Parts, shared: Shared) -> OnTheirWay | None:
    """What a batch API has; None without such an API, or a cache that it could fill."""
    with importing():
        from embedbridge._batch.awaited import Awaited
        from embedbridge._batch.desk import open_desk

    try:
        desk = open_desk(parts.provider, shared, parts.cache, "")
    except ConfigurationError:
        return None
    return Awaited(desk, waits=parts.options.batch == "wait")


def _flights_of(cache: Cache | None, shared: MutableMapping[object, Flights]) -> Flights:
    if cache is None:
        return Flights()
    from embedbridge.cache.base import completed

    return shared.setdefault(completed(cache).location, Flights())


def _store(parts: Parts) -> GuardedStore | None:
    if parts.cache is None:
        return None
    from embedbridge.cache import GuardedStore

    options = parts.options
    return GuardedStore(
        parts.cache, label=_label(options.model), dtype=options.cache_dtype, shared=parts.cache is options.cache
    )


def _label(model: str) -> str:
    """The model's name in the cache's statistics: the same for every alias of its provider."""
    provider, _, name = model.partition(":")
    own = canonical_name(provider)
    return f"{own}:{name.removeprefix(f'{own}/') if own in SHORT else name}"


def _limits(parts: Parts) -> Limits:
    own, options = limits_of(parts.members) if parts.members else parts.provider.limits, parts.options
    ceiling = parts.throttle.ceiling if parts.throttle else None
    tokens = [limit for limit in (own.tokens, options.tokens_per_minute, ceiling) if limit is not None]
    only = options.endpoints[0].max_concurrency if options.endpoints and not parts.members else None
    return replace(
        own,
        items=min(own.items, options.batch_size or own.items),
        tokens=int(min(tokens)) if tokens else None,
        concurrency=options.concurrency or only or own.concurrency,
    )
