"""What a call would cost, from the requests that it would send first, and what a batch API would take for the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from embedbridge._core.attempt import most_billed
from embedbridge._core.job import Job
from embedbridge._core.keys import awaited_keys
from embedbridge._core.packing import row_tokens
from embedbridge._core.types import Batch, Estimate

from .parts import Parts
from .sharing import on_their_way


def estimated(parts: Parts, job: Job, batches: Sequence[Batch]) -> Estimate:
    """The estimate of a call that would send these requests. It looks into the ledger of batches, if there is one."""
    tokens, purse, cost, most = sum(batch.tokens for batch in batches), job.shared.purse, None, None
    if purse.priced:
        cost, most = purse.dollars(tokens), purse.dollars(sum(most_billed(job, batch) for batch in batches))
    cached = len(job.places(row for row, got in enumerate(job.have) if got and row not in job.parent))
    found = Estimate(len(job.sheet.where), cached, len(batches), tokens, cost, most)
    if (api := parts.provider.batch_api) is None:
        return found
    pending = _pending_rows(parts, job)
    left = tokens - sum(row_tokens(job, row) for batch in batches for row in batch.rows if row in pending)
    by_batch = purse.dollars(left) * float(api.share) if purse.priced else None
    return replace(found, batch_cost=by_batch, batch_tokens=left, pending=len(pending.difference(job.parent)))


def _pending_rows(parts: Parts, job: Job) -> set[int]:
    """The rows of a job that are on their way by a batch API."""
    batches = on_their_way(parts, job.shared)
    keys = awaited_keys(job, [row for row, got in enumerate(job.have) if not got])
    return {keys[key] for key in batches.find([*keys])} if batches else set()
