"""The fault battery: what can go wrong between a provider and its caller, over the official SDKs and real sockets.

`CASES` is the list. A test says `@case(7)` when it shows case 7; `table()` tells which tests show which case.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from inspect import signature

import pytest

case = pytest.mark.case

CASES = {
    1: "429 with Retry-After",
    2: "429 with a Retry-After that makes no sense",
    3: "429 with a Retry-After beyond the deadline",
    4: "429 because the quota is used up",
    5: "429 for ever",
    6: "a passing server error or proxy page",
    7: "500 for ever on one batch",
    8: "a connection that breaks before any work is done",
    9: "a connection that breaks within the answer",
    10: "no answer at all",
    11: "an answer that stops or drips",
    12: "JSON cut short",
    13: "a broken encoding of the answer",
    14: "a gzip bomb",
    15: "an answer far too large",
    16: "status 200 without vectors",
    17: "a redirect to another host",
    18: "a TLS certificate that proves nothing",
    19: "401 in the middle of a job",
    20: "404 for the model",
    21: "one poisonous text among a hundred",
    22: "a server that restarts",
    23: "vectors missing",
    24: "a vector too many",
    25: "vectors in another order",
    26: "a vector with something in it that is no number",
    27: "a vector of zeros",
    28: "vectors of a wrong width",
    29: "no vectors",
    30: "no usage, or nonsense",
    31: "the other encoding than the one asked for",
    32: "more texts than a request may hold",
    33: "more tokens than a request may hold",
    34: "a text that is too long",
    35: "more requests than the server lets through",
    36: "a token limit smaller than a batch",
    37: "a process that is killed",
    38: "a power cut",
    39: "turned bits in the cache's file",
    40: "a file that is no cache",
    41: "a disk that is full",
    42: "a directory that is read-only",
    43: "a lock that another process holds",
    44: "processes on the same texts",
    45: "pickles planted in the cache",
    46: "settings planted in the cache",
    47: "a cache of another version",
    48: "a clock that goes astray",
    49: "forks, threads and spawned processes over one cache",
    50: "whose directory it is, and who may read it",
    51: "names that look like paths",
    52: "a directory that is deleted during a job",
    53: "a Redis in trouble",
    54: "a Redis with something else in it",
    55: "models, dimensions, roles and prefixes in one cache",
    56: "a call that is cancelled or interrupted",
    57: "an item that is no text",
    58: "a string in place of a list",
    59: "a blank text",
    60: "no texts",
    61: "texts from whatever can be iterated",
    62: "the same letters composed and decomposed",
    63: "a million tiny texts",
    64: "a thousand texts, two of them distinct",
    65: "one text asked for by many at once",
    66: "secrets in whatever shows an object",
    67: "secrets in errors, logs, events and cache files",
    68: "secrets in addresses",
    69: "code and pickles that a model brings",
    70: "a start without a network",
    71: "an answer to another request",
    72: "an answer of another model",
    73: "cookies",
    74: "an environment in which no client can be made",
}


@cache
def table() -> dict[int, dict[str, bool]]:
    """Case → names of the tests that show it; whether each runs sync and async."""
    shown: dict[int, dict[str, bool]] = {number: {} for number in CASES}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("test_"):
            continue
        for name, test in vars(importlib.import_module(f"{__name__}.{module.name}")).items():
            marks = getattr(test, "pytestmark", ()) if name.startswith("test_") else ()
            for number in (number for mark in marks if mark.name == "case" for number in mark.args):
                shown[number][f"{module.name}::{name}"] = _is_both(test, marks)
    return shown


def _is_both(test: Callable[..., object], marks: Sequence[pytest.Mark]) -> bool:
    one_mode = any(mark.name == "parametrize" and mark.args[0] == "mode" for mark in marks)
    return not one_mode and not {"mode", "caller", "client"}.isdisjoint(signature(test).parameters)
