"""What users are told of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from .ledger import ENDED, WAITING, Entry

NOT_FOUND, ANSWERS_GONE, FORGOTTEN = "not found", "answers gone", "forgotten"
UNSURE, NOT_MADE = "not sure", "not made"
"""States that no vendor tells."""
LOST = {NOT_FOUND, ANSWERS_GONE}


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """One batch."""

    id: str
    """The vendor's name of it; where the vendor is not known to have made it, our own."""
    model: str
    """`provider:model`."""
    input_type: str
    state: str
    """The vendor's word for how far it is, as it was last heard: `in_progress`, `completed`, `expired` …; or a word of
    ours: `not sure` whether it was made, `not made`, `not found`, `answers gone`, `forgotten`."""
    ended: bool
    """What came of it is in the cache; texts of which nothing came are asked for by whoever wants them next."""
    texts: int
    """That were handed over."""
    stored: int
    """Whose vectors are in the cache, once it has ended."""
    tokens: int
    """Of the texts: estimated, and once it has ended, of those that are stored, as they were billed."""
    cost: float | None
    """Dollars for these; None where the price is not known."""
    saved: float | None
    """Dollars that ordinary requests would have cost besides."""
    reason: str = ""
    """What went wrong, in the vendor's codes."""
    lost: bool = False
    """The vendor does not know it, or its answers, any more. `collect` asks again, but does not wait; `cancel` or
    `forget` has its texts handed over again."""


def status_of(entry: Entry) -> BatchStatus:
    """What a user is told of a batch in the ledger."""
    ended = entry.stage == ENDED
    tokens = entry.billed if ended else entry.tokens
    whole = None if entry.price is None else tokens * entry.price / 1e6
    return BatchStatus(
        id=entry.name,
        model=entry.model,
        input_type=entry.role,
        state=entry.state or "being handed over",
        ended=ended,
        texts=entry.texts,
        stored=entry.stored,
        tokens=tokens,
        cost=None if whole is None else whole * entry.share,
        saved=None if whole is None else whole * (1 - entry.share),
        reason=entry.reason,
        lost=entry.stage == WAITING and entry.state in LOST,
    )
