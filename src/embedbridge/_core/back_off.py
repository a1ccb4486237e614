"""What comes after a failed attempt: a pause before the next one, or the end of the attempts."""

from __future__ import annotations

from embedbridge import events
from embedbridge.errors import RequestFailed

from .attempt import Attempt, Tries
from .blame import Hunt
from .deadlines import deadline_error
from .effects import Flow, Tell
from .endpoints import Endpoint
from .job import Job
from .kinds import Kind
from .refusals import LONGEST_WAIT
from .retry import Verdict, as_error, is_too_fast, judge
from .sending import sleep_in_time
from .types import Batch

PATIENCE = 4
"""Times `max_retries`: so often a refusal for the rate is not counted while other requests are let through."""


def check_not_hopeless(job: Job, batch: Batch, failure: RequestFailed, hunt: Hunt | None, tries: Tries) -> None:
    """Note a failed attempt; raises the failure where a further one is not worth its price."""
    job.report.paid_again += len(batch.rows) if failure.billed else 0
    tries.unsound += judge(failure) is Verdict.ONCE_MORE
    if tries.unsound > 1 or (hunt and hunt.gives_up(failure, tries.number, alone=len(batch.rows) == 1)):
        raise failure


def ask_later(job: Job, batch: Batch, failure: RequestFailed, attempt: Attempt, tries: Tries) -> Flow[None]:
    """Pause after a failure. Raises it when there is to be no further attempt."""
    setting = job.shared
    if failure.status == 401 and job.answered and not tries.renewed:
        tries.renewed = yield from wait_for_new_token(job, failure, tries.number, attempt.endpoint)
        return
    if is_too_fast(failure) and 1 < tries.number <= PATIENCE * setting.backoff.retries:
        tries.spared += setting.answers() > tries.answers  # others were let through meanwhile
    tries.answers = setting.answers()
    yield from back_off(job, batch, failure, tries.counted, attempt)


def back_off(job: Job, batch: Batch, failure: RequestFailed, number: int, attempt: Attempt) -> Flow[None]:
    """Pause before the next attempt. Raises the failure when there is to be no further attempt."""
    limiter, too_fast = attempt.endpoint.limiter, is_too_fast(failure)
    limiter.learn(failure.headers)
    check_another_attempt(job, batch, failure, number)
    if too_fast:
        number = max(number, limiter.refused(attempt.place))
    again = f"waiting to ask again after a failure ({failure})"
    pause = pause_before(job, batch, failure, number, again)
    job.report.retries += 1
    told = events.RequestRetried(job.number, number, pause, failure.status, str(failure), attempt.endpoint.name)
    yield Tell(job.shared.emit, told)
    if pause == failure.retry_after:
        limiter.hold(pause)
    if too_fast:
        limiter.slow_down(attempt.place, pause)
    elif pause != failure.retry_after:
        yield from sleep_in_time(job, pause, again)


def check_another_attempt(job: Job, batch: Batch, failure: RequestFailed, attempt: int) -> None:
    """Raise what a batch has failed with where the same request cannot be answered: too large, or out of time."""
    if is_beyond_limit(job, batch, failure) and (len(batch.rows) > 1 or attempt > 1):
        raise RequestFailed(str(failure), status=429, kind=Kind.TOO_MUCH)  # a single text is first tried once more
    if failure.kind is Kind.TIMEOUT and job.out_of_time():  # it was the deadline that cut this request short
        raise deadline_error(job, failure.doing or "the provider was asked") from failure


def pause_before(job: Job, batch: Batch, failure: RequestFailed, attempt: int, again: str) -> float:
    """Seconds to wait before the next attempt; raises where there is none, or no time for one."""
    pause = job.shared.backoff.pause(attempt, failure, alone=len(batch.rows) == 1)
    if pause is None or not job.shared.budget.spend(failure):
        raise failure
    if job.deadline is not None and pause >= (job.left() or 0.0):
        raise deadline_error(job, again, ahead=pause) from failure
    if pause > LONGEST_WAIT:
        raise as_error(failure, job.where(*batch.rows))
    return pause


def wait_for_new_token(job: Job, failure: RequestFailed, attempt: int, endpoint: Endpoint) -> Flow[bool]:
    """Pause after a key is refused that was accepted before: a gateway may be renewing its own. Returns True."""
    pause = job.shared.backoff.first
    job.report.retries += 1
    told = events.RequestRetried(job.number, attempt, pause, 401, str(failure), endpoint.name)
    yield Tell(job.shared.emit, told)
    yield from sleep_in_time(job, pause, f"waiting to ask again after a failure ({failure})")
    return True


def is_beyond_limit(job: Job, batch: Batch, failure: RequestFailed) -> bool:
    """Whether a batch was refused that has, as estimated, more tokens than the rate limit lets through at once."""
    ceiling = job.shared.token_ceiling()
    return failure.status == 429 and ceiling is not None and batch.tokens > ceiling
