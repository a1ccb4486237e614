"""What a refused batch is divided for, where the refusal does not say which text is at fault."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum

from embedbridge.errors import EmbeddingError, RequestFailed

from .job import Job
from .kinds import Kind
from .retry import Verdict, blocked, is_too_long, judge, meaning_of, too_large_whatever_it_is, wrong_request

PROBES = 3
"""So many texts by themselves, all refused in the same words and none accepted, show that the request is at fault."""
SMALL = 1024
"""Bytes; so short a text fits into any request and memory."""
GUILTY = 4
"""Texts that may be at fault in one batch: so many searches by halves are paid for after a server's error."""


class Blame(Enum):
    """What may be at fault for a request that failed."""

    NOTHING = "nothing"
    """Sending less would not help."""
    SIZE = "size"
    """The request is too large, or one of its texts too long."""
    TEXT = "text"
    """One of its texts, or the request itself, is refused."""
    SERVER = "server"
    """The server fails: by itself, or each time that it meets one of the texts."""


@dataclass(slots=True)
class Hunt:
    """A search for the text at fault: how many requests are left for it, and whether a server's error led to it."""

    blame: Blame
    left: float
    refusals: int = 1
    """Requests that were refused, whatever for."""
    failure: RequestFailed | None = None
    """The last refusal."""

    def meets(self, failure: RequestFailed) -> bool:
        """Count a refusal; False for the one before, which stands for a batch that was not sent."""
        new = failure is not self.failure
        self.refusals += new
        self.failure = failure
        return new

    def take(self) -> bool:
        """Count a request; False when there are to be no more."""
        self.left -= 1
        return self.left >= 0

    def gives_up(self, failure: RequestFailed, attempt: int, *, alone: bool) -> bool:
        """Whether a server's error is not waited out: the batch has been, and only a text by itself has two tries."""
        ours = self.blame is Blame.SERVER and blame_of(failure, accepted=False) is Blame.SERVER
        page = self.blame is Blame.TEXT and failure.kind is Kind.NOT_JSON and not failure.billed
        return (ours or page) and (attempt > 1 or not alone)


def begin_hunt(blame: Blame, texts: int, failure: RequestFailed) -> Hunt:
    """A search in a batch of so many texts. After a refusal it ends by itself; after a server's error it is bounded."""
    left = PROBES + 2 * GUILTY * texts.bit_length() if blame is Blame.SERVER else math.inf
    return Hunt(blame, left, failure=failure)


def blame_of(failure: RequestFailed, *, accepted: bool) -> Blame:
    """What may be at fault. `accepted`: the server has accepted other requests of this call."""
    kind, status, verdict = meaning_of(failure), failure.status, judge(failure)
    if kind in {Kind.TOO_LONG, Kind.TOO_MUCH, Kind.OVER_RATE, Kind.OUT_OF_MEMORY} or (
        status == 413 and kind is Kind.NONE
    ):
        return Blame.SIZE
    page = kind is Kind.NOT_JSON and not failure.billed
    if verdict is Verdict.DIVIDE or (accepted and (page or (status == 403 and kind is Kind.NONE))):
        return Blame.TEXT
    if verdict is Verdict.AGAIN and kind is Kind.NONE and status is not None and (status >= 500 or status == 424):
        return Blame.SERVER
    if kind is Kind.CONNECTION and failure.billed:  # it broke after the request was sent
        return Blame.SERVER
    return Blame.NOTHING


def whatever_the_text(job: Job, row: int, failure: RequestFailed, blame: Blame) -> EmbeddingError | None:
    """Note that a text by itself is refused; the error of all texts once that shows that no text is at fault.

    One that is refused for its size says so only where it is hardly longer than the others, or short for any server.
    """
    small = job.sizes[row] <= max(4 * min(job.sizes), 0 if is_too_long(failure) else SMALL)
    if job.answered or not (blame is Blame.TEXT or (blame is Blame.SIZE and small)):
        return None
    job.refusals = [*job.refusals, failure][-PROBES:]
    if len(job.refusals) < PROBES or not same_words(job.refusals):
        return None
    if failure.kind is Kind.BLOCKED:
        return blocked(failure, job.where())
    error = wrong_request if blame is Blame.TEXT else too_large_whatever_it_is
    return error(failure, job.where(), after=PROBES)


def same_words(failures: list[RequestFailed]) -> bool:
    """Whether all say the same, numbers aside."""
    return len({(each.status, each.code, each.param, re.sub(r"[\d…]+", "", str(each))) for each in failures}) == 1
