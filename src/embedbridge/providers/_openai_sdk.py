"""What decides what OpenAI's SDK sends besides texts: options, and the environment, which it would read by itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, SecretStr

from embedbridge.errors import ConfigurationError

from ._headers import GatewayOptions
from ._key_functions import KeyFunction
from ._request_options import RequestOptions

AMBIENT_HEADERS = "OPENAI_CUSTOM_HEADERS"
"""The SDK's variable for headers, one per line."""


class OpenAIOptions(GatewayOptions, RequestOptions):
    """What only OpenAI's API and its copies know."""

    unset_if_empty = frozenset({"organization", "project"})
    aside = frozenset({"user", "organization", "project", "api_key_provider"})

    api_key_provider: KeyFunction | None = None
    """A function in place of `api_key`, asked for every request; of an async one, calls in threads get an error."""
    organization: str | None = None
    """None or "": OPENAI_ORG_ID."""
    project: str | None = None
    """None or "": OPENAI_PROJECT_ID."""
    user: str | None = None
    """Identifies the end user to OpenAI."""
    text_tokens: int | None = Field(default=None, ge=1)
    """Tokens that are read of one text, counted by OpenAI's tokenizer; None: as the catalogue or the server says."""
    default_headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Sent with every request, for a gateway in front; besides those of OPENAI_CUSTOM_HEADERS, which they replace."""


def ambient_headers() -> dict[str, str]:
    """The headers that the SDK takes from the environment."""
    lines = (line.partition(":") for line in _ambient_lines())
    return {name.strip(): value.strip() for name, colon, value in lines if colon}


def check_ambient_headers() -> None:
    """Raise `ConfigurationError` for a line of the environment that the SDK would leave out: it names no header."""
    for number, line in enumerate(_ambient_lines(), 1):
        name, colon, _ = line.partition(":")
        if line.strip() and not (colon and name.strip()):
            raise ConfigurationError(
                f"{AMBIENT_HEADERS}: line {number} is no header; write 'Name: value', one per line"
            )


def _ambient_lines() -> list[str]:
    return os.environ.get(AMBIENT_HEADERS, "").split("\n")


def whatever_the_environment(
    headers: Mapping[str, str], credential: Mapping[str, str], omitted: Iterable[str] = ()
) -> dict[str, Any]:
    """What makes the SDK send these headers and no others, even if the environment of now names some.

    Args:
        headers: of the user.
        credential: the header that the SDK makes of the key, its name in small letters.
        omitted: names of more headers that are not to be sent.
    """
    from openai import Omit

    wanted = {**credential, **{name.lower(): value for name, value in headers.items()}}
    found: dict[str, Any] = {name: wanted.get(name.lower(), Omit()) for name in (*ambient_headers(), *omitted)}
    taken = {name.lower() for name in found}
    return found | {name: value for name, value in headers.items() if name.lower() not in taken}


def settled(client: Any) -> Any:
    """The client, told its platform, for which it would ask the loop's own executor, which may be full."""
    client._platform = client.platform_headers()["X-Stainless-OS"]  # noqa: SLF001
    return client
