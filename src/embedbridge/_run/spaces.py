"""The routes of an embedder's model, and the vector space that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from embedbridge._core.prepare import check_input_type
from embedbridge._core.space import INDEXED, LENGTHS, VectorSpace
from embedbridge._core.types import InputType, Route
from embedbridge.errors import ConfigurationError

from .roles import find_route

if TYPE_CHECKING:
    from .parts import Parts


def route_of(parts: Parts, input_type: InputType) -> Route:
    """How the model of an embedder is told a role."""
    return find_route(parts, check_input_type(input_type), saved=parts.provider.prompts())


def address_of(parts: Parts) -> str:
    """The address in a space. A pool's is that of the endpoint it is named by, which is of the same space."""
    if parts.members and parts.options.base_url:
        from .pool import pool_name

        return pool_name(parts.options, parts.members)
    return parts.provider.identity.endpoint


def space_of(parts: Parts) -> VectorSpace:
    """All that decides the numbers of an embedder's vectors, once its model is known."""
    provider, finish = parts.provider, parts.finish
    identity, headers = provider.identity, frozenset(getattr(provider, "header_details", ()))
    named = frozenset(part for part in provider.former_details(identity)[0] if not part.startswith(LENGTHS))
    routes = {role: route_of(parts, role) for role in INDEXED}
    return VectorSpace(
        provider=identity.provider,
        model=identity.model,
        endpoint=address_of(parts),
        revision=identity.revision,
        details=identity.details,
        dimensions=finish.cut or provider.config.dimensions,
        normalize=parts.options.normalize,
        reduction=finish.reduction.fingerprint if finish.reduction else "",
        too_long=" ".join((parts.options.too_long, *provider.length_asked())),
        routes={
            role: route.prefix + (f" ({route.wire_type})" if route.wire_type else "") for role, route in routes.items()
        },
        former=(named - headers, headers),
    )


def check_same(ours: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` where a copy of an embedder decides vectors by something else than its original."""
    for name, value in expected.items():
        if name in ours and ours[name] != value:
            raise ConfigurationError(
                f"this copy of an embedder would not ask as its original, because its surroundings are others: "
                f"{name} is {ours[name]!r} here and {value!r} there. Have the same environment variables, model "
                "files and reduction in both places, or give as options what the variables say"
            )
