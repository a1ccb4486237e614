"""The message and code of a provider's error answer, without keys and without the texts that it quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

SHOWN = 200
"""Characters of a provider's own words that an error may carry."""
_READ = 600
"""Characters of them that are searched for quotations."""
_RUN = 12
"""So many characters in a row that are also in a text are taken for a quotation of it."""
_PUBLIC = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"}
_PUBLIC_PREFIXES = ("x-stainless-", "x-fern-", "openai-")
_WORD = re.compile(r"\w+")


def words(payload: Any) -> tuple[str, str]:
    """An error body's message and code, in any of the shapes that embedding APIs use."""
    inner = (payload.get("error") or payload) if isinstance(payload, dict) else payload
    if not isinstance(inner, dict):
        return str(inner or ""), ""
    said = inner.get("message") or inner.get("detail") or inner.get("error") or ""
    if isinstance(said, list):  # of a validator, each entry with the input that it refuses
        said = "; ".join(str(entry.get("msg") if isinstance(entry, dict) else entry) for entry in said)
    return str(said), " ".join(str(inner[name]) for name in ("code", "type") if inner.get(name))


def redact(said: str, secrets: Iterable[str], texts: Sequence[str]) -> str:
    """At most `SHOWN` characters of a message, without any secret and without what it quotes of the texts."""
    for secret in secrets:
        said = said.replace(secret, "<key>")
    said = _without(said[:_READ], texts)
    return said if len(said) <= SHOWN else said[: SHOWN - 1] + "…"


def secrets_of(request: Any) -> list[str]:
    """The words in a request's headers that may be secret: all, except in headers known to hold no key or token."""
    return [
        part
        for name, value in request.headers.items()
        if name.lower() not in _PUBLIC and not name.lower().startswith(_PUBLIC_PREFIXES)
        for part in value.split()
        if len(part) > 5
    ]


def texts_of(request: Any) -> list[str]:
    """The strings of a request's own body, so that an error can leave them out."""
    try:
        body = json.loads(request.content)
    except ValueError:
        return []
    found: list[str] = []
    waiting = [body.get(name) for name in ("input", "inputs", "texts", "prompt")] if isinstance(body, dict) else []
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, list):
            waiting += item
    return found


def _without(said: str, texts: Sequence[str]) -> str:
    """A message with `<text>` for each of the texts between quotes, and for each run of `_RUN` characters of one."""
    for text in texts:
        if len(text) < _RUN and text in said:
            said = re.sub(rf"(?<=[\"'`]){re.escape(text)}(?=[\"'`])", "<text>", said)
    sent, lowered, kept, done = _lowered("\0".join(texts)), _lowered(said), [], 0
    for word in _WORD.finditer(said):  # quotations begin with a word
        begin = word.start()
        run = lowered[begin : begin + _RUN]
        place = sent.find(run) if begin >= done and len(run) == _RUN else -1
        if place >= 0:
            kept += [said[done:begin], "<text>"]
            done = begin + _common(lowered[begin:], sent[place : place + _READ])
    return "".join([*kept, said[done:]])


def _lowered(said: str) -> str:
    """In lower case, as some models quote their texts; unchanged where that would move characters."""
    lowered = said.lower()
    return lowered if len(lowered) == len(said) else said


def _common(first: str, second: str) -> int:
    """How many characters two strings have in common at their beginning."""
    pairs = zip(first, second, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
