"""Names under which credentials travel: of headers, and of fields and parameters, where none may stand."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from embedbridge.errors import ConfigurationError

from ._tables import words

CREDENTIAL_HEADERS = frozenset(words("headers", "credentials"))
"""Names of headers that say who asks and choose no model. An exact list: any other header is named by the user."""
FIELDS = CREDENTIAL_HEADERS.union(words("fields", "credentials"))
"""Names of fields and parameters that hold credentials, exactly, in small letters and with `-` for `_`."""
PARAMETERS = FIELDS | {"code"}
"""The same for an address's query, where Azure's functions have their key as `code`."""
SCHEMES = ("bearer ", "basic ")
"""Beginnings of a value that is a credential, whatever its name is."""
MOST_DEPTH = 40
"""What is nested more deeply no option takes."""


def refuse_credentials(options: Mapping[str, Any], secrets: Collection[str], known: Collection[str]) -> None:
    """Raise `ConfigurationError` for a credential in an option that is stored and shown, without its value.

    Args:
        options: of a provider, by name.
        secrets: those that are declared as secrets.
        known: all that the provider has.
    """
    groups = {name: value for name, value in options.items() if isinstance(value, Mapping) and name not in secrets}
    if isinstance(roles := groups.pop("role_body", None), Mapping):
        groups |= {f"role_body.{role}": fields for role, fields in roles.items()}
    header = next((name for name in ("default_headers", "headers") if name in known), "")
    instead = "api_key=…" + f", or in a header: provider_options={{{header!r}: {{…}}}}" * bool(header)
    for group, fields in groups.items():
        where = place_of_credential(fields, PARAMETERS if group == "query" else FIELDS)
        if where is not None:
            raise ConfigurationError(
                f"provider_options: {group}: {where!r} is a credential by its name or its value, and what stands there "
                f"is stored and shown; pass it as {instead}"
            )


def place_of_credential(value: Any, names: Collection[str] = FIELDS) -> str | None:
    """Where data hold a credential, at any depth: by its name, its scheme, or because it is declared as a secret."""
    for where, name, part in everything_in(value):
        named = name.strip().lower().replace("_", "-") in names and part is not None and not isinstance(part, bool)
        schemed = isinstance(part, str) and part.lstrip().lower().startswith(SCHEMES)
        if named or schemed or isinstance(part, SecretStr):
            return where or "the value"
    return None


def everything_in(value: Any, where: str = "", name: str = "", depth: int = 0) -> Iterator[tuple[str, str, Any]]:
    """A value and all that is nested in it: the place as `fields.parts[0]`, the name ("" in a list), and what it is."""
    yield where, name, value
    if depth == MOST_DEPTH:
        return
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from everything_in(part, f"{where}.{key}".removeprefix("."), str(key), depth + 1)
    elif isinstance(value, list | tuple):
        for at, part in enumerate(value):
            yield from everything_in(part, f"{where}[{at}]", "", depth + 1)
