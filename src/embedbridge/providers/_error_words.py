"""What may be shown of a server's own words: those of a fixed vocabulary, and numbers beside a unit.

A server may quote a text as it came, in capitals, reversed, cut or encoded, and no search for the text finds all of
that. So nothing is searched for: a word is shown because it stands in this list, whoever sent it, and "…" stands for
all others. That leaves of a quoted text at most the words that errors are made of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from embedbridge._core.fields import TEXT_FIELDS

from ._credentials import everything_in
from ._tables import words

SHOWN = 200
"""Characters of a provider's own words that an error may carry."""
_READ = 800
"""Characters of them that are looked at."""
_LONG = 8
"""Characters; a shorter secret is only taken out where it stands as a word."""
GAP = "…"
SECRETLESS = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"}
SECRETLESS_PREFIXES = ("x-stainless-", "x-fern-", "openai-")
SHORTEST_SECRET = 6
_KEY = "\0"

WORDS = frozenset(word for kind in ("links", "nouns", "verbs", "compound") for word in words("shown", kind))
_UNITS = frozenset(words("shown", "units"))
_FIELDS = WORDS | {"api", "dtype", "keep", "alive", "num"}
_QUOTED = re.compile(r"(?<!\w)(['\"`]|\\\")(.{0,400}?)\1(?!\w)", re.DOTALL)
_PIECE = re.compile(r"\0|…|\d+(?:\.\d+)?(?:ms|[smh])?(?:\d+(?:\.\d+)?s)?\b|\w+(?:'[st]\b)?|[.,:;()]")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W_]+")
_NUMBER = re.compile(r"\d{1,7}(\.\d{1,3}\d*)?")
_DURATION = re.compile(r"(?=\d)(\d{1,3}h)?(\d{1,4}m)?(\d{1,5}(\.\d+)?(ms|s))?")


def show(said: str, secrets: Iterable[str]) -> str:
    """What an error may show of a server's words; "" where too little of it is known to make sense."""
    said = said[:_READ]
    for secret in secrets:
        if len(secret) >= _LONG:
            said = said.replace(secret, _KEY)
        elif secret:
            said = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _KEY, said)
    said = _QUOTED.sub(lambda found: f" {found[2] if _is_field(found[2]) else GAP} ", said)
    pieces = _PIECE.findall(said)
    shown = [_shown(pieces, at) for at in range(len(pieces))]
    if sum(piece.isalpha() for piece in shown) < 2:
        return ""
    return _joined(shown)


def show_name(name: object) -> str:
    """An identifier (a code, a type, a field's name) that is made of known words, or a short number; else ""."""
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name) if abs(name) < 1_000_000 else ""
    if not isinstance(name, str) or len(name) > 80 or not re.fullmatch(r"[\w.$\[\]/-]+", name):
        return ""
    parts = [part.lower() for part in _PARTS.findall(name)]
    known = all(part in _FIELDS or (part.isdigit() and len(part) < 4) for part in parts)
    return name if parts and known and not parts[0].isdigit() else ""


def _is_field(quoted: str) -> bool:
    return quoted == _KEY or (bool(re.fullmatch(r"[$.]*[a-z]+(_[a-z]+)*", quoted)) and bool(show_name(quoted)))


def _shown(pieces: list[str], at: int) -> str:
    piece = pieces[at]
    if piece == _KEY:
        return "<key>"
    if piece[0].isdigit():
        beside = [pieces[near].lower() for near in (at - 1, at - 2, at + 1) if 0 <= near < len(pieces)]
        known = _NUMBER.fullmatch(piece) and any(near in _UNITS for near in beside)
        waits = _DURATION.fullmatch(piece) and any(near in {"in", "after", "for"} for near in beside[:1])
        return piece if known or waits else GAP
    if piece in ".,:;()…":
        return piece
    word = re.sub(r"'[st]$", "", piece)
    parts = [part.lower() for part in _PARTS.findall(word)]
    known = word.lower() in WORDS or (bool(parts) and all(part in WORDS for part in parts))
    return piece if known else GAP


def _joined(pieces: list[str]) -> str:
    """Words with blanks between them, and one "…" for several in a row."""
    text = ""
    for piece in pieces:
        if piece == GAP and re.search(rf"{GAP}[\s.,:;()]*$", text):
            text = re.sub(rf"{GAP}[\s.,:;()]*$", GAP, text)
        else:
            text += piece if not text or piece in ".,:;)" or text.endswith("(") else f" {piece}"
    text = re.sub(r"\(\s*\)", "", text).strip(" ,:;")
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + GAP


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """The words in a request's headers that may be secret: all, except in headers known to hold no key or token."""
    return [
        part
        for name, value in headers.items()
        if name.lower() not in SECRETLESS and not name.lower().startswith(SECRETLESS_PREFIXES)
        for part in value.split()
        if len(part) >= SHORTEST_SECRET
    ]


def fields_and_texts(request: Any) -> tuple[list[str], str]:
    """The names that a request's body has, and its texts as `core.said.Said` takes them."""
    try:
        body = json.loads(request.content)
    except (ValueError, RuntimeError):  # no JSON, nested too deeply, or a stream
        return [], ""
    if not isinstance(body, dict):
        return [], ""
    parts = (part for name in TEXT_FIELDS & body.keys() for _, _, part in everything_in(body[name]))
    texts = [part for part in parts if isinstance(part, str)]
    return list(body), "\0".join(("", *texts, "")).lower() if texts else ""
