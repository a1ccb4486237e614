"""What a call learns from answers and refusals, and by which limits it packs its texts from then on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from .job import Job
from .learnt import FEWEST_RATE, MOST_RATE
from .tokens import estimate_tokens, tally
from .types import Batch, Limits, Reply


def learn_from_answer(job: Job, batch: Batch, reply: Reply) -> None:
    """Learn how large requests may be, and how many tokens a text has that was sent alone."""
    learnt = job.shared.learnt
    size, tokens = job.bytes_of(batch.rows), reply.tokens or 0
    learnt.accepted(len(batch.rows), size)
    learnt.longest = max(learnt.longest, *(job.sizes[row] for row in batch.rows))
    if tokens:
        learnt.billed(size, tokens)
    if job.groped:
        _learn_what_fits(job, batch, size, tokens)
    if job.guessed:
        _correct_guesses(job, batch, size, tokens)
    # More than a text may have: the server bills something else than tokens.
    if len(batch.rows) == 1 and 0 < tokens <= (learnt.text_tokens or 0):
        (row,) = batch.rows
        take_count(job, row, tokens)
        if row in job.cuts and job.shared.policy == "truncate":
            job.cuts[row] = max(job.cuts[row][0], tokens + 1), tokens
    elif learnt.text_tokens is not None and not learnt.tokenizer:
        learnt.counted_in_total(batch.texts, size, tokens)


def take_count(job: Job, row: int, tokens: int) -> None:
    """Take over what the server says of the tokens of what is sent for a row."""
    job.told[row] = job.counted[row] = tokens
    job.shared.learnt.counted(job.texts[row], job.sizes[row], tokens)


def _correct_guesses(job: Job, batch: Batch, size: int, tokens: int) -> None:
    """Estimate cut texts anew, by the tokens of a request with what was kept of them."""
    found = [row for row in batch.rows if row in job.guessed]
    if found and FEWEST_RATE <= tokens / size <= MOST_RATE:
        shares = dict(zip(batch.rows, tally(job.counted, job.sizes, batch.rows, tokens), strict=True))
        for row, whole in zip(found, map(len, job.encoded(found)), strict=True):
            kept = min(shares[row], job.text_limit() or shares[row])
            job.cuts[row] = max(math.ceil(kept * whole / job.sizes[row]), kept + 1), kept


def _learn_what_fits(job: Job, batch: Batch, size: int, tokens: int) -> None:
    """Learn how much is read from texts shortened by trial, unless the limit that is known explains it."""
    found = [row for row in batch.rows if job.parent.get(row, row) in job.groped]
    if not found:
        return
    longest = max(found, key=job.sizes.__getitem__)
    if tokens:
        rate = tokens / size
        if job.groped[job.parent.get(longest, longest)] * rate <= (job.text_limit() or math.inf):
            job.shared.learnt.fitted(math.ceil(rate * job.sizes[longest]))
    elif job.text_limit() is None or job.shared.learnt.proved:
        job.shared.learnt.passed(job.texts[longest], job.sizes[longest])


def outgrows(job: Job, batch: Batch) -> bool:
    """Whether a batch has more texts than any that was accepted, where a batch was refused as a whole before."""
    learnt = job.shared.learnt
    return learnt.refused_whole and 0 < learnt.most_items < len(batch.rows)


def is_first_contact(job: Job, batches: Sequence[Batch]) -> bool:
    """Whether nobody knows if the server takes requests as large as these."""
    return len(batches) > 1 and job.shared.limits.guessed and not job.shared.learnt.most_items


def knows_better(job: Job, batch: Batch) -> bool:
    """Whether the server has taught something since a batch was packed by which it should be packed otherwise."""
    learnt = job.shared.learnt
    if (learnt.text_tokens is not None or learnt.text_sizes) and not job.measured.issuperset(batch.rows):
        return True
    if len(batch.rows) == 1 or learnt.items is learnt.tokens is learnt.size is None:
        return False
    limits, size = request_limits(job), job.bytes_of(batch.rows)
    tokens = sum(job.counted.get(row, job.sizes[row]) for row in batch.rows)
    fits = len(batch.rows) <= limits.items and size <= (limits.size or size) and tokens <= (limits.tokens or tokens)
    return not fits


def request_limits(job: Job) -> Limits:
    """What one request may hold, the provider's own rate bucket and what was learnt included."""
    limits, ceiling = job.shared.learnt.apply(job.shared.limits), job.shared.token_ceiling()
    if ceiling is None or limits.padded:
        return limits
    return replace(limits, tokens=min(limits.tokens or int(ceiling), int(ceiling)))


def padded_tokens(job: Job, batch: Batch) -> int | None:
    """Tokens of a batch whose texts are padded to the longest; None where they are not."""
    if not job.shared.limits.padded:
        return None
    return len(batch.rows) * max(job.counted.get(row) or estimate_tokens(job.sizes[row]) for row in batch.rows)


def assume_cuts(job: Job, rows: Sequence[int]) -> None:
    """Count texts that are too long, by an estimate, as cut to the model's limit."""
    limit = job.shared.limits.text_tokens
    if limit is not None:
        job.counted.update({row: limit for row in rows if estimate_tokens(job.sizes[row]) > limit})
