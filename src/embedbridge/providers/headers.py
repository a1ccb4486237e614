"""Headers for a gateway in front of an API: checked at construction, and hashed into what decides a vector.

A gateway may choose the model by any header, so all that the user adds count, but for credentials: nothing is judged by
what a name resembles.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping
from hashlib import sha256

from pydantic import Field

from embedbridge.core.errors import ConfigurationError

from .credentials import HEADERS
from .transport import TransportOptions

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?|")


class GatewayOptions(TransportOptions):
    """For APIs that a gateway may stand in front of."""

    aside = frozenset({"routing_headers", "credential_headers"})

    routing_headers: list[str] = Field(default_factory=list)
    """Headers that choose the model and are no secrets: they travel in pickles and in `to_dict`, and count in cache
    keys, also where their name is that of a credential. Other headers count too, and do not travel."""
    credential_headers: list[str] = Field(default_factory=list)
    """Headers that only say who asks, besides `Authorization`, `Cookie`, `Api-Key` and the like: another value finds
    the same vectors in the cache."""


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `ConfigurationError`, without the value, for headers that HTTP cannot carry, or that are given twice."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            told = f"the header {name!r}" if _NAME.fullmatch(name) else "a header's name"
            raise ConfigurationError(f"{told} holds line breaks, outer blanks or letters that HTTP cannot carry")
    names = sorted(name.lower() for name in headers)
    twice = next((name for name, after in itertools.pairwise(names) if name == after), None)
    if twice is not None:
        raise ConfigurationError(f"the header {twice!r} is given twice, in small and capital letters; give one of them")


def deciding(headers: Mapping[str, str], routing: Collection[str], credentials: Collection[str]) -> tuple[str, ...]:
    """`name=hash` for each header that may choose the model: a hash, because it may hold a key.

    Raises `ConfigurationError` for a name of `routing` or `credentials` that is not sent, or is in both.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    routed, silent = ({name.lower() for name in names} for names in (routing, credentials))
    for option, names in (("routing_headers", routed), ("credential_headers", silent)):
        for name in sorted(names - set(lowered)):
            raise ConfigurationError(f"{option} names {name!r}, which is not among the headers that are sent")
    for name in sorted(routed & silent):
        raise ConfigurationError(f"{name!r} stands in routing_headers and in credential_headers; leave it out of one")
    apart = (HEADERS | silent) - routed
    return tuple(
        f"{name}={sha256(value.encode()).hexdigest()[:16]}"
        for name, value in sorted(lowered.items())
        if name not in apart
    )
