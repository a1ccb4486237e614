"""What decides the vectors of a server besides texts: its address, headers, and whatever else a request holds."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from embedbridge._core.types import Identity

from ._credentials import CREDENTIAL_HEADERS
from ._urls import endpoint
from .base import BaseProvider

HARMLESS = {"encoding_format", "single", "api-version", "deployment"}
"""Details that keys of releases before left out and were right all the same: they change no vector, or the key named
them otherwise."""


class ServerIdentity(BaseProvider):
    """The part of a hosted provider that says what its vectors depend on."""

    url: str | None
    """None: the vendor's own."""
    official_url: ClassVar[str] = ""
    """The vendor's own address; it is not part of cache keys."""
    header_details: tuple[str, ...]
    """Of headers that the user adds, those that decide a vector."""
    headers_option: ClassVar[str] = "default_headers"
    """The option that `headers` come from."""

    def find_url(self) -> str | None:
        """Where to send requests.

        Returns:
            None: the vendor's own address.
        """
        return self.config.base_url

    def address(self) -> str:
        """Where requests go.

        Returns:
            `base_url`, or the vendor's own address, without a slash at the end.
        """
        return self.url or self.official_url

    def headers(self) -> dict[str, str]:
        """Headers that the user adds to every request.

        Returns:
            Values by name.
        """
        return {}

    @property
    def identity(self) -> Identity:
        """Besides provider, model and width: the endpoint, headers, and what else is sent that may decide."""
        own = super().identity
        return replace(
            own,
            endpoint=endpoint(self.url) if self.url else "",
            details=(*own.details, *self.header_details, *told(self.details())),
        )

    def details(self) -> dict[str, Any]:
        """What else the request holds that may decide the vector of any text: the one place to list it.

        Returns:
            Values by name.
        """
        return {name: value for name, value in self.asides().items() if self.url and value is not None}

    def asides(self) -> Mapping[str, Any]:
        """Fields that change no vector of the vendor's, as it documents; of another server, nobody knows that.

        Returns:
            Values by name.
        """
        return {}

    def stored_options(self) -> dict[str, Any]:
        """As of every provider; headers that are declared to be no secrets, but for known credentials; and `asides`."""
        own, routing = super().stored_options(), list(getattr(self.options, "routing_headers", ()))
        named = {name.lower() for name in routing} - CREDENTIAL_HEADERS
        headers = {name: value for name, value in self.headers().items() if name.lower() in named}
        own |= {self.headers_option: headers, "routing_headers": routing} if routing else {}
        return own | ServerIdentity.details(self)

    def former_details(self, identity: Identity) -> tuple[tuple[str, ...], bool]:
        """Without `details`, of which releases before named nothing."""
        own = self.details()
        return identity.without(set(told(own))).details, set(own) <= HARMLESS

    @property
    def learns_as(self) -> Hashable:
        """The address, the model, and what else is sent, of long texts too; not how narrow its vectors are to be."""
        own = self.identity.without({f"dimensions={self.config.dimensions}"})
        return replace(own, endpoint=endpoint(self.address()))


def told(details: Mapping[str, Any]) -> Iterator[str]:
    """Details as an identity lists them. Values are written as JSON, so that 1 and "1" differ."""
    for name, value in details.items():
        yield f"{name}={json.dumps(value, sort_keys=True)}"
