"""One batch of a call: ask (`sending.py`, `back_off.py`), take the answer (`answers.py`), or divide what was refused.

The flows of `flow.py` go on here once a batch is packed. Read from `deliver` downwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from embedbridge import events
from embedbridge.errors import BudgetExceededError, EmbeddingError, RequestFailed

from .answers import accept, take_answer
from .attempt import Attempt, Tries, begin_attempt, ending, take_anew
from .back_off import ask_later, check_not_hopeless
from .blame import PROBES, Blame, Hunt, begin_hunt, blame_of, whatever_the_text
from .effects import Flow, Tell
from .endpoints import Elsewhere, Pool
from .job import Job
from .kinds import Kind
from .length import Correction, correct, fit
from .lessons import knows_better, outgrows, padded_tokens
from .packing import halves, part_of, plan
from .pooling import go_elsewhere, notice
from .proof import week_of
from .proving import get_proved, set_of
from .refusal_rows import INPUT
from .replies import Sound
from .retry import Verdict, as_error, blocked, is_too_long, judge, names_length
from .sending import Outgrown, send, wait_for_place
from .trial import may_try_shorter, try_shorter
from .types import Batch, Reply


def deliver(job: Job, batch: Batch, hunt: Hunt | None = None) -> Flow[None]:
    """Ask for one batch, check the answer and store it. A failure is noted in the job, so that other batches go on.

    Args:
        job: the call.
        batch: what to ask for.
        hunt: the search for a text at fault that the batch is sent for, if any.
    """
    if job.stop is not None:
        return
    begun = job.shared.clock()
    try:
        reply, sound, name = yield from ask_with_retries(job, batch, hunt)
    except Outgrown:
        yield from fit_and_deliver(job, batch.rows)
        return
    except RequestFailed as failure:
        yield from divide(job, batch, failure, hunt)
        return
    except EmbeddingError as error:
        yield from end(job, batch, error, hunt)
        return
    tokens = yield from take_answer(job, batch, reply, sound)
    if job.heard:
        took = job.shared.clock() - begun
        yield Tell(job.shared.emit, events.BatchFinished(job.number, len(sound.positions), tokens, took, name))


def end(job: Job, batch: Batch, error: EmbeddingError, hunt: Hunt | None) -> Flow[None]:
    """End the call. Where the money does not reach for the whole batch, each of its halves is tried first."""
    if isinstance(error, BudgetExceededError) and len(batch.rows) > 1:
        for half in halves(job, batch):
            yield from deliver(job, half, hunt)
    else:
        job.fail(batch.rows, error, fatal=True)


def divide(job: Job, batch: Batch, failure: RequestFailed, hunt: Hunt | None) -> Flow[None]:
    """Treat a failed request: send the batch in parts where one of its texts may be at fault, else note the error."""
    alone = len(batch.rows) == 1
    if is_too_long(failure) or (alone and names_length(failure)):
        yield from correct_length(job, batch, (yield from correct(job, batch, failure)))
        return
    if alone and may_try_shorter(job, batch.rows[0], failure):
        yield from correct_length(job, batch, (yield from try_shorter(job, batch.rows[0], failure)))
        return
    blame = blame_of(failure, accepted=job.answered > 0)
    if blame is Blame.NOTHING or alone or (blame is Blame.SERVER and job.shared.budget.empty()):
        if blame is Blame.SIZE:
            job.shared.learnt.unlearn_guesses()  # it was this text, and not how many there were
        note(job, batch, failure, blame)
        return
    if blame is Blame.SIZE:
        yield from divide_by_size(job, batch, failure)
        return
    if blame is Blame.TEXT and hunt is None and outgrows(job, batch):
        yield from deliver_as_large_as_accepted(job, batch, failure)
        return
    yield from search(job, batch, failure, blame, hunt)


def search(job: Job, batch: Batch, failure: RequestFailed, blame: Blame, hunt: Hunt | None) -> Flow[None]:
    """Send a failed batch in parts to find the text at fault."""
    rest: Batch | None = batch
    refused = hunt is None or hunt.meets(failure)
    if hunt is None or (blame is Blame.SERVER and hunt.blame is not blame):
        hunt = begin_hunt(blame, len(batch.rows), failure)
        if blame is Blame.SERVER or failure.status == 403 or not job.answered:
            rest = yield from probe(job, batch, failure, hunt)
    for part in halves(job, rest) if rest else ():
        others_accepted = all(job.have[row] for row in batch.rows if row not in part.rows)
        if knows_better(job, part):
            yield from fit_and_deliver(job, part.rows)
        elif others_accepted and len(part.rows) > 1:
            yield from divide(job, part, failure, hunt)  # all others were accepted: this part would be refused again
        elif hunt.take():
            yield from deliver(job, part, hunt)
        else:
            job.fail(part.rows, as_error(failure, job.where(*part.rows)))
    if refused and hunt.blame is Blame.TEXT:
        learn_from_parts(job, batch, failure, again=hunt.refusals > 1)


def learn_from_parts(job: Job, batch: Batch, failure: RequestFailed, *, again: bool) -> None:
    """Learn that a refused batch was too large, if all of its texts were accepted in parts, and not for the first time.

    Once may be chance. `again`: another batch that it is part of was refused too.
    """
    learnt = job.shared.learnt
    if failure.status in INPUT and all(job.have[row] for row in batch.rows):
        if again or learnt.refused_whole:
            learnt.accepted_apart([job.sizes[row] for row in batch.rows], str(failure))
        learnt.refused_whole = True


def deliver_as_large_as_accepted(job: Job, batch: Batch, failure: RequestFailed) -> Flow[None]:
    """Send the texts of a batch in parts as large as the largest that was accepted: as batches were refused before."""
    most = job.shared.learnt.most_items
    for at in range(0, len(batch.rows), most):
        yield from deliver(job, part_of(job, batch, range(at, min(at + most, len(batch.rows)))))
    learn_from_parts(job, batch, failure, again=True)


def probe(job: Job, batch: Batch, failure: RequestFailed, hunt: Hunt) -> Flow[Batch | None]:
    """Send texts of a failed batch by themselves until one is accepted: then the fault is in a text.

    Returns:
        The texts that are left to be sent; None when the fault is in the server or in the request.
    """
    before, last = job.answered, len(batch.rows) - 1
    tried = []
    for at in dict.fromkeys((last, last // 2, 0)):
        hunt.take()
        tried.append(at)
        yield from deliver(job, part_of(job, batch, [at]), hunt)
        if job.stop is not None:
            return None
        if job.answered > before:
            break
    else:
        forbidden = failure.status == 403 or failure.kind is Kind.BLOCKED
        if hunt.blame is Blame.SERVER or (forbidden and len(tried) == PROBES):
            error = (blocked if failure.kind is Kind.BLOCKED else as_error)(failure, job.where(*batch.rows))
            all_break = failure.kind is Kind.CONNECTION and not job.answered
            job.fail(batch.rows, error, fatal=hunt.blame is not Blame.SERVER or all_break or job.shared.budget.empty())
            return None
    left = [at for at in range(len(batch.rows)) if at not in tried]
    return part_of(job, batch, left) if left else None


def note(job: Job, batch: Batch, failure: RequestFailed, blame: Blame) -> None:
    """Note the error of a batch that is not sent again; it ends the call where no other request could succeed."""
    error, hopeless = as_error(failure, job.where(*batch.rows)), False
    if not job.answered:
        hopeless = failure.status == 429 and judge(failure) is Verdict.AGAIN
        if failure.kind is Kind.BLOCKED and len(job.have) == 1 and not job.shared.answers():
            error = blocked(failure, job.where(*batch.rows))
        if len(batch.rows) == 1 and (whatever := whatever_the_text(job, batch.rows[0], failure, blame)):
            error, hopeless = whatever, True
    stopped = blame is Blame.NOTHING and judge(failure) is Verdict.STOP
    job.fail(batch.rows, error, fatal=hopeless or stopped or job.shared.budget.empty())


def divide_by_size(job: Job, batch: Batch, failure: RequestFailed) -> Flow[None]:
    """Send the texts of a refused batch in smaller ones: as the refusal teaches, else by halves."""
    if failure.status != 429 or "limit" in failure.numbers:
        job.shared.learnt.refused([job.sizes[row] for row in batch.rows], failure, padded_tokens(job, batch))
    yield from deliver_in_parts(job, batch)


def deliver_in_parts(job: Job, batch: Batch) -> Flow[None]:
    """Send the texts of a refused batch in smaller ones: as they are packed by now, else by halves."""
    smaller = plan(job, batch.rows)
    for part in smaller if len(smaller) > 1 else halves(job, batch):
        yield from deliver(job, part)


def correct_length(job: Job, batch: Batch, correction: Correction) -> Flow[None]:
    """Send the texts of a batch anew of which one was too long, cut or split as the policy says."""
    if correction.halve:
        yield from deliver_in_parts(job, batch)
        return
    job.measured.update(correction.send)
    for part in plan(job, correction.send):
        yield from deliver(job, part)
    yield from fit_and_deliver(job, correction.fit)


def fit_and_deliver(job: Job, rows: Sequence[int]) -> Flow[None]:
    """Measure and pack rows by what the server has taught since they were packed, and send them."""
    if rows and job.stop is None:
        job.late.extend((yield from fit(job, rows)))
        for part in plan(job, [row for row in rows if row not in job.pieces]):
            yield from deliver(job, part)


def ask_with_retries(job: Job, batch: Batch, hunt: Hunt | None) -> Flow[tuple[Reply, Sound, str]]:
    """Send a batch, and send it again while the failure may pass, in a pool elsewhere. Raises the last failure.

    Returns:
        The answer, its vectors, and the name of the endpoint that gave it.
    """
    pool, tries = job.shared.pool, Tries()
    while True:
        tries.number += 1
        attempt = begin_attempt(job, batch, tries.avoid)
        try:
            reply = yield from ask_once(job, batch, attempt, tries)
            final = tries.unsound > 0 or tries.counted > job.shared.backoff.retries
            sound = yield from accept(job, batch, reply, attempt.endpoint, final=final)
            if pool is not None:
                yield from notice(job, pool, batch, attempt.endpoint, reply, tries)
            return reply, sound, attempt.endpoint.name  # noqa: TRY300 - a loop, which this ends
        except Elsewhere as other:
            tries.avoid |= other.endpoints
            tries.spared += 1
        except RequestFailed as failure:
            check_not_hopeless(job, batch, failure, hunt, tries)
            if pool is None or not (yield from go_elsewhere(job, pool, batch, failure, attempt, tries)):
                yield from ask_later(job, batch, failure, attempt, tries)


def ask_once(job: Job, batch: Batch, attempt: Attempt, tries: Tries) -> Flow[Reply]:
    """Wait for a place and send a batch; in a pool to an endpoint that has proved its vectors."""
    pool = job.shared.pool
    with ending(job, attempt):
        if pool is None:
            yield from wait_for_place(job, batch, attempt)
        else:
            yield from wait_for_proved(job, pool, batch, attempt, tries)
        return (yield from send(job, batch, attempt))


def wait_for_proved(job: Job, pool: Pool, batch: Batch, attempt: Attempt, tries: Tries) -> Flow[None]:
    """Wait for a place at an endpoint that has proved its vectors.

    A proof tells limits, of which a place that was taken before knows nothing, and would wait for that place itself:
    it is given back before a proof, and one is taken anew after it.
    """
    need = set_of(job, (job.sizes[row] for row in batch.rows))
    attempt.endpoint.begin_week(week_of(job.shared.wall()))
    if need in attempt.endpoint.proved:
        yield from wait_for_place(job, batch, attempt, tries.avoid)
    while need not in attempt.endpoint.proved:
        attempt.give_back(job)
        yield from get_proved(job, pool, attempt.endpoint, need)
        take_anew(job, pool, batch, attempt, tries.avoid)
        yield from wait_for_place(job, batch, attempt, tries.avoid)
