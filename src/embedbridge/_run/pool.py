"""The endpoints of a pool, made of its options: a provider for each, its limits, its name, and the name of the pool."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from embedbridge._core.endpoints import Breaker, Endpoint, Pool
from embedbridge._core.finish import Finish
from embedbridge._core.learnt import Learnt
from embedbridge._core.limits import Limiter
from embedbridge._core.proof import mark_of
from embedbridge._core.types import INPUT_TYPES, Identity, Limits
from embedbridge._threads.gate import Gate
from embedbridge.errors import ConfigurationError
from embedbridge.options import EmbedderOptions, EndpointOptions
from embedbridge.providers import BaseProvider, ProviderConfig
from embedbridge.providers._urls import endpoint as shown

if TYPE_CHECKING:
    from embedbridge.providers.hosted import HostedProvider

AZURE = ("api_version", "deployment")
"""Fields of an endpoint that only Azure has."""
REGIONS = {"bedrock": "region", "vertex": "location"}
"""Provider → its option for the region."""
PLACES = ("api-version=", "deployment=")
"""Details of an identity that say where a model is asked for, and not which one."""
PREFIX = "pool of "


@dataclass(frozen=True, slots=True)
class Member:
    """One endpoint of a pool, as it was declared."""

    name: str
    """As it may be shown; unlike the names of the others."""
    own: EndpointOptions
    provider: HostedProvider
    finish: Finish


def make_members(
    kind: type[BaseProvider],
    options: EmbedderOptions,
    config: ProviderConfig,
    plan: Callable[[ProviderConfig], tuple[BaseProvider, Finish]],
) -> tuple[Member, ...]:
    """A provider for each endpoint. Raises `ConfigurationError`, with the place of the entry."""
    from embedbridge.providers.hosted import HostedProvider

    made: list[tuple[EndpointOptions, HostedProvider, Finish]] = []
    entries = options.endpoints or ()
    if options.batch != "pay" and len(entries) > 1:
        raise ConfigurationError(f"batch={options.batch!r}: {NO_BATCHES}")
    for place, own in enumerate(entries):
        try:
            provider, finish = plan(config_of(own, kind, config, alone=len(entries) == 1))
        except ConfigurationError as error:
            raise ConfigurationError(f"endpoints: entry {place}: {error}") from error
        if not isinstance(provider, HostedProvider):
            raise ConfigurationError(f"endpoints: {provider.name!r} asks no server that could be asked in other places")
        first = made[0] if made else (own, provider, finish)
        narrows = finish.cut, finish.narrowed, provider.config.dimensions
        if narrows != (first[2].cut, first[2].narrowed, first[1].config.dimensions):
            raise ConfigurationError(
                f"endpoints: entry {place} does not make vectors of {options.dimensions} dimensions as entry 0 does; "
                "leave dimensions= out, or one of the two"
            )
        if _roles(provider) != _roles(first[1]):
            raise ConfigurationError(
                f"endpoints: entry {place} is told the roles of texts by other fields than entry 0; say in "
                "provider_options={'role_body': {…}} how both are told"
            )
        if (same := _first_of_same_quota([(each[0], each[1]) for each in made], own, provider)) is not None:
            raise ConfigurationError(
                f"endpoints: entry {place} has the address and the key of entry {same}, so what one may send would be "
                "counted twice; leave one of them out"
            )
        made.append((own, provider, finish))
    names = _names([_address(provider) for _, provider, _ in made])
    return tuple(Member(name, *each) for name, each in zip(names, made, strict=True))


def _first_of_same_quota(
    made: Sequence[tuple[EndpointOptions, HostedProvider]], own: EndpointOptions, provider: HostedProvider
) -> int | None:
    """The place of an entry that a server does not tell from this one, whatever weight and limits they have here."""

    def quota(own: EndpointOptions, provider: HostedProvider) -> tuple[Any, ...]:
        return shown(provider.address()), provider.secret(), own.headers, own.deployment, own.region

    same = (at for at, each in enumerate(made) if quota(*each) == quota(own, provider))
    return next(same, None)


NO_BATCHES = (
    "a pool has no batch API; hand texts over with an embedder of one endpoint: the pool finds its vectors in the cache"
)


def config_of(own: EndpointOptions, kind: type[BaseProvider], config: ProviderConfig, *, alone: bool) -> ProviderConfig:
    """What the provider of one endpoint is made with. `alone`: there is no other, so nothing of it has to be proved."""
    given: dict[str, Any] = dict(config.options)
    azures = [field for field in AZURE if getattr(own, field) is not None]
    if azures and kind.name not in {"openai", "azure"}:
        raise ConfigurationError(f"{azures[0]} is of Azure alone, and not of {kind.name!r}")
    if own.region is not None and kind.name not in REGIONS:
        raise ConfigurationError(f"region is of {' and '.join(REGIONS)} alone, and not of {kind.name!r}")
    fields = {"api_version": own.api_version, "azure_deployment": own.deployment, REGIONS.get(kind.name): own.region}
    given |= {str(option): value for option, value in fields.items() if value is not None}
    other = bool(azures) and kind.name == "openai"  # Azure's, to which OpenAI's key is not sent
    if other:
        given["azure_endpoint"] = own.base_url or config.base_url
    elif own.base_url is not None:
        given.pop("azure_endpoint", None)
    if own.headers:
        given |= _with_headers(own, kind, given, alone=alone)
    key = own.key() or (None if other else config.api_key)
    return replace(config, api_key=key, base_url=own.base_url or config.base_url, options=given)


def _with_headers(
    own: EndpointOptions, kind: type[BaseProvider], given: dict[str, Any], *, alone: bool
) -> dict[str, Any]:
    """The options that have an endpoint's headers sent. In a pool they decide nothing: what they choose is proved."""
    option = getattr(kind, "headers_option", "")
    if option not in kind.options_type.model_fields:
        raise ConfigurationError(f"headers: {kind.name!r} takes none")
    found: dict[str, Any] = {option: {**given.get(option, {}), **own.headers}}
    if not alone and "credential_headers" in kind.options_type.model_fields:
        silent = {*given.get("credential_headers", ()), *own.headers} - set(given.get("routing_headers", ()))
        found["credential_headers"] = sorted(silent)
    return found


def pool_identity(options: EmbedderOptions, members: Sequence[Member]) -> Identity:
    """What cache keys of a pool name. Where all endpoints have one identity, as keys of one address do, it is that.

    Else the pool has a name in place of an address: that of `base_url`, or of the first endpoint. So its entries are
    never taken for those of a single endpoint, which need not be the reference.
    """
    identities = [each.provider.identity for each in members]
    if all(each == identities[0] for each in identities):
        return identities[0]
    details = tuple(part for part in identities[0].details if not part.startswith(PLACES))
    return replace(identities[0], endpoint=PREFIX + pool_name(options, members), details=details)


def pool_name(options: EmbedderOptions, members: Sequence[Member]) -> str:
    """The address that the pool is named by."""
    return shown(options.base_url) if options.base_url else _address(members[0].provider)


def renamed(identity: Identity, before: Identity, after: Identity) -> Identity:
    """Another identity of a provider, by the name of its pool."""
    if before == after:
        return identity
    details = tuple(part for part in identity.details if not part.startswith(PLACES))
    return replace(identity, endpoint=after.endpoint, details=details)


def limits_of(members: Sequence[Member]) -> Limits:
    """What every endpoint takes in a request, and what all take at once."""
    each = [member.provider.limits for member in members]

    def least(name: str) -> int | None:
        known = [value for limits in each if (value := getattr(limits, name)) is not None]
        return min(known, default=None)

    return replace(
        each[0],
        items=min(limits.items for limits in each),
        tokens=least("tokens"),
        size=least("size"),
        concurrency=sum(member.own.max_concurrency or member.provider.limits.concurrency for member in members),
        guessed=any(limits.guessed for limits in each),
    )


def make_pool(options: EmbedderOptions, members: Sequence[Member], wires: tuple[str | None, ...]) -> Pool:
    """What a call knows of the endpoints."""
    limited = options.requests_per_minute is not None or options.tokens_per_minute is not None
    return with_gates(Pool(tuple(map(_endpoint, members)), wires, limited), members)


def with_gates(pool: Pool, members: Sequence[Member]) -> Pool:
    """A pool whose endpoints have no more requests under way than they may."""
    for endpoint, member in zip(pool.endpoints, members, strict=True):
        endpoint.gate = Gate(member.own.max_concurrency) if member.own.max_concurrency else None
    return pool


def _endpoint(member: Member) -> Endpoint:
    own = member.own
    return Endpoint(
        make_limiter(own.requests_per_minute, own.tokens_per_minute),
        Learnt(),
        Breaker(time.monotonic),
        member.name,
        member.provider,
        None,
        own.weight,
        own.max_concurrency or member.provider.limits.concurrency,
        member.provider.identity,
        f"{mark_of(member.provider.secret())} {_address(member.provider)}",
    )


def make_limiter(requests_per_minute: float | None, tokens_per_minute: float | None) -> Limiter:
    """Limits of an endpoint, or of all together."""
    return Limiter(
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        clock=time.monotonic,
        wall=time.time,
    )


def _roles(provider: BaseProvider) -> tuple[str | None, ...]:
    """How the roles are named in requests."""
    return tuple(map(provider.wire_type, INPUT_TYPES))


def _address(provider: HostedProvider) -> str:
    return provider.identity.endpoint or provider.address() or provider.name


def _names(addresses: Sequence[str]) -> list[str]:
    """The addresses, with a number for all but the first of equal ones."""
    seen: Counter[str] = Counter()
    names = []
    for address in addresses:
        seen[address] += 1
        names.append(address if seen[address] == 1 else f"{address} ({seen[address]})")
    return names
