"""Which index of a place is meant, and with which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from embedbridge.errors import ConfigurationError


def chosen(name: str | None, there: Sequence[str], shown: str, noun: str) -> str:
    """The index that is asked for; without a name, the only one of the place.

    Args:
        name: as the user says it.
        there: the names of the indexes of the place.
        shown: the place, for messages.
        noun: what the store calls an index.

    Raises:
        ConfigurationError: there is no such index, or there are several and none was named.
    """
    if name in there:
        return str(name)
    if not there:
        raise ConfigurationError(f"{shown} has no {noun}")
    if name is None and len(there) == 1:
        return there[0]
    what = f"{shown} has several {noun}s, so say which" if name is None else f"{shown} has no {noun} {name!r}"
    raise ConfigurationError(f"{what}, as in {shown}#{min(there)}; there are: {', '.join(sorted(there))}")


def taken(kind: str, options: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a store, with their defaults. Raises `ConfigurationError` for those that it does not know."""
    if unknown := sorted(set(options) - set(known)):
        raise ConfigurationError(f"{kind} has no option {unknown[0]!r}; it has: {', '.join(sorted(known)) or 'none'}")
    return {**known, **options}
