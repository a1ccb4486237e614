"""Limits of one text that a server tells in characters or in bytes, and texts cut by them.

What a server calls a character depends on its language: a code point, or a unit of UTF-16. The number that it names for
the text itself shows which.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embedbridge.errors import InputTooLongError

from .cutting import BY_KIND, send_beginning, send_parts
from .job import Job
from .outcome import refuse_long_texts
from .tokens import Measured


@dataclass(frozen=True, slots=True)
class Unit:
    """What a server counts of a text."""

    name: str
    encoding: str
    width: int
    """Bytes of the encoding for each."""

    def measure(self, text: str) -> int:
        """How many a text has."""
        return len(text) if self.width == 4 else len(text.encode(self.encoding)) // self.width

    def cut(self, text: str, most: int) -> str:
        """The longest beginning with at most so many."""
        return text.encode(self.encoding)[: most * self.width].decode(self.encoding, errors="ignore")


UNITS = (Unit("characters", "utf-32-le", 4), Unit("UTF-16 units", "utf-16-le", 2), Unit("bytes", "utf-8", 1))
"""From the fewest to the most that a text can have."""


def limit_in_units(texts: Sequence[str], numbers: Mapping[str, int]) -> tuple[Unit, int] | None:
    """The unit and the limit by which one of these texts was refused; None where none of them is longer.

    Args:
        texts: of the refused request.
        numbers: what the refusal says: `characters` or `bytes`, and `actual` for those of the text, where it is named.
    """
    limit, actual = numbers.get("characters") or numbers["bytes"], numbers.get("actual")
    units = UNITS if "characters" in numbers else UNITS[-1:]
    sizes = {unit: [unit.measure(text) for text in texts] for unit in units}
    for fits in (lambda each: each == actual, lambda each: each >= limit):
        found = next((unit for unit in units if any(map(fits, sizes[unit]))), None)
        if found is not None:  # some servers mean "fewer than"
            return found, limit - (max(sizes[found]) == limit)
    return None


def too_large(job: Job, rows: Sequence[int]) -> list[int]:
    """The rows that are longer than the server takes, in characters or bytes, as far as that has been learnt."""
    limits = job.shared.learnt.text_sizes.items()
    # No unit is less than a byte.
    return [
        row
        for row in rows
        if any(job.sizes[row] > most and unit.measure(job.texts[row]) > most for unit, most in limits)
    ]


def cut_by_size(job: Job, rows: Sequence[int]) -> list[int]:
    """Cut, split or refuse rows that are longer than the server takes; returns those that were split."""
    refused, split = {}, []
    for row in too_large(job, rows):
        for unit, most in job.shared.learnt.text_sizes.items():
            measured = unit.measure(job.texts[row])
            if measured <= most or row in job.pieces:
                continue
            if job.shared.policy == "error":
                refused[row] = InputTooLongError(f"{measured} {unit.name}, and the server takes {most}")
            elif job.shared.policy == "mean":
                split.append(row)
                send_parts(job, row, _measured(job, row, _pieces(job, row, unit, most, measured)))
            else:
                job.guessed.update({row} - job.told.keys() - job.cuts.keys())
                send_beginning(job, row, _measured(job, row, [unit.cut(job.texts[row], most)]))
            job.report.counter = BY_KIND
    if refused:
        refuse_long_texts(job, refused)
    return split


def _pieces(job: Job, row: int, unit: Unit, most: int, measured: int) -> list[str]:
    """A text in pieces of about equal length, each with the prefix."""
    prefix = job.head_of(job.texts[row])
    body = job.texts[row][len(prefix) :]
    room = max(1, most - unit.measure(prefix))
    total = measured - unit.measure(prefix)
    size, pieces = math.ceil(total / math.ceil(total / room)), []
    while body:
        piece = unit.cut(body, size) or body[0]
        pieces.append(prefix + piece)
        body = body[len(piece) :]
    return pieces


def _measured(job: Job, row: int, pieces: Sequence[str]) -> Measured:
    """What is embedded of a row, with estimated tokens: nobody has counted any."""
    text, size = job.texts[row], job.sizes[row]
    tokens = job.told.get(row) or max(len(pieces) + 1, math.ceil(job.shared.learnt.guess(text, size)))
    parts = tuple((piece, max(1, int(tokens * len(piece) / len(text)))) for piece in pieces)
    return Measured(tokens, parts)
