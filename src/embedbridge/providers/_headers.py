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

from embedbridge.errors import ConfigurationError

from ._credentials import CREDENTIAL_HEADERS
from ._tables import words
from ._transport import TransportOptions

OF_THE_TRANSPORT = frozenset(words("headers", "transport"))
"""Names of headers by which a client tells how it writes this very request, and reads the answer."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?|")


class GatewayOptions(TransportOptions):
    """For APIs that a gateway may stand in front of."""

    aside = frozenset({"routing_headers", "credential_headers"})

    routing_headers: list[str] = Field(default_factory=list)
    """Headers that choose the model and are no secrets: they travel in pickles and in `to_dict`, and count in cache
    keys. A credential that is named here counts too, but never travels; other headers likewise."""
    credential_headers: list[str] = Field(default_factory=list)
    """Headers that only say who asks, besides `Authorization`, `Cookie`, `Api-Key` and the like: another value finds
    the same vectors in the cache."""


def check_headers(headers: Mapping[str, str], owned: Collection[str] = ()) -> None:
    """Raise `ConfigurationError`, without the value, for headers that would not arrive as they are given.

    HTTP cannot carry them, they are given twice, or what sends the request sets them itself.

    Args:
        headers: of the user.
        owned: names, in small letters, of headers that the SDK or the credentials set.
    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            told = f"the header {name!r}" if _NAME.fullmatch(name) else "a header's name"
            raise ConfigurationError(f"{told} holds line breaks, outer blanks or letters that HTTP cannot carry")
        if name.lower() in OF_THE_TRANSPORT or name.lower() in owned:
            whose = "how the request is written" if name.lower() in OF_THE_TRANSPORT else "what the SDK or the key says"
            raise ConfigurationError(
                f"the header {name!r} tells {whose}, and is set for each request: another value would not arrive, or "
                "would not be true; leave it out"
            )
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
    apart = (CREDENTIAL_HEADERS | silent) - routed
    return tuple(
        f"{name}={sha256(value.encode()).hexdigest()[:16]}"
        for name, value in sorted(lowered.items())
        if name not in apart
    )
