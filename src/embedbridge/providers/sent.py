"""What a request held that an error may quote: its secrets, the names of its fields, and its texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from embedbridge.core.fields import TEXT_FIELDS

DEEPEST = 6
"""Lists and objects inside each other in which texts stand."""
_SECRETLESS = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"}
_SECRETLESS_PREFIXES = ("x-stainless-", "x-fern-", "openai-")
_SHORTEST_SECRET = 6


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """The words in a request's headers that may be secret: all, except in headers known to hold no key or token."""
    return [
        part
        for name, value in headers.items()
        if name.lower() not in _SECRETLESS and not name.lower().startswith(_SECRETLESS_PREFIXES)
        for part in value.split()
        if len(part) >= _SHORTEST_SECRET
    ]


def fields_and_texts(request: Any) -> tuple[list[str], str]:
    """The names that a request's body has, and its texts as `core.said.Said` takes them."""
    try:
        body = json.loads(request.content)
    except (ValueError, RuntimeError):  # no JSON, nested too deeply, or a stream
        return [], ""
    if not isinstance(body, dict):
        return [], ""
    texts = [text for name in TEXT_FIELDS & body.keys() for text in _texts_in(body[name], DEEPEST)]
    return list(body), "\0".join(("", *texts, "")).lower() if texts else ""


def _texts_in(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, list | dict):
        for part in value if isinstance(value, list) else value.values():
            yield from _texts_in(part, depth - 1)
