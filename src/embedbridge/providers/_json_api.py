"""An API without an SDK of its own: JSON is posted by the HTTP library, with headers for a gateway in front."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import Field, SecretStr

from embedbridge._core.servers import Inquiry

from ._headers import GatewayOptions
from .hosted import HostedProvider

NONE: Mapping[str, str] = MappingProxyType({})


class JsonApiOptions(GatewayOptions):
    """For APIs that a gateway may stand in front of, of which the user says what it wants."""

    default_headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Sent with every request, for a gateway in front."""


class JsonApiProvider(HostedProvider):
    """Subclasses say where to post, and what."""

    package = "httpx2"
    options_type = JsonApiOptions

    def choose_key(self) -> SecretStr | None:
        """None where the user gives the header that the key is sent in."""
        given = self.key_header in map(str.lower, self.options.default_headers)
        return self.config.api_key if given else super().choose_key()

    def headers(self) -> dict[str, str]:
        """As given."""
        return {name: value.get_secret_value() for name, value in self.options.default_headers.items()}

    def owned_headers(self) -> Collection[str]:
        """Besides, the key's."""
        return {*super().owned_headers(), *((self.key_header,) if self.key else ())}

    def post(
        self, client: Any, path: str, own: Mapping[str, Any], *added: Mapping[str, Any], query: Mapping[str, str] = NONE
    ) -> Any:
        """Post a request.

        Args:
            client: the HTTP library's.
            path: below the provider's address.
            own: fields that the API has; those that are None are left out.
            added: fields besides.
            query: parameters of the address.
        """
        body = {name: value for name, value in own.items() if value is not None}
        for fields in added:
            body |= fields
        url = f"{self.address().rstrip('/')}/{path}"
        return client.post(url, json=body, headers=self._sent(), params=query or None)

    def send_inquiry(self, client: Any, inquiry: Inquiry) -> Any:
        """By the same client, with the same credentials."""
        return client.request(inquiry.method, inquiry.url, json=inquiry.body, headers=self._sent())

    def _sent(self) -> dict[str, str]:
        """All headers. A user and a password of the address are sent in the place of a key."""
        key = {} if self.key is None or self._sends_user() else {"authorization": f"Bearer {self.secret()}"}
        return self.headers() | key
