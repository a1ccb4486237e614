"""An answer of a provider, from its check to the cache: accept it, learn from it, store its vectors, publish them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from embedbridge.errors import RequestFailed

from .bills import record_answer
from .effects import Call, Flow, Tell
from .endpoints import Endpoint
from .job import Job
from .keys import stored_keys
from .kinds import Kind
from .lessons import learn_from_answer
from .model_names import Named
from .replies import Sound, check_reply, fault_kind
from .retry import as_error
from .tokens import tally
from .types import Batch, Reply, Vectors
from .widths import check_width, told

FEW = 16
"""Vectors; so many are checked, read or stored in a few milliseconds, on the event loop; more of them in a thread."""


def take_answer(job: Job, batch: Batch, reply: Reply, sound: Sound) -> Flow[int]:
    """Book an answer, learn from it, store its vectors, and note which texts have none; returns its tokens."""
    learn_from_answer(job, batch, reply)
    tokens = dict(zip(batch.rows, tally(job.counted, job.sizes, batch.rows, reply.tokens), strict=True))
    rows = record_answer(job, batch, reply, sound, tokens)
    if rows:
        yield from store_and_publish(job, rows, sound.vectors, [tokens[row] for row in rows], model=reply.model)
    for position, fault in sound.faults.items():
        unsound = RequestFailed(f"the vector is {fault}", kind=fault_kind(fault), billed=True)
        job.fail([batch.rows[position]], as_error(unsound, job.where(batch.rows[position])))
    return sum(tokens.values())


def store_and_publish(
    job: Job, rows: Sequence[int], vectors: Vectors, tokens: Sequence[int], model: str | None = None
) -> Flow[None]:
    """Store vectors, then hand them to the calls that wait: in this order no call finds neither and asks again.

    Args:
        job: the call.
        rows: of the vectors.
        vectors: shape `(len(rows), dimensions)`.
        tokens: that were sent for each.
        model: the name that the answer has; vectors of a foreign one are told of and not stored.
    """
    names = job.shared.names
    foreign = model is not None and model not in names.ours and names.judge(model) is Named.FOREIGN
    job.foreign.update(job.parent.get(row, row) for row in rows if foreign)
    keys, store = stored_keys(job, rows), None if foreign or job.foreign.intersection(rows) else job.store
    # One token more than the mean of a split text has: that is how the cache knows it, whatever the limit is by then.
    before = [job.cuts.get(row, (count,))[0] + (row in job.pieces) for row, count in zip(rows, tokens, strict=True)]
    if store is not None:
        write = partial(store.write, keys, vectors, tokens, before, patience=job.patience)
        yield Call(write, blocking=store.blocking or len(rows) > FEW)
    job.fill(rows, vectors)
    job.shared.flights.land(keys, vectors)
    if foreign and model and (told := job.shared.names.tell(model)):
        yield Tell(job.shared.warn, f"{job.where()}: {told}")


def accept(job: Job, batch: Batch, reply: Reply, endpoint: Endpoint, *, final: bool) -> Flow[Sound]:
    """The vectors of an answer that passes all checks; of one that passes in part only when it is `final`."""
    shared = job.shared
    endpoint.limiter.learn(reply.headers)
    named = Named.OURS if reply.model in shared.names.ours else shared.names.judge(reply.model)
    if named is Named.SIBLING:
        raise RequestFailed(f"the answer is from model {reply.model!r}", kind=Kind.MODEL, billed=True)
    check = partial(check_reply, reply, len(batch.texts), width=shared.width, zeros=shared.accept_zeros)
    try:
        sound = check() if len(batch.texts) <= FEW else (yield Call(check))
    except RequestFailed as failure:
        raise told(job, failure) from None
    if sound.faults and not final:
        fault = next(iter(sound.faults.values()))
        raise RequestFailed(f"a vector is {fault}", kind=fault_kind(fault), billed=True)
    width = sound.vectors.shape[1]
    if sound.positions and (width != shared.width or shared.width_key is not None):
        yield from check_width(job, width, foreign=named is Named.FOREIGN)
    shared.budget.earn()
    if shared.pool is not None:
        note_service(job, endpoint, batch, reply)
    return sound


def note_service(job: Job, endpoint: Endpoint, batch: Batch, reply: Reply) -> None:
    """An endpoint of a pool has answered as it should."""
    endpoint.breaker.succeeded()
    endpoint.answered = True
    with job.lock:
        job.use_of(endpoint).tokens += batch.tokens if reply.tokens is None else reply.tokens
