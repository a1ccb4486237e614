"""A stand-in's keywords without what is secret in them: for texts, dumps, stored data and pickles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pydantic import SecretStr

from embedbridge._secrets import CREDENTIALS

__all__ = ["Hide", "without_secrets"]

Hide: TypeAlias = Callable[[str, str], Any]
"""What stands in place of a header, by name and value, or of another secret, by no name; None: it is left out."""
HEADERS = {"headers", "default_headers", "extra_headers", "additional_headers"}
"""Keywords, and keys inside of keywords, whose values may be secrets."""
CLIENT_ARGUMENTS = {"client_kwargs", "sync_client_kwargs", "async_client_kwargs", "client_args", "async_client_args"}
"""The same, whose values are arguments of an HTTP client."""
OPEN = {"timeout", "verify", "proxy", "http2", "trust_env", "follow_redirects"}
"""Those of them that hold no secret but a proxy's user. Any other may be one, or hold one."""


def without_secrets(value: Any, hide: Hide, name: str = "") -> Any:
    """A keyword's value: no key, no credentials, no user in an address, and what `hide` makes of headers and passwords.

    Args:
        value: of the keyword, or of a part of it.
        hide: for what may be secret.
        name: of the keyword or the part.
    """
    if isinstance(value, SecretStr) or name.endswith("api_key") or name == "credentials":
        return None
    if value is not None and name in HEADERS:
        given = value if isinstance(value, Mapping) else {name: value}
        return {key: shown for key, part in given.items() if (shown := hide(key, _bare(part))) is not None}
    if isinstance(value, Mapping):
        part_of = _of_client if name in CLIENT_ARGUMENTS else without_secrets
        shown = {key: part_of(part, hide, str(key)) for key, part in value.items()}
        return {key: part for key, part in shown.items() if part is not None or part_of is without_secrets}
    if isinstance(value, list | tuple):
        return type(value)(without_secrets(part, hide) for part in value)
    return CREDENTIALS.sub("", value) if isinstance(value, str) else value


def _of_client(value: Any, hide: Hide, name: str) -> Any:
    """An argument of an HTTP client."""
    if value is None or name in OPEN or name in HEADERS:
        return without_secrets(value, hide, name)
    if name == "cert":  # paths, and the password of the key
        *paths, password = value if isinstance(value, list | tuple) and len(value) > 2 else (value, None)
        hidden = hide("", _bare(password)) if password else None
        return value if not password else None if hidden is None else (*paths, hidden)
    return hide("", _bare(value))


def _bare(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
