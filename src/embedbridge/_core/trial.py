"""A text that was refused by itself, though nobody says that it is too long: it may be accepted when it is shorter."""

from __future__ import annotations

from embedbridge.errors import RequestFailed

from .blame import SMALL
from .effects import Flow
from .job import Job
from .kinds import Kind
from .length import Correction, correct_rows, give_up, may_be_corrected
from .retry import meaning_of

LIKE = 4
"""A text is as short as those that are accepted when it has at most this part of their bytes: their tokens differ."""


def may_try_shorter(job: Job, row: int, failure: RequestFailed) -> bool:
    """Whether a text that was refused by itself may be accepted shorter, though nobody says that it is too long.

    A status or words that speak of a size are believed where texts that are much shorter are accepted, and as long as
    it is not as short as these.
    """
    learnt, kind, size = job.shared.learnt, meaning_of(failure), job.sizes[row]
    if job.shared.policy == "error" or failure.status == 429 or "items" in failure.numbers:
        return False
    longer = 0 < learnt.longest // (LIKE if row in job.corrections else 2) < size
    if kind is Kind.TOO_MUCH or (kind is Kind.NONE and failure.status == 413):
        return longer or (size > SMALL and not learnt.longest)
    return kind is Kind.PERHAPS_LONG and longer


def try_shorter(job: Job, row: int, failure: RequestFailed) -> Flow[Correction]:
    """Cut or split a text by trial. Words that are not known teach nothing of other texts."""
    if not may_be_corrected(job, row):
        give_up(job, [row], failure, None)
        return Correction()
    split = yield from correct_rows(job, [row], None)
    if meaning_of(failure) is Kind.PERHAPS_LONG:
        job.groped.pop(job.parent.get(row, row))
    else:
        job.shared.learnt.unlearn_guesses()  # it was this text, and not how many there were
    return Correction(send=[] if split else [row])
