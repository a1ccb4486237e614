"""One embedding call, top to bottom, once for threads and event loops alike.

Flows decide and yield effects; a driver performs them. Read from `embed` downwards; what happens to one batch stands
in `delivery.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from embedbridge import events
from embedbridge.errors import EmbeddingError, PendingError

from .answers import store_and_publish
from .deadlines import call_in_time, deadline_error
from .delivery import deliver
from .effects import Call, Flow, Gather, Tell, Wait, Who, WouldDeadlock
from .flights import Followed
from .job import Job
from .keys import awaited_keys
from .length import COUNTED, count_all, fit
from .lessons import assume_cuts, is_first_contact, knows_better, outgrows
from .locks import outer
from .look_ups import look_up, look_up_alone, look_up_elsewhere
from .outcome import error_of
from .packing import plan
from .seams import OnTheirWay
from .sending import sleep_in_time
from .types import Batch, Vectors

FOLLOWED = 2
"""How often a call waits for others that fetch its texts; if these fail each time, it asks for the texts itself."""
FIRST_LOOK, LAST_LOOK = 1.0, 60.0
"""Seconds between two looks at a batch that is waited for; longer each time."""


def embed(job: Job) -> Flow[None]:
    """Give every row of a job its vector. Raises the call's one error when some have none."""
    rows: Sequence[int] = range(len(job.keys))
    try:
        if job.missed is None:
            rows = yield from look_up(job, rows)
        elif not job.missed.everywhere:
            rows = yield from look_up_elsewhere(job, rows)
        try:
            if job.shared.pool is not None:
                rows = yield from look_up_alone(job, rows, job.shared.pool)
            if job.heard:
                yield Tell(job.shared.emit, events.CacheRead(job.number, job.report.hits, len(rows)))
            if job.shared.on_their_way is not None:
                rows = yield from leave_to_batches(job, rows, job.shared.on_their_way)
            yield from obtain(job, rows)
        except EmbeddingError as failure:
            job.fail(rows, failure, fatal=True)
    finally:
        job.end()
    if not all(job.have) and (error := error_of(job)) is not None:
        raise error


def estimate(job: Job) -> Flow[list[Batch]]:
    """The requests that a call would send first. Raises `InputTooLongError` where the call would."""
    job.estimating = True
    rows = yield from look_up(job, range(len(job.keys)))
    if job.shared.pool is not None:
        rows = yield from look_up_alone(job, rows, job.shared.pool)
    if job.shared.on_their_way is not None:
        pending = yield from find_pending(job, rows, job.shared.on_their_way)
        rows = [row for row in rows if row not in pending]
    if (counter := (yield from call_in_time(job, job.shared.billed_by, COUNTED))) is not None:
        yield from call_in_time(job, partial(count_all, job, rows, counter), COUNTED)
    if job.shared.policy == "truncate":
        assume_cuts(job, rows)  # what is sent of a long text is known without a tokenizer
        return plan(job, rows)
    return plan(job, (yield from fit_misses(job, rows)))


def find_misses(job: Job) -> Flow[list[int]]:
    """What a batch API is handed: the rows that the cache lacks, as they are sent, or the parts of those."""
    job.estimating = True  # the call that finds vectors later counts what it saves
    rows = yield from look_up(job, range(len(job.keys)))
    job.estimating = False  # texts that may be too long are to go by themselves, as in a call
    try:
        return (yield from fit_misses(job, rows))
    finally:
        job.estimating = True
        if job.ended is not None:
            job.shared.flights.unwatch(job.ended)


def fit_misses(job: Job, rows: Sequence[int]) -> Flow[list[int]]:
    """Cut or split rows as the policy says; returns them, with lacking parts in place of rows that were split."""
    split = yield from fit(job, rows)
    if job.stop is not None:
        raise error_of(job) or job.stop
    pieces = {job.keys[piece]: piece for row in split for piece in job.pieces[row]}
    lacking = yield from look_up(job, list(pieces.values()))
    return [*(row for row in rows if row not in job.pieces), *lacking]


def leave_to_batches(job: Job, rows: Sequence[int], batches: OnTheirWay) -> Flow[Sequence[int]]:
    """Wait for rows that a batch API has, or have them fail, as the user wants it; returns the rows to ask for."""
    pause, hits = FIRST_LOOK, job.report.hits
    pending = yield from find_pending(job, rows, batches)
    while pending and batches.waits:
        yield from sleep_in_time(job, pause, "waiting for a batch")
        yield from call_in_time(job, partial(batches.collect, [*pending.values()]), "taking in a batch")
        rows = yield from look_up(job, rows)
        pending = yield from find_pending(job, rows, batches)
        pause = min(LAST_LOOK, 2 * pause)
    job.report.from_batch = job.report.hits - hits
    if left := [row for row in rows if row in pending]:
        job.fail(left, pending_error(job, left))
    return [row for row in rows if row not in pending]


def find_pending(job: Job, rows: Sequence[int], batches: OnTheirWay) -> Flow[dict[int, bytes]]:
    """The rows that are on their way, as they are asked for or wider → the key that says so."""
    keys = awaited_keys(job, rows)
    found = yield Call(partial(batches.find, [*keys]))
    return {keys[key]: key for key in found}


def pending_error(job: Job, rows: Sequence[int]) -> PendingError:
    """The error for texts that are left to a batch."""
    places = job.places(rows)
    shown = ", ".join(map(str, places[:10])) + (", …" if len(places) > 10 else "")
    told = "collect it, wait for it with batch='wait', or pay for them now with batch='pay'"
    return PendingError(
        f"{job.where()}: {len(places)} text(s), at {shown}, are in a batch that has not come back; {told}"
    )


def obtain(job: Job, rows: Sequence[int]) -> Flow[None]:
    """Give rows their vectors. What another call is fetching is not fetched again, unless that call may wait for us.

    It may where this call is made inside a request of another, by a wrapped object that asks an embedder itself.
    """
    others_wait = not {job.shared.identity, job.shared.throttle or job.shared.identity}.isdisjoint(outer.get())
    for _ in range(0 if job.fresh or others_wait else FOLLOWED):
        if rows and job.stop is None:
            rows = yield from share(job, rows)
    if rows:
        yield from fetch_whole(job, rows)


def fetch_whole(job: Job, rows: Sequence[int]) -> Flow[None]:
    """Fetch rows, and the pieces of those that were split."""
    if split := (yield from fetch(job, rows)):
        yield from average(job, split)


def share(job: Job, rows: Sequence[int]) -> Flow[Sequence[int]]:
    """Fetch what no other call is fetching, then wait for the rest; returns the rows that other calls gave up."""
    flights, owner = job.shared.flights, (yield Who())
    positions, others = flights.claim([job.keys[row] for row in rows], job.number, owner)
    mine: Sequence[int] = [rows[position] for position in positions]
    try:
        if mine:
            job.expect(job.shared.timeout)
        if job.ended is None or job.ended.keys:
            mine = yield from take_landed(job, mine)
        if job.ended is not None:
            flights.unwatch(job.ended)
            job.ended = None
        split = yield from fetch(job, mine)
    finally:
        flights.release([job.keys[rows[position]] for position in positions], job.number)
    # From here on nobody waits for this call, so it may wait for others: no two calls ever wait for each other.
    if split:
        yield from average(job, split)
    return (yield from receive(job, rows, others)) if others else []


def take_landed(job: Job, rows: Sequence[int]) -> Flow[Sequence[int]]:
    """Look up what other calls have fetched since this one read the cache, or waited; returns the other rows."""
    flights, ended = job.shared.flights, job.ended
    stored = [row for row in rows if ended is None or job.keys[row] in ended.keys]
    if stored:
        yield from look_up(job, stored)
        found = [row for row in stored if job.have[row]]
        flights.land([job.keys[row] for row in found], job.table[found])
        rows = [row for row in rows if not job.have[row]]
    return rows


def receive(job: Job, rows: Sequence[int], others: Iterable[Followed]) -> Flow[Sequence[int]]:
    """Take the vectors that other calls have fetched; returns the rows that they gave up or cannot fetch now."""
    given_up = []
    job.expect(0.0)
    for other in others:
        row = rows[other.position]
        try:
            vector = yield from follow(job, other)
        except TimeoutError:
            job.fail([row], deadline_error(job, "another call asked for the same text"), fatal=True)
            continue
        if vector is None:
            given_up.append(row)
        else:
            job.fill([row], vector[np.newaxis])
            job.report.shared += row not in job.parent
    return given_up


def follow(job: Job, other: Followed) -> Flow[Vectors | None]:
    """Wait for a vector as long as calls get on; None when it will not come. Raises TimeoutError at the deadline."""
    flights, clock = job.shared.flights, job.shared.clock
    while not other.future.done():
        left, patience = job.left(), max(0.0, flights.until - clock())
        last = left is not None and left <= patience
        try:
            vector: Vectors | None = yield Wait(other.future, other.owner, left if last else patience)
        except WouldDeadlock:
            return None
        except TimeoutError:
            if last:
                raise
            if clock() >= flights.until:
                return None
        else:
            return vector
    return other.future.result()


def fetch(job: Job, rows: Sequence[int]) -> Flow[list[int]]:
    """Measure rows, pack them into batches, and ask the provider for several batches at once.

    Returns:
        The rows that were split into pieces instead of asked for.
    """
    if not rows or job.stop is not None:
        return []
    if job.shared.limits.padded:
        # With estimated lengths, half of a batch would be padding.
        yield from call_in_time(job, lambda: count_all(job, rows, job.shared.counter()), COUNTED)
    split = yield from fit(job, rows)
    if job.shared.throttle is not None:
        yield from call_in_time(job, lambda: count_all(job, rows, job.shared.counter()), COUNTED)
    whole = [row for row in rows if row not in job.pieces] if split else rows
    job.wanted.update(row for row in rows if row not in job.parent)
    batches = plan(job, whole)
    if len(batches) > 1:
        split += yield from deliver_first(job, batches)
    if batches:
        yield Gather([deliver(job, batch) for batch in batches])
    late, job.late = job.late, []
    return split + late


def deliver_first(job: Job, batches: list[Batch]) -> Flow[list[int]]:
    """Take from `batches` and deliver those that may teach how large requests may be, and pack the others by that.

    Returns:
        The rows that were split into pieces instead of asked for.
    """
    split: list[int] = []
    first = is_first_contact(job, batches)
    while first or (len(batches) > 1 and outgrows(job, batches[0])):
        first = False
        yield Gather([deliver(job, batches.pop(0))])  # what it teaches, the others need not find out all at once
        if any(knows_better(job, batch) for batch in batches):
            rest = [row for batch in batches for row in batch.rows]
            split += yield from fit(job, rest)
            batches[:] = plan(job, [row for row in rest if row not in job.pieces])
    return split


def average(job: Job, rows: Sequence[int]) -> Flow[None]:
    """Embed the pieces of long texts. A text's vector is their mean, weighted by tokens, brought to unit length."""
    lacking, before = job.lacking(rows), None
    while lacking and lacking != before and job.stop is None:  # a piece may turn out to be too long itself
        found = yield from look_up(job, lacking)
        yield from obtain(job, found)
        lacking, before = job.lacking(rows), lacking
    for row in rows:
        pieces = job.pieces[row]
        if all(job.have[piece] for piece in pieces):
            mean = np.average(job.table[pieces], axis=0, weights=[job.counted[piece] for piece in pieces])
            mean /= np.linalg.norm(mean) or 1.0
            yield from store_and_publish(job, [row], mean.astype(np.float32)[np.newaxis], [job.counted[row]])
