"""Which index of a place is meant."""

from __future__ import annotations

from collections.abc import Sequence

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
