"""The proof that an endpoint's vectors are the pool's: fixed texts, asked of it or remembered by the cache."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from operator import itemgetter

import numpy as np

from embedbridge import events
from embedbridge.errors import RequestFailed

from .attempt import attempt_at, ending
from .deadlines import deadline_error
from .effects import Call, Flow, Tell, Wait, Who, WouldDeadlock
from .endpoints import Elsewhere, Endpoint, Pool, Proving, told_of
from .job import Job
from .kinds import Kind
from .proof import RUNGS, SHORT, CanarySet, difference, proof_keys, reference_key, rung_of, told_key, week_of
from .replies import check_reply
from .retry import Verdict, judge
from .sending import send, wait_for_place
from .tokens import estimate_tokens, utf8_size
from .types import Batch, Reply, Route, Vectors

PATIENCE = 20.0
"""Seconds for a request with short fixed texts: what does not answer them in time is not waited for longer."""


def get_proved(job: Job, pool: Pool, endpoint: Endpoint, need: CanarySet) -> Flow[None]:
    """Have an endpoint prove that its vectors are the pool's. Raises `RequestFailed` where they are not."""
    if need in endpoint.proved:
        return
    if endpoint.out is not None:
        raise endpoint.out
    done: Future[Vectors | None] = Future()
    other = pool.claim(Proving(endpoint, done, (yield Who())))
    if other is not None and (yield from ended(job, other)):
        if need not in endpoint.proved:
            raise Elsewhere(*(each for each in (other.endpoint,) if need not in each.proved))
        return
    try:
        yield from prove(job, pool, endpoint, need)
    finally:
        pool.release(endpoint, done)


def set_of(job: Job, sizes: Iterable[int]) -> CanarySet:
    """What proves texts of so many bytes in the role of a call."""
    size = max(sizes, default=0)
    return CanarySet(job.route.wire_type, rung_of(size, job.shared.limits.text_tokens))


def prove_by_memory(job: Job, pool: Pool, endpoint: Endpoint, need: CanarySet) -> Flow[None]:
    """Believe what an endpoint has proved this week, in whichever process."""
    chosen = pool.set_for(need)
    reference = pool.references.get(chosen)
    kept = yield from read_canary(job, _proof_keys(job, endpoint, chosen))
    if reference and kept and not difference(kept, reference)[1]:
        endpoint.prove(chosen.below(), week_of(job.shared.wall()))


def ended(job: Job, other: Proving) -> Flow[bool]:
    """Wait for another call that proves an endpoint; False where that does not go on."""
    job.expect(job.timeout())
    try:
        yield Wait(other.done, other.owner, job.timeout())
    except (TimeoutError, WouldDeadlock):
        if job.out_of_time():
            raise deadline_error(job, "an endpoint proved its vectors") from None
        return False
    return True


def prove(job: Job, pool: Pool, endpoint: Endpoint, need: CanarySet) -> Flow[None]:
    """Compare an endpoint's vectors of the fixed texts with the reference's; without a reference they become it.

    One that has proved nothing is first compared where there is a reference: it cannot be that of another role. Where
    a cache has none, the first is of one set, whoever needs which: of processes that begin at once one decides it.
    """
    yield from recall_references(job, pool, need)
    chosen, begun = pool.set_for(need), list(pool.references)
    if not begun and job.shared.store is not None:
        begun = [CanarySet(pool.wires[0])]
    if chosen not in (*pool.references, *begun) and begun and not endpoint.proved:
        yield from prove_set(job, pool, endpoint, begun[0])
    yield from prove_set(job, pool, endpoint, chosen)


def prove_set(job: Job, pool: Pool, endpoint: Endpoint, each: CanarySet) -> Flow[None]:
    """Have the vectors of one set, of this week or asked for now, and judge them. Raises `RequestFailed`."""
    reference, keys, suspicions = pool.references.get(each), _proof_keys(job, endpoint, each), endpoint.suspicions
    kept = (yield from read_canary(job, keys)) if endpoint.remembers else {}
    ours = kept
    if not kept or difference(kept, reference or kept)[1]:
        ours = yield from ask_canary(job, endpoint, each, None if reference is None else max(reference) + 1)
    if reference is None:
        pool.references[each] = reference = yield from hold_reference(job, each, ours)
    far, fault = difference(ours, reference)
    if ours is not kept:  # wrong ones, too: no other process believes what was proved before
        told = {} if fault else {len(keys): ours[0]}
        yield from write_canary(job, [*keys, _told_key(job, endpoint, endpoint.told)], ours | told)
    if fault:
        said = f"endpoint {endpoint.name} answers the same texts otherwise than the reference of the pool: {fault}"
        raise RequestFailed(said, kind=Kind.SPACE)
    if suspicions == endpoint.suspicions:
        endpoint.prove(each.below(), week_of(job.shared.wall()))
    yield Tell(job.shared.emit, events.EndpointProved(job.number, endpoint.name, far, reference is ours))


def ask_canary(job: Job, endpoint: Endpoint, each: CanarySet, most: int | None) -> Flow[dict[int, Vectors]]:
    """The endpoint's vectors of the first `most` fixed texts, which the reference has read.

    None: of all; it becomes the reference, and may find the long one too long.
    """
    texts = each.texts(job.shared.limits.text_tokens)[:most]
    try:
        vectors = yield from ask_fixed(job, endpoint, texts, each)
    except RequestFailed as failure:
        if judge(failure) is not Verdict.DIVIDE:
            raise
        if most is None:
            return (yield from ask_canary(job, endpoint, each, len(SHORT)))
        said = f"endpoint {endpoint.name} refuses fixed texts of up to {utf8_size(texts[-1])} bytes"
        raise RequestFailed(f"{said}: {failure}", kind=Kind.SPACE) from failure
    return dict(enumerate(vectors))


def ask_fixed(job: Job, endpoint: Endpoint, texts: Sequence[str], each: CanarySet) -> Flow[Vectors]:
    """Send fixed texts to an endpoint; they cost what other texts cost. Raises `RequestFailed`."""
    route = Route(job.route.input_type, "", each.wire, job.route.source)
    batch = Batch(tuple(texts), (), route, estimate_tokens(sum(map(utf8_size, texts))))
    attempt = attempt_at(job, batch, endpoint, fixed=True)
    with ending(job, attempt):
        yield from wait_for_place(job, batch, attempt)
        reply = yield from send(job, batch, attempt, patience=math.inf if each.rung else PATIENCE)
    endpoint.limiter.learn(reply.headers)
    yield from recall_told(job, endpoint, reply)
    if not endpoint.agrees(reply):
        endpoint.told = told_of(reply)
    count_answer(job, endpoint, batch, reply)
    sound = check_reply(reply, len(texts), width=None)
    if sound.faults:
        raise RequestFailed(f"a vector is {next(iter(sound.faults.values()))}", kind=Kind.VALUE, billed=True)
    return sound.vectors


def count_answer(job: Job, endpoint: Endpoint, batch: Batch, reply: Reply) -> None:
    """Put the tokens of an answer to fixed texts into the report."""
    tokens = batch.tokens if reply.tokens is None else reply.tokens
    with job.lock:
        job.report.tokens += tokens
        job.use_of(endpoint).tokens += tokens


# What the cache holds of it.


def recall_references(job: Job, pool: Pool, need: CanarySet) -> Flow[None]:
    """Have known what the cache holds of all references, once, and of that of a role that comes later."""
    wires = (need.wire, *pool.wires) if not pool.recalled else (need.wire,) * (need.wire not in pool.wires)
    for wire in dict.fromkeys(wires):
        for rung in range(len(RUNGS)):
            yield from recall_reference(job, pool, CanarySet(wire, rung))
    pool.recalled = True


def recall_reference(job: Job, pool: Pool, each: CanarySet) -> Flow[None]:
    """Have known what the cache holds of a reference."""
    if each not in pool.references and (found := (yield from hold_reference(job, each))):
        pool.references[each] = found


def hold_reference(job: Job, each: CanarySet, ours: dict[int, Vectors] | None = None) -> Flow[dict[int, Vectors]]:
    """The reference that the cache holds; if it holds none, ours from now on, for all processes."""
    store = job.shared.store
    if store is None:
        return ours or {}
    key = reference_key(job.shared.identity, each, each.texts(job.shared.limits.text_tokens))
    vectors = None if ours is None else np.stack(list(ours.values()))
    held = yield Call(partial(store.hold_vectors, key, vectors, patience=job.patience), blocking=store.blocking)
    if held is None or (vectors is not None and np.array_equal(held, vectors)):
        return ours or {}
    return dict(enumerate(held))


def read_canary(job: Job, keys: Sequence[bytes]) -> Flow[dict[int, Vectors]]:
    """The vectors of fixed texts that the cache has, by place, up to the first that it has not."""
    store = job.shared.store
    if store is None:
        return {}
    hits = yield Call(partial(store.read, keys, None, counted=False, patience=job.patience), blocking=store.blocking)
    found = sorted(zip(hits.rows.tolist(), hits.vectors, strict=True), key=itemgetter(0))
    return {row: vector for place, (row, vector) in enumerate(found) if row == place}


def write_canary(job: Job, keys: Sequence[bytes], vectors: dict[int, Vectors]) -> Flow[None]:
    """Have the cache hold the vectors of fixed texts."""
    store, places = job.shared.store, sorted(vectors)
    if store is None or not places:
        return
    matrix, none = np.stack([vectors[at] for at in places]), [0] * len(places)
    write = partial(store.write, [keys[at] for at in places], matrix, none, none, patience=job.patience)
    yield Call(write, blocking=store.blocking)


def recall_told(job: Job, endpoint: Endpoint, reply: Reply) -> Flow[None]:
    """Know that an endpoint told the same when it proved its vectors in another process, if the cache knows it."""
    told = told_of(reply)
    if not endpoint.told and (yield from read_canary(job, [_told_key(job, endpoint, told)])):
        endpoint.told = told


def _told_key(job: Job, endpoint: Endpoint, told: Sequence[str]) -> bytes:
    return told_key(job.shared.identity, endpoint, told, job.shared.wall())


def _proof_keys(job: Job, endpoint: Endpoint, each: CanarySet) -> list[bytes]:
    texts = each.texts(job.shared.limits.text_tokens)
    return proof_keys(job.shared.identity, endpoint, each, texts, job.shared.wall())
