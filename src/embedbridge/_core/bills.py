"""What the requests of a call cost: booked at the most before they are sent, settled by what was billed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .endpoints import Endpoint
from .job import Job
from .purse import Booking
from .replies import Sound
from .tokens import estimate_tokens, most_tokens, utf8_size
from .types import Batch, EndpointUse, Reply, Report


def most_billed(job: Job, batch: Batch) -> int:
    """Tokens that a request can cost at most, whatever its texts are."""
    bound = job.shared.bound
    most = (most_tokens(text, utf8_size(text), normalised=bound.normalises) for text in batch.texts)
    return sum(most) + bound.added * len(batch.texts)


def count_billed(job: Job, batch: Batch) -> int | None:
    """Tokens that a request costs, where the provider's own tokenizer is at hand."""
    counter = job.shared.billed_by()
    return None if counter is None else sum(counter.counts(batch.texts)) + counter.overhead * len(batch.texts)


def begin_request(job: Job, batch: Batch, booking: Booking, endpoint: Endpoint) -> None:
    """A booked request is being sent."""
    booking.sent = True
    job.expect(job.shared.timeout)
    with job.lock:
        job.sent.update(batch.rows)
        job.report.requests += 1
        if job.shared.pool is not None:
            job.use_of(endpoint).requests += 1
        job.pending += booking.at_most


def settle_request(job: Job, booking: Booking, tokens: int, told: int | None = None) -> None:
    """A request cost so many tokens, or at most so many; the report tells `told`, if that is another number."""
    if job.shared.purse.settle(booking, tokens) and booking.sent:
        with job.lock:
            job.pending -= booking.at_most
            job.paid += tokens if told is None else told


def record_answer(job: Job, batch: Batch, reply: Reply, sound: Sound, tokens: Mapping[int, int]) -> list[int]:
    """Put an answered request into the report; returns the rows that have a sound vector."""
    total = sum(tokens.values()) if reply.tokens is None else reply.tokens
    with job.lock:
        job.answered += 1
        job.report.tokens += total
        job.report.tokens_from = "estimate" if reply.tokens is None else "provider"
        for position, kept in reply.cut.items():
            row = batch.rows[position]
            # At least one token more than was sent: that is how the cache knows a cut text.
            job.cuts.setdefault(row, (max(tokens[row] + 1, estimate_tokens(job.sizes[row])), kept))
    return [batch.rows[position] for position in sound.positions]


MOST_CUTS = 1000
"""Texts that were cut of which a total tells one by one."""


def add_report(total: Report, more: Report) -> None:
    """Add a call's report to a total; of its single texts, those that were cut."""
    # One by one: each query that the cache answers waits for this.
    total.texts += more.texts
    total.unique += more.unique
    total.hits += more.hits
    total.shared += more.shared
    total.from_batch += more.from_batch
    total.misses += more.misses
    total.requests += more.requests
    total.retries += more.retries
    total.waited += more.waited
    total.tokens += more.tokens
    total.tokens_saved += more.tokens_saved
    total.paid_again += more.paid_again
    total.cut_texts += more.cut_texts
    total.seconds += more.seconds
    if more.cut:
        total.cut = (total.cut + more.cut)[-MOST_CUTS:]
    if more.endpoints:
        total.endpoints = add_uses(total.endpoints, more.endpoints)
    if more.requests:  # a call that asked for nothing has no tokens to speak of
        total.tokens_from = more.tokens_from
    if more.cost is not None and more.saved is not None:
        total.cost = (total.cost or 0.0) + more.cost
        total.saved = (total.saved or 0.0) + more.saved


def add_uses(total: Sequence[EndpointUse], more: Sequence[EndpointUse]) -> tuple[EndpointUse, ...]:
    """Add what endpoints did, by their names; of states, the later one holds."""
    by_name = {each.name: each for each in total}
    for each in more:
        before = by_name.get(each.name, EndpointUse(each.name))
        requests, tokens = before.requests + each.requests, before.tokens + each.tokens
        by_name[each.name] = EndpointUse(each.name, requests, tokens, before.failed + each.failed, each.state)
    return tuple(by_name.values())
