"""What is wrong with a value, in words of ours: what to write, and what kind it is. The value itself may be a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

WANTED = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "bool": "True or False",
    "dict": "a dict",
    "mapping": "a dict",
    "list": "a list",
    "tuple": "a list",
    "bytes": "bytes",
    "callable": "a function",
    "path": "a path",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "literal_error": "{expected}",
    "is_instance_of": "an object of {class}",
    "model": "a dict or an object of {class_name}",
}
"""Pydantic's type of a fault, without its last part → what to write."""
ENDS = ("_type", "_parsing", "_parsing_size", "_from_float")


def faults_of(error: ValidationError) -> Iterator[tuple[str, list[Any]]]:
    """The faults of each value, by its name: a union has one for each member."""
    ordered = error.errors(include_url=False)
    for _, group in groupby(ordered, lambda fault: fault["loc"][:1]):
        faults = list(group)
        name = faults[0]["loc"] if len(faults) == 1 else faults[0]["loc"][:1]
        yield ".".join(map(str, name)), faults


def told_fault(faults: Sequence[Any]) -> str:
    """What is wrong with a value: `write a whole number, not a str`, or the words of a check of our own."""
    own = [fault["msg"].removeprefix("Value error, ") for fault in faults if fault["type"] == "value_error"]
    wanted = [wanted for fault in faults if (wanted := _wanted(fault))]
    if own or not wanted:
        return "; ".join(own or [fault["msg"] for fault in faults])
    given = faults[0]["input"]
    told = f"write {' or '.join(dict.fromkeys(wanted))}"
    if isinstance(given, int | float) and any("number" in each for each in wanted):
        return f"{told}, not {given!r}"  # no secret is a number here
    return told if faults[0]["type"] == "literal_error" and isinstance(given, str) else f"{told}, not {kind_of(given)}"


def _wanted(fault: Any) -> str:
    """What to write, or nothing where pydantic's own words are the best that there are."""
    kind = fault["type"]
    for end in ENDS:
        kind = kind.removesuffix(end)
    context = fault.get("ctx", {}).items()
    plain = {name: int(each) if isinstance(each, float) and each.is_integer() else each for name, each in context}
    return WANTED.get(kind, "").format(**plain)


def kind_of(value: object) -> str:
    """`a str`, `an int` or `None`, for a message that must not hold the value."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"
