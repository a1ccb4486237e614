"""The JSON of an answer, however it was sent: whole, as events, as a line for each part, or as a string inside JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ._listing import LISTS
from ._refusal import holds_error

_FIELD = re.compile(r"(?:data|event|id|retry)?:")
"""How each line of server-sent events begins."""


def read_document(body: bytes | bytearray) -> Any:
    """An answer's JSON; None when it is not JSON. Of what was sent in parts, one object with the lists joined."""
    # The caller raises, outside of this handler: Python's error holds the whole answer, and must not be chained.
    with suppress(ValueError, RecursionError):
        return unwrapped(json.loads(body))
    return joined_parts(body)


def joined_parts(body: bytes | bytearray) -> Any:
    """What was sent in parts, as one answer; None where it is no JSON at all."""
    parts: list[Any] = []
    with suppress(UnicodeDecodeError):
        parts = [part for part in _events(body.decode("utf-8-sig").lstrip()) if isinstance(part, dict | list) and part]
    errors = [part for part in parts if holds_error(part)]
    among_vectors = any(map(_has_vector, parts)) and all("index" in error for error in errors)
    return errors[0] if errors and not among_vectors else _joined(parts)


def unwrapped(found: Any) -> Any:
    """What some gateways write as a string, alone or as the `body` of an answer."""
    held = found.get("body") if isinstance(found, dict) else found
    if isinstance(held, str):
        with suppress(ValueError, RecursionError):
            inner = json.loads(held)
            return inner if isinstance(inner, dict | list) and not holds_error(inner) else found
    return found


def _events(text: str) -> Iterator[Any]:
    """The JSON of each event, or of each line; what follows the last one (a comment, a zero byte) does not count."""
    if _FIELD.match(text):
        lines = (event.splitlines() for event in re.split(r"(?:\r\n|\n|\r){2}", text))
        data = ["\n".join(line[5:] for line in event if line.startswith("data:")) for event in lines]
    else:
        data = [text]
    for each in data:
        rest = each.lstrip()
        with suppress(ValueError, RecursionError):
            while rest:
                found, end = json.JSONDecoder().raw_decode(rest)
                yield found
                rest = rest[end:].lstrip()


def _has_vector(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("embedding"), list | str)


def _joined(parts: list[Any]) -> Any:
    """One answer of several parts; those without a list of vectors, such as a state, only add what they have beside."""
    if len(parts) < 2:
        return next(iter(parts), None)
    if all(
        isinstance(part, dict) and not any(isinstance(part.get(name), list) for name in LISTS[:2]) for part in parts
    ):
        entries = [part for part in parts if _has_vector(part) or "index" in part]
        return {"data": entries} if any(map(_has_vector, parts)) else parts[0]
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items() if isinstance(part, dict) else [("data", part)]:
            both = name in LISTS and isinstance(value, list) and isinstance(whole.get(name), list)
            whole[name] = whole[name] + value if both else value
    return whole
