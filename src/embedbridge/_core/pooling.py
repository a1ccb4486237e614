"""An endpoint of a pool: it proves its vectors before it serves, and what it fails with decides who is asked next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from operator import itemgetter

import numpy as np

from embedbridge import events
from embedbridge.errors import RequestFailed

from .attempt import Attempt, Tries, attempt_at, ending
from .blame import Blame, blame_of
from .deadlines import deadline_error
from .effects import Flow, WouldDeadlock, call, tell, wait, who
from .endpoints import (
    Elsewhere,
    Endpoint,
    Pool,
    Proving,
    casts_doubt,
    choose,
    counts_against,
    is_own_fault,
    told_of,
)
from .job import Job
from .kinds import Kind
from .proof import RUNGS, SHORT, CanarySet, difference, proof_keys, reference_key, rung_of, told_key, week_of
from .replies import check_reply
from .retry import Verdict, is_too_fast, is_too_long, judge
from .sending import send, wait_for_place
from .tokens import estimate_tokens, utf8_size
from .types import Batch, Reply, Route, Vectors

PATIENCE = 20.0
"""Seconds for a request with short fixed texts: what does not answer them in time is not waited for longer."""
PROOFS = 3
"""Proofs that are asked for one answer, where another model or server answers each of them."""
TURNS = "several models or servers answer at this address in turn; name each as an endpoint of its own"


# The proof.


def get_proved(job: Job, pool: Pool, endpoint: Endpoint, need: CanarySet) -> Flow[None]:
    """Have an endpoint prove that its vectors are the pool's. Raises `RequestFailed` where they are not."""
    if need in endpoint.proved:
        return
    if endpoint.out is not None:
        raise endpoint.out
    done: Future[Vectors | None] = Future()
    other = pool.claim(Proving(endpoint, done, (yield from who())))
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


def proved_for(job: Job, rows: Sequence[int]) -> Flow[list[Endpoint]]:
    """The endpoints that have proved their vectors of such texts, this week or now.

    Where none has, the first is asked to, unless nothing may be sent: what it fails with comes up when it is asked.
    """
    pool, need = job.shared.pool, set_of(job, (job.sizes[row] for row in rows))
    if pool is None:
        return []
    yield from recall_references(job, pool, need)
    for each in pool.endpoints:
        each.begin_week(week_of(job.shared.wall()))
        if each.out is None and need not in each.proved and each.remembers and each.proving is None:
            yield from prove_by_memory(job, pool, each, need)
    if not job.estimating and not any(need in each.proved for each in pool.endpoints):
        yield from prove_any(job, pool, need)
    return [each for each in pool.endpoints if need in each.proved]


def prove_any(job: Job, pool: Pool, need: CanarySet) -> Flow[None]:
    """Have one endpoint prove its vectors, whichever can; that none can comes up when they are asked for others."""
    tried: set[Endpoint] = set()
    nothing = Batch((), (), job.route, 0)
    while (endpoint := choose(pool.endpoints, nothing, 0, tried)) is not None and endpoint not in tried:
        tried.add(endpoint)
        if (yield from could_prove(job, pool, endpoint, need)):
            return


def could_prove(job: Job, pool: Pool, endpoint: Endpoint, need: CanarySet) -> Flow[bool]:
    """Have an endpoint prove its vectors where nothing is to be sent to it yet; what it fails with is noted."""
    try:
        yield from get_proved(job, pool, endpoint, need)
    except RequestFailed as failure:
        yield from blame_endpoint(job, endpoint, failure)
        if is_too_fast(failure) and failure.retry_after:
            endpoint.limiter.hold(failure.retry_after)
    except Elsewhere:
        pass
    return need in endpoint.proved


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
        yield from wait(other.done, other.owner, job.timeout())
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
    yield from tell(job.shared.emit, events.EndpointProved(job.number, endpoint.name, far, reference is ours))


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
    held = yield from call(partial(store.hold_vectors, key, vectors, patience=job.patience), blocking=store.blocking)
    if held is None or (vectors is not None and np.array_equal(held, vectors)):
        return ours or {}
    return dict(enumerate(held))


def read_canary(job: Job, keys: Sequence[bytes]) -> Flow[dict[int, Vectors]]:
    """The vectors of fixed texts that the cache has, by place, up to the first that it has not."""
    store = job.shared.store
    if store is None:
        return {}
    hits = yield from call(
        partial(store.read, keys, None, counted=False, patience=job.patience), blocking=store.blocking
    )
    found = sorted(zip(hits.rows.tolist(), hits.vectors, strict=True), key=itemgetter(0))
    return {row: vector for place, (row, vector) in enumerate(found) if row == place}


def write_canary(job: Job, keys: Sequence[bytes], vectors: dict[int, Vectors]) -> Flow[None]:
    """Have the cache hold the vectors of fixed texts."""
    store, places = job.shared.store, sorted(vectors)
    if store is None or not places:
        return
    matrix, none = np.stack([vectors[at] for at in places]), [0] * len(places)
    write = partial(store.write, [keys[at] for at in places], matrix, none, none, patience=job.patience)
    yield from call(write, blocking=store.blocking)


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


# What a failure means for the endpoint, and for the batch.


def notice(job: Job, pool: Pool, batch: Batch, endpoint: Endpoint, reply: Reply, tries: Tries) -> Flow[None]:  # noqa: PLR0917
    """Look at an answer: it counts where the endpoint has proved itself, and the same model and server answered that.

    Where several take turns at one address, a proof may meet another one than the answer: it is tried a few times.
    """
    need, asked = set_of(job, (job.sizes[row] for row in batch.rows)), 0
    yield from recall_told(job, endpoint, reply)
    while not (endpoint.agrees(reply) and need in endpoint.proved):
        if asked == PROOFS:
            raise RequestFailed(TURNS, kind=Kind.MODEL, billed=True)
        yield from get_proved(job, pool, endpoint, need)
        asked += 1
    if tries.too_long is not None:
        shorter, failure = tries.too_long
        said = f"endpoint {shorter.name} refuses a text that {endpoint.name} reads: {failure}"
        yield from leave_out(job, shorter, RequestFailed(said, kind=Kind.SPACE))


def go_elsewhere(  # noqa: PLR0917 - of one attempt
    job: Job, pool: Pool, batch: Batch, failure: RequestFailed, attempt: Attempt, tries: Tries
) -> Flow[bool]:
    """Note a failure of an endpoint; whether the batch is to be sent to another one at once."""
    endpoint = attempt.endpoint
    yield from blame_endpoint(job, endpoint, failure)
    tries.avoid.add(endpoint)
    if is_own_fault(failure):
        tries.spared += 1
        return any(each is not endpoint for each in pool.serving())
    other = choose(pool.endpoints, batch, job.bytes_of(batch.rows), tries.avoid)
    if other is None or other in tries.avoid or other.breaker.is_open():
        tries.avoid.clear()
        return False
    if is_too_long(failure) and tries.too_long is None:
        tries.too_long = endpoint, failure
        return True
    if blame_of(failure, accepted=True) is Blame.SIZE:
        endpoint.learnt.refused([job.sizes[row] for row in batch.rows], failure)
        return len(batch.rows) > 1 and other.takes(batch, job.bytes_of(batch.rows))
    return (yield from may_go(job, batch, failure, attempt, tries))


def may_go(job: Job, batch: Batch, failure: RequestFailed, attempt: Attempt, tries: Tries) -> Flow[bool]:
    """Whether a failure that may pass leaves a further attempt, which is made elsewhere and without a pause."""
    setting, endpoint, too_fast = job.shared, attempt.endpoint, is_too_fast(failure)
    endpoint.limiter.learn(failure.headers)
    if setting.backoff.pause(tries.counted, failure, alone=len(batch.rows) == 1) is None:
        return False
    if not setting.budget.spend(failure):
        raise failure
    if failure.kind is Kind.TIMEOUT and job.out_of_time():
        raise deadline_error(job, failure.doing or "the provider was asked") from failure
    if too_fast:
        pause = setting.backoff.pause(max(1, endpoint.limiter.refused(attempt.place)), failure) or setting.backoff.first
        endpoint.limiter.hold(pause)
        endpoint.limiter.slow_down(attempt.place, pause)
    job.report.retries += 1
    told = events.RequestRetried(job.number, tries.counted, 0.0, failure.status, str(failure), endpoint.name)
    yield from tell(setting.emit, told)
    return True


def blame_endpoint(job: Job, endpoint: Endpoint, failure: RequestFailed) -> Flow[None]:
    """Leave an endpoint out for good, or alone for a while, where a failure says so."""
    job.use_of(endpoint).failed += 1
    if casts_doubt(failure):
        endpoint.suspect()
    passing = failure.status == 401 and endpoint.answered  # a gateway may be renewing its own token
    if is_own_fault(failure) and not passing:
        yield from leave_out(job, endpoint, failure)
    elif (counts_against(failure) or passing) and endpoint.breaker.failed():
        endpoint.answered = endpoint.answered and not passing
        endpoint.suspect()  # another server may stand there when it comes back
        tripped = events.EndpointTripped(job.number, endpoint.name, endpoint.breaker.pause, str(failure))
        yield from tell(job.shared.emit, tripped)


def leave_out(job: Job, endpoint: Endpoint, failure: RequestFailed) -> Flow[None]:
    """Ask an endpoint no more until the embedder is closed, and tell of it once."""
    if endpoint.out is None:
        endpoint.out = failure
        yield from tell(job.shared.emit, events.EndpointRefused(job.number, endpoint.name, str(failure)))
        yield from tell(job.shared.warn, f"endpoint {endpoint.name} is left out: {failure}")
