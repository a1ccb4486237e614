"""What a row of the table of known refusals is, and the statuses that rows are for."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from functools import cache
from itertools import permutations

from .kinds import Kind

INPUT = frozenset({400, 413, 422})
REQUEST = frozenset({400, 403, 404, 413, 422})
LIMIT = frozenset({403, 429})
SERVER = frozenset({424, *range(500, 600)})
"""A dependency that failed is the model, behind TEI and Azure's endpoints."""
INPUT_OR_SERVER = frozenset({*INPUT, *SERVER})
BUSY = frozenset({429, *SERVER})
LOADING = frozenset({400, 404, 409, 422, *BUSY})
ACCOUNT = frozenset({400, 402, 403, 412, 429})
FILTER = frozenset({400, 403, 406, 422, 451})
ANY = range(400, 600)
PER_TIME = (
    r"(?<=\w)([ _-]?per[ _-]?|/| a | each |(requests|calls) in )(\d{1,4} ?)?(second|minute|hour|(sec|min)\b(?![./-]))"
    r"|\b[rtq]p[ms]\b"
)
"""What is counted by time: a rate, and no length."""
MORE = (
    r"(exceed|at most|up to|max(imum)?(?![a-z])|limit|only\b|surpass|overflow|too (long|many|large)"
    r"|(more|less|few|short|long|larg|great)(er)? than"
    r"|\b(above|over|beyond|below|under)\b|\bfits?\b|[<>\u2264\u2265]=? ?(?=\d))"
)
"""What is said of a length and its limit."""
NUMBER = r"(?<![\w.-])\d{2,7}\b"


def in_any_order(*parts: str) -> str:
    """A pattern of these, one after the other in any order, with a few words between them."""
    return "|".join(".{0,60}?".join(order) for order in permutations(parts))


@dataclass(frozen=True, slots=True)
class Row:
    """One wording of one server."""

    kind: Kind
    server: str
    source: str
    statuses: Container[int] = ANY
    code: str = ""
    """A pattern that one of the answer's identifiers (code, type, status, reason, quota's name) matches in full."""
    said: str = ""
    """A pattern that is found in the answer's words."""
    firm: bool = True
    """False: where the answer names a short wait, it means `RATE`."""

    @property
    def code_pattern(self) -> re.Pattern[str] | None:
        """`code`, to be matched."""
        return compiled(self.code)

    @property
    def said_pattern(self) -> re.Pattern[str] | None:
        """`said`, to be searched for."""
        return compiled(self.said)


@cache
def compiled(pattern: str) -> re.Pattern[str] | None:
    """A pattern, compiled when the first request is refused: together they take longer than all other imports."""
    return re.compile(pattern, re.IGNORECASE | re.DOTALL) if pattern else None
