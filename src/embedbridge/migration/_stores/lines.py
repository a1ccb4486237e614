"""One line of a JSONL file: its fields, and the bytes before and after its vector, which stay as they were written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]
from typing import Any

VECTOR = "embedding"
"""The field of a vector."""
LONGEST_NUMBER = 4000
"""Digits that Python makes a number of; more stay text."""
BOM = "\ufeff"

_reader = json.JSONDecoder(parse_int=lambda digits: int(digits) if len(digits) <= LONGEST_NUMBER else digits)


@dataclass(frozen=True, slots=True)
class Line:
    """An object of one line."""

    fields: dict[str, Any]
    """By name; of a name that is there twice the last, as every reader of JSON has it."""
    before: str
    """What stands before the vector, or would."""
    after: str
    """What stands after it, without the line's end."""


def read_line(text: str) -> Line:
    """A line, without the feed at its end.

    Raises:
        ValueError: it is no JSON object.
        RecursionError: it is nested too deeply.
    """
    members = list(_members(text))
    fields = {name: value for name, value, _, _ in members}
    end = text.rindex("}")
    found = [(begin, stop) for name, _, begin, stop in members if name == VECTOR]
    if found:
        begin, stop = found[-1]
        return Line(fields, text[:begin], text[stop:])
    comma = ", " if members else ""
    return Line(fields, f'{text[:end].rstrip()}{comma}"{VECTOR}": ', text[end:])


def _members(text: str) -> Iterator[tuple[str, Any, int, int]]:
    """The fields of an object: name, value, and where the value begins and stops."""
    at = _next(text, len(BOM) if text.startswith(BOM) else 0, "{")
    if text[at : at + 1] == "}":
        _check_end(text, at + 1)
        return
    while True:
        name, at = scanstring(text, _next(text, at, '"'))
        begin = _next(text, at, ":")
        value, stop = _reader.raw_decode(text, begin)
        yield name, value, begin, stop
        at = _skip(text, stop)
        if text[at : at + 1] == "}":
            _check_end(text, at + 1)
            return
        at = _next(text, at, ",")


def _skip(text: str, at: int) -> int:
    """The place after blanks."""
    found = WHITESPACE.match(text, at)
    return int(found.end())


def _next(text: str, at: int, mark: str) -> int:
    """The place after a mark and the blanks around it; those within a name are its own."""
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(f"no {mark} at {at}")
    return at + 1 if mark == '"' else _skip(text, at + 1)


def _check_end(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise ValueError("more than one object")
