"""What both frameworks' classes for OpenAI hand to `embeddings.create` of its SDK, in our options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from embedbridge.catalogue import find_host
from embedbridge.errors import ConfigurationError
from embedbridge.options import LONGEST

__all__ = ["CREATE", "NO_ROLES", "merged", "request_options", "whole_seconds"]

CREATE = {
    "user": "user",
    "encoding_format": "encoding_format",
    "extra_headers": "default_headers",
    "extra_query": "query",
}
"""Keyword of `create` → option of the provider. `extra_body`, and what is no keyword, are fields of the body."""
NO_ROLES: Mapping[str, Any] = {"query_prefix": "", "document_prefix": ""}
"""The originals tell no model the role of a text."""


def request_options(fields: Mapping[str, Any], url: str | None, **own: Any) -> dict[str, Any]:
    """Options for a request's fields, and `own` options of the provider under them.

    At a `url` that is known to take fields for roles it is told none, as by the originals.
    """
    given = dict(fields)
    body = {**given, **(given.pop("extra_body", None) or {})}
    body.pop("extra_body", None)
    host = find_host(url or os.environ.get("OPENAI_BASE_URL") or "")
    provider: dict[str, Any] = ({"role_body": {}} if host else {}) | own
    for keyword, option in CREATE.items():
        if keyword in body:
            provider[option] = merged(provider.get(option), body.pop(keyword))
    found = {name: body.pop(name) for name in ("dimensions", "timeout") if name in body}
    if "timeout" in found:
        found["timeout"] = whole_seconds(found["timeout"])
    return found | {"provider_options": provider | ({"body": body} if body else {})}


def merged(below: Any, above: Any) -> Any:
    """Headers and parameters of the client, with those of a request over them; any other value replaces the former."""
    return {**below, **above} if isinstance(below, Mapping) and isinstance(above, Mapping) else above


def whole_seconds(timeout: Any) -> float | None:
    """Seconds for a whole request, of a number, of httpx's tuple, or of its `Timeout`: the longest of its steps.

    Raises `ConfigurationError` for anything else.
    """
    if timeout is None or (isinstance(timeout, int | float) and not isinstance(timeout, bool)):
        return timeout
    steps = timeout if isinstance(timeout, tuple | list) else list(getattr(timeout, "as_dict", dict)().values())
    if not steps or not all(step is None or isinstance(step, int | float) for step in steps):
        raise ConfigurationError("write seconds, a tuple of seconds, or an httpx.Timeout")
    return float(max(LONGEST if step is None else step for step in steps))
