"""What an embedder is made of: its options turned into a provider, a cache, limits and drivers."""

from __future__ import annotations

import time
from concurrent.futures import wait
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from embedbridge._core.finish import Finish, plan_width
from embedbridge._core.model_names import ModelNames
from embedbridge._core.seams import Throttle
from embedbridge._core.types import INPUT_TYPES, Identity
from embedbridge._core.words import short_name
from embedbridge._threads.background import in_background
from embedbridge._threads.imports import importing
from embedbridge._threads.telling import warn
from embedbridge.catalogue import ModelCard, cards, look_up
from embedbridge.errors import EMPTY, ConfigurationError, DeadlineExceededError
from embedbridge.observers import Emitter, log_event
from embedbridge.options import EmbedderOptions
from embedbridge.providers import BaseProvider, ProviderConfig, canonical_name, provider_class

from .pool import Member, make_members, pool_identity, renamed
from .roles import find_route, take_task
from .throttle import adapt

if TYPE_CHECKING:
    from embedbridge.cache.base import Cache


@dataclass(frozen=True, slots=True)
class Parts:
    """All that is made at construction, before anything is opened or sent."""

    options: EmbedderOptions
    provider: BaseProvider
    card: ModelCard | None
    task: str | None
    """An instruction in words, for models that take one."""
    finish: Finish
    cache: Cache | None
    throttle: Throttle | None
    emit: Emitter
    names: ModelNames
    """What model an answer may name."""
    accept_zeros: bool
    members: tuple[Member, ...] = ()
    """The endpoints of a pool, the first of which `provider` asks; none where there is only one."""

    @property
    def identity(self) -> Identity:
        """What cache keys name: a pool has a name of its own."""
        return pool_identity(self.options, self.members) if self.members else self.provider.identity

    def full_width(self) -> tuple[Identity, int] | None:
        """As `BaseProvider.full_width`, by the name of the pool."""
        full = None if self.finish.raw else self.provider.full_width()
        return full if full is None else (renamed(full[0], self.provider.identity, self.identity), full[1])

    def providers(self) -> tuple[BaseProvider, ...]:
        """All that may be asked."""
        return tuple(each.provider for each in self.members) or (self.provider,)


def make_parts(options: EmbedderOptions) -> Parts:
    """Turn options into parts. Raises `ConfigurationError` for options that cannot work."""
    name, _, model = options.model.partition(":")
    provider_name = canonical_name(name)
    kind, card = provider_class(provider_name), look_up(provider_name, model)
    may_bill = bool(kind.key_variables) if kind.may_bill is None else kind.may_bill
    if options.max_cost is not None and may_bill and (card is None or card.price is None):
        raise ConfigurationError(
            f"max_cost: the price of {options.model} is not known, so no limit can be kept; leave it out"
        )
    if not kind.asks_server and options.base_url is not None:
        raise ConfigurationError(
            f"base_url: {short_name(provider_name)!r} asks no server; leave it out, or name another provider"
        )
    if options.api_key is not None and not options.api_key.get_secret_value().strip():
        default = f"; its default is {' or '.join(kind.key_variables)}" if kind.key_variables else ""
        raise ConfigurationError(f"api_key: {EMPTY.format('the key')}{default}")
    if not kind.asks_server and options.api_key is not None:
        warn(f"api_key has no effect: {short_name(provider_name)!r} asks no server; leave it out", stacklevel=4)
    own = dict(options.provider_options)  # of which `OF_ALL` are taken out
    accepted, accept_zeros = _accepted(own.pop("accept_model", ())), _take_switch(own, "accept_zeros")
    force, task = _take_switch(own, "force_dimensions"), take_task(own, kind, card, options)
    emit = Emitter([log_event, *_progress(options), *options.observers])
    config = ProviderConfig(
        model=model,
        card=card,
        api_key=options.api_key,
        base_url=options.base_url,
        too_long=options.too_long,
        options=own,
        notify=emit,
    )
    plan = partial(_plan, kind, options=options, force=force)
    members = make_members(kind, options, config, plan) if options.endpoints else ()
    provider, finish = (members[0].provider, members[0].finish) if members else plan(config)
    with importing():
        from embedbridge.cache import open_cache

    cache = open_cache(options.cache, ttl=options.cache_ttl, size_limit=options.cache_size_limit)
    if cache is None and options.batch != "pay":
        told = "what is on its way is known beside the cache that it comes to: leave cache=False out"
        raise ConfigurationError(f"batch={options.batch!r}: {told}")
    throttle, names = adapt(options.rate_limiter), _model_names(provider, card, accepted)
    pooled = members if len(members) > 1 else ()
    parts = Parts(options, provider, card, task, finish, cache, throttle, emit, names, accept_zeros, pooled)
    if not provider.prefix_with_wire_type:
        for role in INPUT_TYPES:
            find_route(parts, role, saved={})  # a prefix that the API cannot be given is refused now, not in a call
    return parts


def resolve_in_time(parts: Parts, deadline: float | None) -> None:
    """Have known what a call needs to know of its model, which may have to be downloaded.

    Raises `DeadlineExceededError` when that takes longer; it goes on for later calls.
    """
    provider = parts.provider
    if provider.known_offline or deadline is None:
        provider.resolve()
        return
    resolving = in_background(provider.resolve)
    wait((resolving,), max(0.0, deadline - time.monotonic()))
    if not resolving.done():
        raise DeadlineExceededError(f"{parts.options.model}: the deadline passed while {provider.doing}")
    resolving.result()


def _model_names(provider: BaseProvider, card: ModelCard | None, accepted: frozenset[str] | None) -> ModelNames:
    """What model an answer may name. Azure's bear a deployment's name, which says nothing."""
    if provider.name == "azure":
        return ModelNames()
    ours = {provider.model, *((card.name, *card.aliases) if card else ())}
    names = {name for each in cards(card.provider) for name in (each.name, *each.aliases)} if card else set()
    others = names - ours
    siblings = frozenset(others | {name.removesuffix(":latest") for name in others})  # as Ollama's users call them
    return ModelNames(ours, siblings, accepted)


def _take_switch(own: dict[str, Any], name: str) -> bool:
    """Take an option that is on or off out of the provider's own: "false" is neither."""
    given = own.pop(name, False)
    if not isinstance(given, bool):
        raise ConfigurationError(f"provider_options: {name} is True or False")
    return given


def _accepted(given: object) -> frozenset[str] | None:
    """Names of models that answers may have, by `provider_options["accept_model"]`; None: any."""
    names = [given] if isinstance(given, str) else given
    if given is True:
        return None
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError("provider_options: accept_model is a model's name, a list of names, or True for any")
    return frozenset(names)


def _plan(
    kind: type[BaseProvider], config: ProviderConfig, options: EmbedderOptions, *, force: bool
) -> tuple[BaseProvider, Finish]:
    """The provider, and the steps after it that narrow its vectors."""
    card, provider = config.card, kind(config)
    width = plan_width(
        options.dimensions,
        native=provider.width(),
        by_api=provider.reduces_itself,
        trained=card.reductions if card else provider.reductions(),
        model=options.model,
        force=force,
    )
    if width.asked is not None:
        provider = kind(replace(config, dimensions=width.asked))
    reduction = None
    if options.reduction is not None:
        from embedbridge.reduction import PCA

        reduction = PCA.load(options.reduction)
    narrowed = width.asked is not None and card is not None and card.renormalize
    return provider, Finish(width.cut, reduction, options.normalize, narrowed)


def _progress(options: EmbedderOptions) -> list[Any]:
    if not options.show_progress:
        return []
    from embedbridge.observers.progress import ProgressBar

    return [ProgressBar()]
