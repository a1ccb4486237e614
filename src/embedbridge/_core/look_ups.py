"""Looks for texts in the cache: under their own keys, under others that they may have, and before there is a call.

A single text of which nothing has to be decided is looked for by `recall`, without a job, a flow, and events that
nobody takes. What is not found goes the whole way, but for this look.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from .answers import FEW
from .effects import Call, Flow
from .endpoints import Endpoint, Pool
from .finish import unit_length
from .job import Job
from .keys import NEVER_REFUSED, KeyRules, former_keys_of, keys_of, make_key, make_keys, narrowable
from .pooling import could_prove, proved_for
from .proving import set_of
from .seams import Store
from .shared import Role, Shared
from .types import Cut, EmbeddingResult, Hits, Report
from .widths import recall_width


def plain_text(shared: Shared, role: Role, text: str) -> bytes | None:
    """A text that is sent as it is after the prefix of its role, in UTF-8; None where more has to be decided."""
    prefix = role.route.prefix
    if role.titled or not text or text.isspace() or (prefix and text.startswith(prefix)):
        return None
    try:
        encoded = (prefix + text).encode()
    except UnicodeEncodeError:
        return None
    return None if shared.may_be_cut(encoded) else encoded


class Missed(NamedTuple):
    """What is known of a text that the cache does not have, or not in a form that can be used."""

    key: bytes
    landings: int
    """Those of `Flights`, before the look."""
    everywhere: bool
    """Whether it was looked for under all keys that it may have."""


def recall(shared: Shared, store: Store, role: Role, encoded: bytes) -> EmbeddingResult | Missed:
    """The result of a call for one text that the cache has. Whoever gets it counts it in the embedder's total."""
    begun, landings = shared.clock(), shared.flights.landings
    key = make_key(role.rules.base, encoded)
    kept = store.read_one(key, shared.width)
    if kept is None:
        seems_long = shared.policy != "error" and len(encoded) > NEVER_REFUSED
        if seems_long or role.full_width_rules is not None:
            return Missed(key, landings, everywhere=False)
        if role.rules.former is not None:
            kept = store.read_one(make_key(role.rules.former, encoded), shared.width, again=True)
        if kept is None:
            return Missed(key, landings, everywhere=True)
    vectors, tokens, before = kept
    report = Report(1, 1, 1, tokens_saved=max(tokens, 0))
    if cut := shared.cut_of(tokens, before):
        report.cut, report.cut_texts = (Cut(0, *cut),), 1
    if shared.purse.priced:
        report.cost, report.saved = 0.0, shared.purse.dollars(report.tokens_saved)
    result = EmbeddingResult(shared.finish(vectors), report)
    report.seconds = shared.clock() - begun
    return result


def look_up(job: Job, rows: Sequence[int]) -> Flow[Sequence[int]]:
    """Read the cache in bulk; returns the rows that it does not have."""
    store = job.store
    if not job.estimating:
        job.ended = job.shared.flights.watch(job.ended)
    if store is None or not rows:
        return rows
    if job.shared.width is None:
        yield from recall_width(job)
    keys = [job.keys[row] for row in rows]
    read = partial(store.read, keys, job.shared.width, counted=not job.estimating, patience=job.patience)
    hits: Hits = yield Call(read, blocking=store.blocking or len(keys) > FEW)
    rows = take(job, rows, hits)
    return (yield from look_up_elsewhere(job, rows)) if rows else rows


def look_up_elsewhere(
    job: Job, rows: Sequence[int], role: Role | None = None, own: Sequence[Sequence[bytes]] = ()
) -> Flow[Sequence[int]]:
    """Look for rows under other keys than the cache was asked for, `own` first; returns those that it lacks."""
    role = role or job.role
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


def look_up_alone(job: Job, rows: Sequence[int], pool: Pool) -> Flow[Sequence[int]]:
    """Look for what endpoints of a pool gave when they were alone; returns the rest.

    What an endpoint gave is read once it has proved its vectors, and it is asked to where the cache has some of it.
    """
    roles = dict(job.role.members)
    if not rows or not roles or job.store is None:
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
    hits: Hits = yield Call(read, blocking=store.blocking or len(keys) > FEW)
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
    hits: Hits = yield Call(read, blocking=store.blocking or len(keys) > FEW)
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
