"""What several stand-ins say of their originals' keywords, and the options of ours that each of them takes beside."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import Field, SecretStr

from embedbridge.errors import ConfigurationError
from embedbridge.keywords import Common

__all__ = [
    "CLIENT",
    "Ours",
    "check_float",
    "environment",
    "of_keyword",
    "secret",
    "too_long",
]

CLIENT = (
    "requests go through a client of embedbridge's own, which bounds answers and follows no redirect; "
    "use base_url, timeout, and provider_options={'verify': 'ca.pem', 'proxy': 'http://…', 'cert': 'client.pem', "
    "'http2': True}, of which each is optional"
)
POLICIES = {"END": "truncate", "NONE": "error", True: "truncate", False: "error", None: None}


class Ours(Common, total=False):
    """The options that no original has too; the others stand in each constructor."""

    query_prefix: str | None
    """Put before queries; left out: what the original puts there; None: what the model needs; "" for nothing."""
    document_prefix: str | None
    """Put before documents; left out: what the original puts there; None: what the model needs; "" for nothing."""


@contextmanager
def of_keyword(name: str) -> Iterator[None]:
    """Has an error begin with the name of the keyword that it is about."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def environment(*variables: str, default: str | None = None) -> Callable[[], Any]:
    """A default that the original takes from the first of these variables that is set."""
    return lambda: next((value for name in variables if (value := os.environ.get(name))), default)


def secret(*variables: str) -> Any:
    """A field for a key, which is in no dump and no repr; its default is `environment`."""
    found = environment(*variables)

    def default() -> SecretStr | None:
        return SecretStr(value) if (value := found()) else None

    return Field(default_factory=default, exclude=True, repr=False)


def too_long(keyword: str, truncation: Any) -> str | None:
    """Our option for `truncate` or `truncation`. Raises `ConfigurationError` for what cannot be had."""
    if not isinstance(truncation, bool | str | None) or truncation not in POLICIES:
        raise ConfigurationError(
            f"{keyword}={truncation!r}: a text is cut at its end or not at all; write 'END' (True) or 'NONE' (False)"
        )
    return POLICIES[truncation]


def check_float(keyword: str, kinds: Collection[str] | str | None) -> None:
    """Raise `ConfigurationError` for other kinds of numbers than float."""
    if kinds is not None and ([kinds] if isinstance(kinds, str) else list(kinds)) != ["float"]:
        raise ConfigurationError(f"{keyword}: vectors are of float32; for smaller ones see embedbridge.quantization")
