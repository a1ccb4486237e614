"""Headers for a gateway in front of an API: checked at construction, and hashed where they choose the model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256

from pydantic import Field

from embedbridge.core.errors import ConfigurationError

from .transport import TransportOptions

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?|")
_ROUTES = re.compile(r"model|deployment|provider|rout(e|ing)|upstream|backend|target|config", re.IGNORECASE)
_SECRET = re.compile(
    r"(?<![a-z])(auth[a-z]*|(api|access)?key|token|secret|cookie|pass[a-z]*|credentials?|signature)(?![a-z])"
)


class GatewayOptions(TransportOptions):
    """For APIs that a gateway may stand in front of."""

    routing_headers: list[str] = Field(default_factory=list)
    """Headers, besides those whose names say so (`x-model`, `x-provider` …), by which a gateway chooses the model: part
    of every cache key, as a hash."""


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `ConfigurationError`, without the value, for a header that HTTP cannot carry."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            told = f"the header {name!r}" if _NAME.fullmatch(name) else "a header's name"
            raise ConfigurationError(f"{told} holds line breaks, outer blanks or letters that HTTP cannot carry")


def routing(headers: Mapping[str, str], named: Collection[str]) -> Iterator[str]:
    """`name=hash` for each header by which a gateway chooses the model: a hash, because it may hold a key."""
    chosen, lowered = {name.lower() for name in named}, {name.lower(): value for name, value in headers.items()}
    for name in chosen - set(lowered):
        raise ConfigurationError(f"routing_headers names {name!r}, which is not among the headers that are sent")
    for name, value in sorted(lowered.items()):
        if name in chosen or (_ROUTES.search(name) and not _SECRET.search(name)):
            yield f"{name}={sha256(value.encode()).hexdigest()[:16]}"
