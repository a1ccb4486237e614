"""Finds out what a refusal means: by its identifiers, then by the field that it names, then by its words.

What is known of servers' wordings is data, in `known_refusals.py`. Where nothing of it fits, the status alone decides,
and after that how the server behaves (`delivery.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
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
OF_TEXTS = frozenset({Kind.TEXT, Kind.TOO_LONG, Kind.TOO_MUCH, Kind.OUT_OF_MEMORY})
"""What words can mean of a request whose texts are named as the fault."""
_LENGTHS = re.compile(r"(?<![\w.-])\d{2,7}(?![\w.-]*\w)(?! (?:char|byte|item|text|input|second))")
_LIMIT = re.compile(
    r"(?:max\w*|limit\w*|at most|up to|(?:less|fewer|more|longer|larger|greater) than|exceed\w*"
    r"|context (?:size|length|window)|range .{0,60}?\[\d+,)\D{0,40}?(\d{2,7})(?!\d)",
    re.IGNORECASE,
)
_NO_LENGTHS = {*range(16), 400, 413, 422, 500}
"""Too few tokens for a limit, and statuses."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a refusal means."""

    kind: Kind
    param: str = ""
    """The request's field that is at fault, where it is one."""
    numbers: dict[str, int] = field(default_factory=dict)
    """`tokens` of the text, the `limit` of tokens or `characters`, `items` that a request may have: what words say."""


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
                found = None if of_texts and row.kind not in OF_TEXTS else said.search(row.said_pattern)
                if found:
                    return _meaning(row, found, param, wait, said)
    if wrong_field:
        return Meaning(Kind.MISSING_MODEL if name == "model" else Kind.CONFIGURATION, param)
    return Meaning(Kind.NONE, param)


def lengths_in(said: str) -> dict[str, int]:
    """The `tokens` of a text that is too long and the `limit`, from words that are not known otherwise.

    Of two numbers of tokens, the limit is the smaller one; one alone is the limit where it is called so.
    """
    said = re.sub(r"(?<=\d),(?=\d{3}\b)", "", said)
    found = sorted({int(number) for number in _LENGTHS.findall(said)} - _NO_LENGTHS)
    if len(found) == 2:
        return {"limit": found[0], "tokens": found[1]}
    limit = _LIMIT.search(said)
    return {"limit": int(limit[1])} if limit and int(limit[1]) in found else {}


def _applies(row: Row, status: int | None) -> bool:
    return status is None or status in row.statuses


def _meaning(row: Row, found: re.Match[str] | None, param: str, wait: float | None, said: Said) -> Meaning:
    groups = {name: value for name, value in (found.groupdict() if found else {}).items() if value}
    kind = Kind.RATE if not row.firm and wait is not None and wait <= LONGEST_WAIT else row.kind
    numbers = {name: int(value) for name, value in groups.items() if name != "field"}
    if kind is Kind.TOO_LONG and not numbers:
        numbers = lengths_in(said.own())
    if kind is Kind.TOO_LONG and {"tokens", "limit"} <= numbers.keys():  # torch has them in either order
        numbers |= {"limit": min(numbers.values()), "tokens": max(numbers.values())}
    return Meaning(kind, param or groups.get("field", ""), numbers)
