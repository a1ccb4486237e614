"""Finds out what a refusal means: by its identifiers, then by the field that it names, then by its words.

What is known of servers' wordings is data, in `known_refusals.py`. Where nothing of it fits, the status alone decides,
and after that how the server behaves (`delivery.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from .fields import base_field, names_texts
from .kinds import Kind
from .known_refusals import KNOWN
from .refusal_rows import INPUT, Row
from .said import Said

LONGEST_WAIT = 120.0
"""Seconds; a request whose provider asks for a longer pause fails."""
READ = 4000
"""Characters of a server's words that are looked at."""
OF_TEXTS = frozenset({Kind.TEXT, Kind.TOO_LONG, Kind.PERHAPS_LONG, Kind.TOO_MUCH, Kind.OVER_RATE, Kind.OUT_OF_MEMORY})
"""What words can mean of a request whose texts are named as the fault."""
_LENGTH = r"(?<![\w.-])\d{2,7}(?![\w.-]*\w)"
_LIMIT = re.compile(
    r"(?:max\w*|limit\w*|at most|up to|(?:less|fewer|more|longer|larger|greater) than|exceed\w*|above|over|beyond|only"
    r"|[<>\u2264\u2265]=?"
    r"|context (?:size|length|window)|range .{0,60}?\[\d+,)\D{0,40}?(\d{2,7})(?!\d)"
    r"|(\d{2,7})[ -](?:token|char|byte)\w* (?:(?:is|are) )?(?:the )?(?:limit|max|most|allowed)",
    re.IGNORECASE,
)
_UNITS = {
    "tokens": (r"token", r"char|byte|(?:item|text|input|second)(?!s? token)"),
    "characters": (r"char|maxLength|\bstring\b", r"token|byte|(?:item|text|input|second)(?!s? char)"),
    "bytes": (r"byte", r"token|char|(?:item|text|input|second)(?!s? byte)"),
}
"""What lengths are told in: what is among the words then, and what follows none of the numbers."""
_COUNTED = re.compile("token|char|byte", re.IGNORECASE)
_STATUS = re.compile(
    r"(?:(?:status|code|error|exception|https?(?:/[\d.]+)?)\W{0,3}|^\W*)(?:4\d\d|5\d\d)\b(?!.?(?:token|char|byte))"
    r"|\b(?:4\d\d|5\d\d)\W{0,3}(?:(?:bad|client|server|payload|request|content|unprocess\w*|internal)"
    r" (?:request|error|too|entity|content|server)|error|[a-z]+_[a-z_]+)",
    re.IGNORECASE,
)
"""A status in a status's place."""
FEWEST = 16
"""Tokens; fewer are no limit."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a refusal means."""

    kind: Kind
    param: str = ""
    """The request's field that is at fault, where it is one."""
    numbers: dict[str, int] = field(default_factory=dict)
    """What words say: `tokens` of the text and the `limit` of tokens; the limit of `characters` or `bytes` and the
    `actual` number of these; `items` that a request may have."""


def understand(
    status: int | None,
    identifiers: Iterable[str],
    said: str | Said,
    *,
    param: str = "",
    wait: float | None = None,
    fields: Collection[str] = (),
) -> Meaning:
    """What a refusal means; `Kind.NONE` where only its status says something.

    Where the answer names the texts as the fault, no words can mean that the rest of the request is at fault.

    Args:
        status: of HTTP; None where there is none.
        identifiers: codes, types and names of quotas.
        said: the server's words, as they came.
        param: the request's field that the answer names.
        wait: seconds that the server asks to wait.
        fields: names that the request's own body has; none: they are not known.
    """
    names, said = list(identifiers), said if isinstance(said, Said) else Said(said[:READ])
    name = base_field(param, fields)
    of_texts = status in INPUT and names_texts(param, fields)
    for row in KNOWN:
        if row.code_pattern and _applies(row, status) and any(map(row.code_pattern.fullmatch, names)):
            found = said.search(row.said_pattern) if row.said_pattern else None
            if found or not row.said_pattern:
                return _meaning(row, found, param, wait, said)
    wrong_field = bool(name) and status in INPUT and not of_texts
    if not wrong_field or (fields and name not in fields):
        for row in KNOWN:
            if row.said_pattern and not row.code_pattern and _applies(row, status):
                other = row.kind is Kind.PERHAPS_LONG if wrong_field else of_texts and row.kind not in OF_TEXTS
                found = None if other else said.search(row.said_pattern)
                if found:
                    return _meaning(row, found, param, wait, said)
    if status == 403 and wait is not None and wait <= LONGEST_WAIT:
        return Meaning(Kind.RATE, param)
    if wrong_field:
        return Meaning(Kind.MISSING_MODEL if name == "model" else Kind.CONFIGURATION, param)
    return Meaning(Kind.NONE, param)


def lengths_in(said: str) -> dict[str, int]:
    """The length of a text that is too long, and the limit, from words that are not known otherwise.

    Of two numbers, the limit is the smaller one; one alone is the limit where it is called so. Lengths of which nobody
    says in what they are told are tokens.
    """
    said = _STATUS.sub(" ", re.sub(r"(?<=\d),(?=\d{3}\b)", "", said))
    named = [unit for unit, (words, _) in _UNITS.items() if re.search(words, said)] or ["tokens"]
    for unit in named:
        pattern = rf"{_LENGTH}(?! (?:{_UNITS[unit][1]}))"
        found = sorted({number for number in map(int, re.findall(pattern, said)) if number >= FEWEST})
        limit = next((int(number) for number in _limits(said) if int(number) in found), None)
        if len(found) == 2:
            limit = found[0]
        if limit is not None:
            name, length = ("limit", "tokens") if unit == "tokens" else (unit, "actual")
            return {name: limit} | ({length: found[1]} if len(found) == 2 else {})
    return {}


def _limits(said: str) -> Iterator[str]:
    """What is called a limit."""
    return (found[1] or found[2] for found in _LIMIT.finditer(said))


def _applies(row: Row, status: int | None) -> bool:
    return status is None or status in row.statuses


def _meaning(row: Row, found: re.Match[str] | None, param: str, wait: float | None, said: Said) -> Meaning:
    groups = {name: value for name, value in (found.groupdict() if found else {}).items() if value}
    kind = Kind.RATE if not row.firm and wait is not None and wait <= LONGEST_WAIT else row.kind
    numbers = {name: int(value) for name, value in groups.items() if name != "field"}
    if kind in {Kind.TOO_LONG, Kind.TOO_MUCH, Kind.OVER_RATE} and not numbers:
        own = said.own()
        numbers = lengths_in(own) if kind is Kind.TOO_LONG or _COUNTED.search(own) else {}
    if kind is Kind.TOO_LONG and {"tokens", "limit"} <= numbers.keys():  # torch has them in either order
        numbers |= {"limit": min(numbers.values()), "tokens": max(numbers.values())}
    return Meaning(kind, param or groups.get("field", ""), numbers)
