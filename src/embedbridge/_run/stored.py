"""An embedder as plain data: what an ingestion cache files vectors under, and what makes the same embedder again.

Two embedders that may ask otherwise have different data; what changes no vector is not in it, and neither is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from embedbridge._core.types import InputType
from embedbridge.errors import ConfigurationError
from embedbridge.options import EmbedderOptions

from .roles import find_route

if TYPE_CHECKING:
    from embedbridge.embedder import Embedder

    from .parts import Parts

FINGERPRINT = "fingerprint"
"""The place of the space's fingerprint, which says of what cannot be stored, such as headers, that it is the same."""


def as_data(embedder: Embedder) -> dict[str, Any]:
    """Options that decide a vector, as they were resolved, and the fingerprint of the vector space."""
    parts, space = embedder._parts, embedder.space  # noqa: SLF001 - our own
    options, provider = parts.options, parts.provider
    _, _, model = options.model.partition(":")
    found: dict[str, Any] = {
        "model": f"{provider.name}:{model}",
        "dimensions": space.dimensions,
        "reduction": str(options.reduction) if options.reduction else None,
        "normalize": options.normalize,
        "query_prefix": _prefix(parts, "query"),
        "document_prefix": _prefix(parts, "document"),
        "too_long": options.too_long if options.too_long != "truncate" else None,
        "empty": options.empty if options.empty != "error" else None,
        "base_url": space.endpoint or None,
        "provider_options": {
            **provider.stored_options(),
            **({"task": parts.task} if parts.task else {}),
            **({"force_dimensions": True} if options.provider_options.get("force_dimensions") else {}),
        }
        or None,
    }
    return {name: value for name, value in found.items() if value is not None} | {FINGERPRINT: space.fingerprint}


def check_made(embedder: Embedder, data: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` unless an embedder is the one that `as_data` told of."""
    expected = data.get(FINGERPRINT)
    if expected is not None and embedder.space.fingerprint != expected:
        raise ConfigurationError(
            f"{embedder.options.model}: what was stored does not make the same embedder again. Headers that are not "
            "named in routing_headers are not stored, because they may be secrets: give them as "
            "provider_options={…}; endpoints= are not stored either, and the first of them, or base_url=, names their "
            "space; and look at the environment's variables, a changed reduction's file, and the release"
        )


def _prefix(parts: Parts, role: InputType) -> str | None:
    """The prefix that the user sets for a role, where it is another than without it."""
    name = f"{role}_prefix"
    own = getattr(parts.options, name)
    if own is None:
        return None
    without = EmbedderOptions(**parts.options.shared() | {name: None})
    usual = find_route(replace(parts, options=without), role, saved=parts.provider.prompts())
    return None if usual.prefix == own else own
