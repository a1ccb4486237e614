"""One embedding call, top to bottom, once for threads and event loops alike.

Flows decide and yield effects; a driver performs them. Read from `embed` downwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np

from . import events
from .effects import Flow, Throttle, WouldDeadlock, acquire, ask, call, gather, sleep, wait
from .errors import (
    DeadlineExceededError,
    EmbeddingError,
    InputTooLongError,
    RateLimitTimeoutError,
    RequestFailed,
)
from .finish import unit_length
from .flights import Followed
from .job import Job
from .packing import pack
from .replies import Sound, check_reply
from .retry import LONGEST_WAIT, Verdict, as_error, is_too_long, judge
from .tokens import READ, measure, tally
from .types import Batch, Hits, Reply, Store, Vectors

PATIENCE = 10.0
"""Seconds to wait for another call's vectors before asking too: that call may be unable to go on before we do."""
AT_ONCE = 0.01
"""Seconds; with less than that left, it was the deadline that ended a wait."""
FOLLOWED = 2
"""So many calls in turn may give up a text that one waits for; after them one asks for itself, whoever else does."""
MANY = 4096
"""Rows; more of them are packed in a thread, because an event loop has others to serve."""
REFUSALS_IN_A_ROW = 3
"""So many single texts refused and nothing accepted: it is not the texts."""


def embed(job: Job) -> Flow[None]:
    """Give every row of a job its vector. Raises the call's one error when some have none."""
    rows = yield from look_up(job, range(len(job.keys)))
    job.setting.emit(events.CacheRead(job.number, job.report.hits, len(rows)))
    try:
        yield from obtain(job, rows)
    except EmbeddingError as failure:
        job.fail(rows, failure, fatal=True)
    job.finish()
    error = job.outcome()
    if error is not None:
        raise error


def foresee(job: Job) -> Flow[list[Batch]]:
    """The requests that a call would begin with. Raises `InputTooLongError` where it would."""
    job.looking = True
    rows = yield from look_up(job, range(len(job.keys)))
    if job.setting.policy == "truncate":
        job.assume_cuts(rows)  # what is sent of a long text is known without a tokenizer
        return plan(job, rows)
    split = yield from fit(job, rows)
    if job.stop is not None:
        raise job.outcome() or job.stop
    pieces = {job.keys[piece]: piece for row in split for piece in split[row]}
    lacking = yield from look_up(job, list(pieces.values()))
    return plan(job, [*(row for row in rows if row not in split), *lacking])


def look_up(job: Job, rows: Sequence[int]) -> Flow[Sequence[int]]:
    """Read the cache in bulk; returns what it does not have."""
    store, job.seen = job.store, job.setting.flights.landed
    if store is None or not rows:
        return rows
    keys = [job.keys[row] for row in rows]
    hits: Hits = yield from call(
        partial(store.read, keys, job.setting.width, counted=not job.looking), blocking=store.blocking
    )
    rows = take(job, rows, hits)
    if rows and job.setting.whole is not None:
        rows = yield from look_up_whole(job, rows, store, job.setting.whole[1])
    return rows


def look_up_whole(job: Job, rows: Sequence[int], store: Store, whole: int) -> Flow[Sequence[int]]:
    """Cut what is missing from wider vectors in the cache: it is what the API itself would do. Means are no such."""
    means = job.setting.policy == "mean"
    known = [row for row in rows if not (means and job.setting.may_cut(job.sizes[row]))]
    keys = job.make_keys(job.whole_base, [job.texts[row].encode() for row in known])
    hits: Hits = yield from call(partial(store.read, keys, whole, counted=not job.looking), blocking=store.blocking)
    take(job, known, replace(hits, vectors=unit_length(hits.vectors[:, : job.setting.width])))
    return [row for row in rows if not job.have[row]]


def take(job: Job, rows: Sequence[int], hits: Hits) -> Sequence[int]:
    """Put what the cache knew of rows where it belongs; returns the others."""
    if not len(hits.rows) or not job.setting.agree(hits.vectors.shape[1]):
        return rows
    found = [rows[position] for position in hits.rows.tolist()]
    job.fill(found, hits.vectors)
    job.recall(found, hits)
    return [row for row in rows if not job.have[row]]


def obtain(job: Job, rows: Sequence[int]) -> Flow[None]:
    """Give rows their vectors, with as few requests as calls that want the same texts need together."""
    for _ in range(0 if job.fresh else FOLLOWED):
        if rows and job.stop is None:
            rows = yield from share(job, rows)
    split = yield from fetch(job, rows)
    yield from average(job, split)


def share(job: Job, rows: Sequence[int]) -> Flow[Sequence[int]]:
    """Fetch what nobody else is fetching, then wait for the rest; returns the rows that others gave up."""
    flights = job.setting.flights
    positions, others = flights.claim([job.keys[row] for row in rows], job.number)
    mine: Sequence[int] = [rows[position] for position in positions]
    try:
        if flights.landed != job.seen:
            mine = yield from look_up(job, mine)  # some vectors have landed since, and may be ours
        split = yield from fetch(job, mine)
    finally:
        flights.release([job.keys[rows[position]] for position in positions], job.number)
    # From here on nobody waits for this call, so it may wait for others: no two calls ever wait for each other.
    yield from average(job, split)
    return (yield from receive(job, rows, others))


def receive(job: Job, rows: Sequence[int], others: Iterable[Followed]) -> Flow[Sequence[int]]:
    """Take the vectors that other calls have fetched; returns the rows that they gave up or cannot fetch now."""
    given_up, until = [], job.setting.clock() + PATIENCE
    for other in others:
        row, patience, left = rows[other.position], max(0.0, until - job.setting.clock()), job.left()
        last = left is not None and left <= patience
        try:
            vector: Vectors | None = yield from wait(other.future, other.owner, left if last else patience)
        except WouldDeadlock:
            vector = None
        except TimeoutError:
            if last:
                job.fail([row], late(job), fatal=True)
                continue
            vector = None
        if vector is None:
            given_up.append(row)
        else:
            job.fill([row], vector[np.newaxis])
            job.report.shared += row not in job.parent
    return given_up


def fetch(job: Job, rows: Sequence[int]) -> Flow[dict[int, list[int]]]:
    """Ask the provider for rows: measured, packed, several batches at once; returns those that were split instead."""
    if not rows or job.stop is not None:
        return {}
    if job.setting.limits.padded:
        yield from call(partial(count_all, job, rows))  # lengths that are guessed make batches that are half padding
    split = yield from fit(job, rows)
    if job.setting.throttle is not None:
        yield from call(partial(count_all, job, rows))
    whole = [row for row in rows if row not in split] if split else rows
    job.report.misses += sum(row not in job.parent for row in rows)
    batches = (yield from call(partial(plan, job, whole))) if len(whole) > MANY else plan(job, whole)
    yield from gather([deliver(job, batch) for batch in batches])
    return split


def plan(job: Job, rows: Sequence[int]) -> list[Batch]:
    """The requests that rows take."""
    return pack(rows, job.texts, job.sizes, limits=job.limits(), route=job.route, counted=job.counted)


def fit(job: Job, rows: Sequence[int]) -> Flow[dict[int, list[int]]]:
    """Apply the length policy; returns the rows that were split, each with the rows of its parts."""
    suspects = [row for row in rows if job.setting.may_cut(job.sizes[row]) and row not in job.parent]
    if not suspects:
        return {}
    split: dict[int, list[int]] = yield from call(partial(shorten, job, suspects, job.setting.limits.text_tokens or 1))
    return split


def shorten(job: Job, rows: Sequence[int], limit: int) -> dict[int, list[int]]:
    """Count the tokens of rows that may be too long, and cut, refuse or split them."""
    setting, split, refused = job.setting, {}, {}
    counter = setting.counter()
    job.report.counter = counter.name
    for row in rows:
        if job.counted.get(row, limit + 1) <= limit:
            continue
        try:
            found = measure(job.texts[row], counter, limit=limit, policy=setting.policy, prefix=job.route.prefix)
        except InputTooLongError as error:
            refused[row] = error
            continue
        job.counted[row] = found.tokens
        if len(found.parts) > 1:
            split[row] = job.split(row, found)
        elif found.parts[0][0] != job.texts[row]:
            job.cut(row, found)
    if refused:
        job.refuse(refused)
    return split


def count_all(job: Job, rows: Sequence[int]) -> None:
    """Count what nobody has counted, where that can be done exactly; of endless texts `shorten` reads the beginning."""
    counter = job.setting.counter()
    if counter.exact:
        uncounted = [row for row in rows if row not in job.counted and job.sizes[row] <= READ]
        for row, tokens in zip(uncounted, counter.counts([job.texts[row] for row in uncounted]), strict=True):
            job.counted[row] = tokens + counter.overhead


def average(job: Job, split: dict[int, list[int]]) -> Flow[None]:
    """Embed the parts of over-long texts; a text is the mean of its parts by tokens, at unit length."""
    if not split:
        return
    parts = yield from look_up(job, [part for row in split for part in split[row]])
    yield from obtain(job, parts)
    for row, pieces in split.items():
        if all(job.have[part] for part in pieces):
            mean = np.average(job.table[pieces], axis=0, weights=[job.counted[part] for part in pieces])
            mean /= np.linalg.norm(mean) or 1.0
            yield from keep(job, [row], mean.astype(np.float32)[np.newaxis], [job.counted[row]])


def deliver(job: Job, batch: Batch) -> Flow[None]:
    """One batch: ask, check, store. What fails is noted in the job, so that the other batches go on."""
    if job.stop is not None:
        return
    begun = job.setting.clock()
    try:
        reply, sound = yield from insist(job, batch)
    except RequestFailed as failure:
        yield from divide(job, batch, failure)
        return
    except EmbeddingError as error:
        job.fail(batch.rows, error, fatal=True)
        return
    tokens = dict(zip(batch.rows, tally(job.counted, job.sizes, batch.rows, reply.tokens), strict=True))
    rows = job.answer(batch, reply, sound, tokens)
    if rows:
        yield from keep(job, rows, sound.vectors, [tokens[row] for row in rows])
    for position, fault in sound.faults.items():
        unsound = RequestFailed(f"the vector is {fault}", kind="value", billed=True)
        job.fail([batch.rows[position]], as_error(unsound, job.where(batch.rows[position])))
    job.setting.emit(events.BatchFinished(job.number, len(rows), sum(tokens.values()), job.setting.clock() - begun))


def keep(job: Job, rows: Sequence[int], vectors: Vectors, tokens: Sequence[int]) -> Flow[None]:
    """Store vectors and then let other calls have them, in this order, so that nobody asks in between."""
    keys, store = [job.keys[row] for row in rows], job.store
    before = [job.cuts.get(row, (count,))[0] for row, count in zip(rows, tokens, strict=True)]
    if store is not None:
        yield from call(partial(store.write, keys, vectors, tokens, before), blocking=store.blocking)
    job.fill(rows, vectors)
    job.setting.flights.land(keys, vectors)


def divide(job: Job, batch: Batch, failure: RequestFailed) -> Flow[None]:
    """A request was given up: halve the batch where a text may be at fault, else note the error."""
    verdict = judge(failure)
    if verdict is Verdict.DIVIDE and len(batch.rows) > 1:
        for half in halves(job, batch):
            yield from deliver(job, half)
        return
    job.refused += verdict is Verdict.DIVIDE and not is_too_long(failure)
    hopeless = job.refused >= REFUSALS_IN_A_ROW and not job.answered
    hopeless |= failure.status == 429 and verdict is Verdict.AGAIN and not job.answered
    error = as_error(failure, job.where(*batch.rows))
    job.fail(batch.rows, error, fatal=hopeless or verdict is Verdict.STOP or job.setting.budget.empty())


def halves(job: Job, batch: Batch) -> list[Batch]:
    """The same texts in two batches."""
    middle = len(batch.rows) // 2
    return [
        Batch(texts, rows, batch.route, sum(tally(job.counted, job.sizes, rows, None)))
        for texts, rows in ((batch.texts[:middle], batch.rows[:middle]), (batch.texts[middle:], batch.rows[middle:]))
    ]


def insist(job: Job, batch: Batch) -> Flow[tuple[Reply, Sound]]:
    """Wait for a slot, ask, and ask again while that makes sense."""
    setting, unsound = job.setting, 0
    for attempt in count(1):
        yield from slot(job, batch)
        try:
            reply = yield from ask(batch, job.timeout(), job.left())
            return reply, accept(job, batch, reply, final=unsound > 0 or attempt > setting.backoff.retries)
        except TimeoutError:
            job.lost(batch, RequestFailed("no place was free in time"))
            raise late(job) from None
        except RequestFailed as failure:
            job.lost(batch, failure)
            unsound += judge(failure) is Verdict.ONCE_MORE
            if unsound > 1:
                raise
            yield from rest(job, batch, failure, attempt)
    raise AssertionError


def slot(job: Job, batch: Batch) -> Flow[None]:
    """Wait for a place under the rate limits, and book the request's cost. Gives the place back when it is not sent."""
    limiter = job.setting.limiter
    place = limiter.reserve(batch.tokens)
    try:
        pause = place.wait
        while pause > 0:
            yield from linger(job, pause)
            pause = limiter.held()
        if job.setting.throttle is not None:
            yield from admit(job, batch, job.setting.throttle)
        proceed(job)
        job.book(batch)
    except BaseException:
        limiter.give_back(place)
        raise


def proceed(job: Job) -> None:
    """Raise what has ended the call while a request waited."""
    if job.stop is not None:
        raise job.stop
    if job.left() == 0:
        raise late(job)


def admit(job: Job, batch: Batch, throttle: Throttle) -> Flow[None]:
    """Wait for the user's own limiter."""
    begun, ceiling = job.setting.clock(), throttle.ceiling
    tokens = batch.tokens if ceiling is None else min(batch.tokens, ceiling)
    try:
        granted = yield from acquire(throttle, tokens, job.left())
    except Exception as error:
        left = job.left()
        if isinstance(error, TimeoutError) and left is not None and left < AT_ONCE:
            raise late(job) from None
        raise RateLimitTimeoutError(f"{job.where()}: the rate_limiter failed ({type(error).__name__})") from error
    if not granted:
        raise RateLimitTimeoutError(f"{job.where()}: the rate_limiter lets no more requests go")
    job.report.waited += job.setting.clock() - begun


def linger(job: Job, seconds: float) -> Flow[None]:
    """Wait, unless the call's deadline comes first."""
    left = job.left()
    if left is not None and seconds >= left:
        raise late(job)
    job.report.waited += seconds
    job.setting.emit(events.LimitWaited(job.number, seconds))
    yield from sleep(seconds)


def accept(job: Job, batch: Batch, reply: Reply, *, final: bool) -> Sound:
    """The vectors of a sound answer; of one that is sound in part only when it is `final`."""
    setting = job.setting
    setting.limiter.learn(reply.headers)
    if reply.model in setting.other_models:
        raise RequestFailed(f"the answer is from model {reply.model!r}", kind="model", billed=True)
    sound = check_reply(reply, len(batch.texts), width=setting.width)
    if sound.faults and not final:
        raise RequestFailed(f"a vector is {next(iter(sound.faults.values()))}", kind="value", billed=True)
    if sound.positions and not setting.agree(sound.vectors.shape[1]):
        raise RequestFailed(f"vectors of another width than the {setting.width} of others", kind="width", billed=True)
    setting.budget.earn()
    return sound


def rest(job: Job, batch: Batch, failure: RequestFailed, attempt: int) -> Flow[None]:
    """Pause before the next attempt, or raise the failure when there shall be none."""
    setting = job.setting
    setting.limiter.learn(failure.headers)
    ceiling = setting.limiter.token_ceiling()
    beyond = failure.status == 429 and ceiling is not None and batch.tokens > ceiling
    if beyond and (len(batch.rows) > 1 or attempt > 1):  # by an estimate, so a text by itself is tried once more
        raise RequestFailed(str(failure), status=429, kind="too_much")
    left = job.left()
    if failure.kind == "timeout" and left is not None and left < AT_ONCE:
        raise late(job)  # it was the deadline that cut the request short
    pause = setting.backoff.pause(attempt, failure)
    if pause is None or not setting.budget.spend(failure):
        raise failure
    if left is not None and pause >= left:
        raise late(job)
    if pause > LONGEST_WAIT:
        raise as_error(failure, job.where(*batch.rows))
    job.report.retries += 1
    setting.emit(events.RequestRetried(job.number, attempt, pause, failure.status, str(failure)))
    if pause == failure.retry_after:
        setting.limiter.hold(pause)
    else:
        yield from linger(job, pause)


def late(job: Job) -> DeadlineExceededError:
    """The call's deadline has passed or would pass while waiting."""
    return DeadlineExceededError(f"{job.where()}: the deadline passed, or would have during the next wait")
