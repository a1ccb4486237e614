"""An endpoint of a pool: it proves its vectors before it serves, and what it fails with decides who is asked next."""

from __future__ import annotations

from collections.abc import Sequence

from embedbridge import events
from embedbridge.errors import RequestFailed

from .attempt import Attempt, Tries
from .blame import Blame, blame_of
from .deadlines import deadline_error
from .effects import Flow, Tell
from .endpoints import Elsewhere, Endpoint, Pool, casts_doubt, choose, counts_against, is_own_fault
from .job import Job
from .kinds import Kind
from .proof import CanarySet, week_of
from .proving import get_proved, prove_by_memory, recall_references, recall_told, set_of
from .retry import is_too_fast, is_too_long
from .types import Batch, Reply

PROOFS = 3
"""Proofs that are asked for one answer, where another model or server answers each of them."""
TURNS = "several models or servers answer at this address in turn; name each as an endpoint of its own"


# Who has proved itself.


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
    yield Tell(setting.emit, told)
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
        yield Tell(job.shared.emit, tripped)


def leave_out(job: Job, endpoint: Endpoint, failure: RequestFailed) -> Flow[None]:
    """Ask an endpoint no more until the embedder is closed, and tell of it once."""
    if endpoint.out is None:
        endpoint.out = failure
        yield Tell(job.shared.emit, events.EndpointRefused(job.number, endpoint.name, str(failure)))
        yield Tell(job.shared.warn, f"endpoint {endpoint.name} is left out: {failure}")
