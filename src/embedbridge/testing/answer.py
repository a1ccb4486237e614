"""An answer before it is written, and the faults that make its content wrong while status and transport are right."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from .faults import Fault, Faults

__all__ = ["Answer"]


@dataclass(slots=True)
class Answer:
    """What an answer will hold.

    Attributes:
        vectors: arrays; lists with foreign values, or None, once a fault was put in.
        index: each entry's own number; None leaves it out.
        tokens: what the answer calls its usage.
        encoding: overrides what the client asked for: `float` or `base64`.
        missing: parts to leave out: `usage`, `data`.
        system: its `system_fingerprint`, of an API that has one; "" leaves it out.
    """

    vectors: list[Any]
    index: list[int | None]
    tokens: Any
    model: str
    encoding: str = ""
    missing: set[str] = field(default_factory=set)
    system: str = ""


def spoil(answer: Answer, faults: Faults, rng: Random) -> None:
    """Put every content fault into the answer."""
    for fault in faults:
        if fault.name in _SPOILERS:
            _SPOILERS[fault.name](answer, fault, rng)


def _renumber(answer: Answer, vectors: list[Any]) -> None:
    answer.vectors, answer.index = vectors, list(range(len(vectors)))


def _drop(answer: Answer, fault: Fault, _: Random) -> None:
    vectors, n = answer.vectors, int(fault.number("n"))
    start = {"start": 0, "middle": len(vectors) // 2, "end": max(0, len(vectors) - n)}[fault.args["where"]]
    _renumber(answer, vectors[:start] + vectors[start + n :])


def _extra(answer: Answer, fault: Fault, _: Random) -> None:
    _renumber(answer, answer.vectors + answer.vectors[-1:] * int(fault.number("n")))


def _empty(answer: Answer, _: Fault, __: Random) -> None:
    _renumber(answer, [])


def _shuffle(answer: Answer, fault: Fault, rng: Random) -> None:
    order = list(range(len(answer.vectors)))
    while len(order) > 1 and order == sorted(order):
        rng.shuffle(order)
    answer.vectors = [answer.vectors[i] for i in order]
    if fault.name == "shuffle":
        answer.index = list(order)


def _repeat_index(answer: Answer, _: Fault, __: Random) -> None:
    if len(answer.index) > 1:
        answer.index[1] = answer.index[0]


def _no_index(answer: Answer, _: Fault, __: Random) -> None:
    answer.index = [None] * len(answer.vectors)


def _omit_index(answer: Answer, fault: Fault, _: Random) -> None:
    if answer.index:
        answer.index[min(int(fault.number("i")), len(answer.index) - 1)] = None


def _index_from_one(answer: Answer, _: Fault, __: Random) -> None:
    answer.index = [None if number is None else number + 1 for number in answer.index]


def _one(change: Callable[[Any, Fault], Any]) -> Callable[[Answer, Fault, Random], None]:
    """A fault of vector `i`, or of the last one where there are fewer."""

    def spoiler(answer: Answer, fault: Fault, _: Random) -> None:
        if answer.vectors:
            at = min(int(fault.number("i")), len(answer.vectors) - 1)
            answer.vectors[at] = change(answer.vectors[at], fault)

    return spoiler


def _first_value(value: object) -> Callable[[Any, Fault], Any]:
    return lambda vector, _: [value, *vector.tolist()[1:]]


def _first_number(value: float) -> Callable[[Any, Fault], Any]:
    return lambda vector, _: np.concatenate([np.array([value], np.float32), vector[1:]])


def _cut_all(answer: Answer, fault: Fault, _: Random) -> None:
    answer.vectors = [vector[: int(fault.number("n"))] for vector in answer.vectors]


def _rename(answer: Answer, fault: Fault, _: Random) -> None:
    answer.model = fault.args["name"]


def _name_system(answer: Answer, fault: Fault, _: Random) -> None:
    answer.system = fault.args["name"]


def _bad_usage(answer: Answer, _: Fault, __: Random) -> None:
    answer.tokens = "many"


def _without(part: str) -> Callable[[Answer, Fault, Random], None]:
    return lambda answer, _, __: answer.missing.add(part)


def _force(answer: Answer, fault: Fault, _: Random) -> None:
    answer.encoding = fault.name.removeprefix("force")


_SPOILERS: dict[str, Callable[[Answer, Fault, Random], None]] = {
    "drop": _drop,
    "extra": _extra,
    "empty": _empty,
    "shuffle": _shuffle,
    "shufflelie": _shuffle,
    "dupindex": _repeat_index,
    "noindex": _no_index,
    "omitindex": _omit_index,
    "oneindex": _index_from_one,
    "nan": _one(_first_number(math.nan)),
    "inf": _one(_first_number(math.inf)),
    "nullvalue": _one(_first_value(None)),
    "string": _one(_first_value("0.1")),
    "null": _one(lambda _, __: None),
    "zero": _one(lambda vector, _: np.zeros_like(vector)),
    "ragged": _one(lambda vector, fault: vector[: int(fault.number("n"))]),
    "emptyvec": _one(lambda vector, _: vector[:0]),
    "dims": _cut_all,
    "othermodel": _rename,
    "othersystem": _name_system,
    "badusage": _bad_usage,
    "nousage": _without("usage"),
    "nodata": _without("data"),
    "forcefloat": _force,
    "forcebase64": _force,
}
