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

from .answers import FEW, store_and_publish
from .deadlines import call_in_time, deadline_error
from .delivery import deliver
from .effects import Flow, WouldDeadlock, call, gather, tell, wait, who
from .endpoints import Endpoint, Pool
from .finish import unit_length
from .flights import Followed
from .job import Job
from .keys import KeyRules, awaited_keys, former_keys_of, keys_of, make_keys, narrowable
from .length import COUNTED, count_all, fit
from .lessons import assume_cuts, is_first_contact, knows_better, outgrows
from .locks import outer
from .packing import plan
from .pooling import could_prove, proved_for
from .proving import set_of
from .sending import sleep_in_time
from .shared import Role
from .types import Batch, Hits, OnTheirWay, Vectors
from .widths import recall_width

FOLLOWED = 2
"""How often a call waits for others that fetch its texts; if these fail each time, it asks for the texts itself."""
FIRST_LOOK, LAST_LOOK = 1.0, 60.0
"""Seconds between two looks at a batch that is waited for; longer each time."""
NEVER_REFUSED = 64
"""Bytes of a text that no model finds too long."""


def embed(job: Job) -> Flow[None]:
    """Give every row of a job its vector. Raises the call's one error when some have none."""
    try:
        rows = yield from look_up(job, range(len(job.keys)))
        try:
            rows = yield from look_up_alone(job, rows)
            if job.heard:
                yield from tell(job.shared.emit, events.CacheRead(job.number, job.report.hits, len(rows)))
            if job.shared.on_their_way is not None:
                rows = yield from leave_to_batches(job, rows, job.shared.on_their_way)
            if rows:
                yield from obtain(job, rows)
        except EmbeddingError as failure:
            job.fail(rows, failure, fatal=True)
    finally:
        job.shared.flights.unwatch(job.ended)
        job.complete_report()  # of a call that is given up, too
    error = job.outcome()
    if error is not None:
        raise error


def estimate(job: Job) -> Flow[list[Batch]]:
    """The requests that a call would send first. Raises `InputTooLongError` where the call would."""
    job.estimating = True
    rows = yield from look_up_alone(job, (yield from look_up(job, range(len(job.keys)))))
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
        job.shared.flights.unwatch(job.ended)


def fit_misses(job: Job, rows: Sequence[int]) -> Flow[list[int]]:
    """Cut or split rows as the policy says; returns them, with lacking parts in place of rows that were split."""
    split = yield from fit(job, rows)
    if job.stop is not None:
        raise job.outcome() or job.stop
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
    found = yield from call(partial(batches.find, [*keys]))
    return {keys[key]: key for key in found}


def pending_error(job: Job, rows: Sequence[int]) -> PendingError:
    """The error for texts that are left to a batch."""
    places = job.places(rows)
    shown = ", ".join(map(str, places[:10])) + (", …" if len(places) > 10 else "")
    told = "collect it, wait for it with batch='wait', or pay for them now with batch='pay'"
    return PendingError(
        f"{job.where()}: {len(places)} text(s), at {shown}, are in a batch that has not come back; {told}"
    )


def look_up(job: Job, rows: Sequence[int]) -> Flow[Sequence[int]]:
    """Read the cache in bulk; returns the rows that it does not have."""
    store = job.store
    if job.missed:  # the short way, before this call, has looked under the text's own key
        job.missed = False
        return (yield from look_up_elsewhere(job, rows, job.role))
    if not job.estimating:
        job.ended = job.shared.flights.watch(job.ended)
    if store is None or not rows:
        return rows
    if job.shared.width is None:
        yield from recall_width(job)
    keys = [job.keys[row] for row in rows]
    read = partial(store.read, keys, job.shared.width, counted=not job.estimating, patience=job.patience)
    hits: Hits = yield from call(read, blocking=store.blocking or len(keys) > FEW)
    rows = take(job, rows, hits)
    return (yield from look_up_elsewhere(job, rows, job.role)) if rows else rows


def look_up_elsewhere(
    job: Job, rows: Sequence[int], role: Role, own: Sequence[Sequence[bytes]] = ()
) -> Flow[Sequence[int]]:
    """Look for rows under other keys than the cache was asked for, `own` first; returns those that it lacks."""
    rows = yield from look_up_under(job, rows, [*own, *other_keys(job, rows, role.rules)], job.shared.width)
    if rows and job.shared.full_width is not None and role.full_width_rules is not None:
        rows = yield from look_up_full_width(job, rows, role.full_width_rules, job.shared.full_width[1])
    return rows


def other_keys(job: Job, rows: Sequence[int], rules: KeyRules) -> list[list[bytes]]:
    """Keys of texts that turned out to be too long, and those of releases before."""
    encoded = job.encoded(rows)
    may_be_refused = job.shared.policy != "error" and max(map(len, encoded)) > NEVER_REFUSED
    refused = make_keys(rules.refused, encoded) if may_be_refused else []
    return [refused, former_keys_of(job.shared, rules, encoded)]


def look_up_full_width(job: Job, rows: Sequence[int], rules: KeyRules, width: int) -> Flow[Sequence[int]]:
    """Look for wider vectors in the cache and cut them, as the API itself would; returns the rows still missing."""
    known = narrowable(job, rows)
    encoded = job.encoded(known)
    yield from look_up_under(
        job, known, [keys_of(job.shared, rules, encoded), former_keys_of(job.shared, rules, encoded)], width
    )
    return [row for row in rows if not job.have[row]]


def look_up_alone(job: Job, rows: Sequence[int]) -> Flow[Sequence[int]]:
    """Look for what endpoints of a pool gave when they were alone; returns the rest.

    What an endpoint gave is read once it has proved its vectors, and it is asked to where the cache has some of it.
    """
    pool, roles = job.shared.pool, dict(job.role.members)
    if not rows or pool is None or not roles or job.store is None:
        return rows
    proved = yield from proved_for(job, rows)
    for each in (*proved, *(each for each in pool.endpoints if each not in proved)):
        if not rows or each.identity is None or (role := roles.get(each.identity)) is None:
            continue
        if each in proved or (yield from proves_what_is_kept(job, pool, rows, each, role)):
            rows = yield from look_up_elsewhere(job, rows, role, [keys_of(job.shared, role.rules, job.encoded(rows))])
            del roles[each.identity]
    return rows


def proves_what_is_kept(job: Job, pool: Pool, rows: Sequence[int], endpoint: Endpoint, role: Role) -> Flow[bool]:
    """Whether an endpoint gave some of the rows when it was alone, and proves its vectors now."""
    store, encoded = job.store, job.encoded(rows)
    if store is None or job.estimating or endpoint.out is not None or endpoint.breaker.failures:
        return False
    rules = [each for each in (role.rules, role.full_width_rules) if each is not None]
    under = [[keys_of(job.shared, each, encoded), *other_keys(job, rows, each)] for each in rules]
    keys = [key for each in under for some in each for key in some]
    read = partial(store.read, keys, None, counted=False, again=True, patience=job.patience)
    hits: Hits = yield from call(read, blocking=store.blocking or len(keys) > FEW)
    need = set_of(job, (job.sizes[row] for row in rows))
    return bool(len(hits.rows)) and (yield from could_prove(job, pool, endpoint, need))


def look_up_under(
    job: Job, rows: Sequence[int], others: Sequence[Sequence[bytes]], width: int | None
) -> Flow[Sequence[int]]:
    """Look for rows under other keys, in one read: each of `others` is a key for every row, or empty."""
    store, keys = job.store, [key for each in others for key in each]
    if store is None or not keys:
        return rows
    read = partial(store.read, keys, width, counted=not job.estimating, again=True, patience=job.patience)
    hits: Hits = yield from call(read, blocking=store.blocking or len(keys) > FEW)
    at, first = np.unique(hits.rows % len(rows), return_index=True)
    vectors = hits.vectors[first]
    if width != job.shared.width:
        vectors = unit_length(vectors[:, : job.shared.width])
    return take(job, rows, Hits(at, vectors, hits.tokens[first], hits.before[first]))


def take(job: Job, rows: Sequence[int], hits: Hits) -> Sequence[int]:
    """Take over the vectors that the cache has of rows; returns the other rows."""
    if not len(hits.rows) or not job.shared.agree(hits.vectors.shape[1], cached=True):
        return rows
    found = [rows[position] for position in hits.rows.tolist()]
    job.fill(found, hits.vectors, ours=True)
    job.recall(found, hits)
    return [row for row in rows if not job.have[row]]


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
    flights, owner = job.shared.flights, (yield from who())
    job.expect(0.0)
    positions, others = flights.claim([job.keys[row] for row in rows], job.number, owner)
    try:
        mine = yield from take_landed(job, [rows[position] for position in positions])
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
    flights.unwatch(job.ended)
    job.ended = None
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
            return (yield from wait(other.future, other.owner, left if last else patience))
        except WouldDeadlock:
            return None
        except TimeoutError:
            if last:
                raise
            if clock() >= flights.until:
                return None
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
    yield from gather([deliver(job, batch) for batch in batches])
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
        yield from gather([deliver(job, batches.pop(0))])  # what it teaches, the others need not find out all at once
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
