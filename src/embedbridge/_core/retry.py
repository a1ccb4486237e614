"""What to do about a failed request: try again, divide the batch, or stop. And how long to wait, as arithmetic."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, assert_never

from embedbridge.errors import (
    AuthenticationError,
    ConfigurationError,
    EmbeddingError,
    InputTooLongError,
    InvalidInputError,
    InvalidResponseError,
    MissingExtraError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitTimeoutError,
    RequestFailed,
    SpaceMismatchError,
)

from .kinds import Kind
from .locks import OwnLock
from .refusals import understand

SLOWER = "lower requests_per_minute or tokens_per_minute, or raise max_retries"
CHECK_KEY = "check api_key or the provider's environment variable"
NO_CREDIT = "waiting does not help; check the account's credit"
USED_UP = "the quota of the day is used up; go on when it is renewed, or have it raised"
_DAILY = re.compile(r"per[ _-]?day|daily|\brpd\b|\btpd\b", re.IGNORECASE)
ADVICE = {
    "encoding_format": "pass provider_options={'encoding_format': 'float'}, or None to leave it out",
    "dimensions": "leave dimensions out, or ask for a number that the model has",
    "output_dimension": "leave dimensions out, or ask for a number that the model has",
    "model": "check the model's name",
    "user": "leave provider_options['user'] out",
}
"""Field of a request → what to write where a server does not take it."""


PASSING = frozenset({408, 409, 421, 423, 424, 425, 499})
"""Statuses below 500 that may pass: too slow, in use, another connection's, locked, a model behind the server failed,
too early, given up."""


class Verdict(Enum):
    """What to do about a failed request."""

    AGAIN = "again"
    """The same request may succeed later."""
    ONCE_MORE = "once more"
    """The answer is wrong: as each attempt is paid for, the request is sent once more only."""
    DIVIDE = "divide"
    """Something in the batch is refused: halve it until the text at fault stands alone."""
    GIVE_UP = "give up"
    """This batch fails, others may go on."""
    STOP = "stop"
    """No request of this call can succeed."""


def judge(failure: RequestFailed, *, alone: bool = False) -> Verdict:  # noqa: PLR0911 - a table, one line a case
    """What to do about a failure, by what it means, else by its status. `alone`: of a request with one text."""
    match meaning_of(failure):
        case Kind.NOT_INSTALLED | Kind.CONFIGURATION | Kind.MISSING_MODEL | Kind.TLS | Kind.REDIRECT:
            return Verdict.STOP
        case Kind.KEY | Kind.QUOTA | Kind.SPACE:
            return Verdict.STOP
        case Kind.TIMEOUT | Kind.CONNECTION | Kind.RATE | Kind.BUSY:
            return Verdict.AGAIN
        case Kind.OUT_OF_MEMORY:
            return Verdict.AGAIN if alone else Verdict.DIVIDE
        case Kind.TOO_LONG | Kind.PERHAPS_LONG | Kind.TOO_MUCH | Kind.OVER_RATE | Kind.TEXT | Kind.BLOCKED:
            return Verdict.DIVIDE
        case Kind.COUNT | Kind.INDEX | Kind.WIDTH | Kind.VALUE | Kind.MODEL | Kind.NOT_JSON | Kind.NO_DATA:
            return Verdict.ONCE_MORE
        case Kind.ERROR | Kind.ENCODING | Kind.TOO_LARGE | Kind.MODEL_FAILED | Kind.UNSOUND:
            return Verdict.ONCE_MORE
        case Kind.NONE:
            return _by_status(failure.status)
        case never:
            assert_never(never)


def _by_status(status: int | None) -> Verdict:
    if status is None:
        return Verdict.GIVE_UP
    if status in {400, 413, 422, 451}:
        return Verdict.DIVIDE
    return Verdict.AGAIN if status in {*PASSING, 429} or status >= 500 else Verdict.STOP


def meaning_of(failure: RequestFailed) -> Kind:
    """What a failure means: as its provider says, else as its status, code and words do."""
    if failure.kind or failure.understood or failure.status is None:
        return failure.kind
    told = understand(failure.status, failure.code.split(), str(failure), param=failure.param, wait=failure.retry_after)
    return told.kind


def is_too_long(failure: RequestFailed) -> bool:
    """Whether the provider says that a text is longer than the model reads."""
    return meaning_of(failure) is Kind.TOO_LONG


def names_length(failure: RequestFailed) -> bool:
    """Whether a request was too large, and the provider says how large it may be: one text is too long then."""
    told = failure.numbers.keys() & {"limit", "characters", "bytes"}
    return bool(told) and meaning_of(failure) is Kind.TOO_MUCH and failure.status != 429


def as_error(failure: RequestFailed, where: str) -> EmbeddingError:
    """The named error for a failure that is not tried again, chained to it. `where` says which provider and model."""
    error = _named(failure, where)
    error.__cause__ = failure
    return error


def wrong_request(failure: RequestFailed, where: str, *, after: int) -> ConfigurationError:
    """The error for a request that is refused whatever its texts are."""
    said = f"{where}: {failure} - {after} texts were each refused in the same words, and none was accepted: "
    error = ConfigurationError(f"{said}the fault is in the request; {_advice(failure.param)}")
    error.__cause__ = failure
    return error


def blocked(failure: RequestFailed, where: str) -> ProviderUnavailableError:
    """The error where requests do not reach the API, whatever their texts are."""
    said = f"{where}: {failure} - a firewall, a proxy or a login blocks the requests; "
    error = ProviderUnavailableError(f"{said}check base_url, proxy and the network")
    error.__cause__ = failure
    return error


def too_large_whatever_it_is(failure: RequestFailed, where: str, *, after: int) -> ProviderUnavailableError:
    """The error for a server that finds every text too large, however short it is."""
    said = f"{where}: {failure} - {after} short texts were each refused in the same words, and none was accepted: "
    error = ProviderUnavailableError(f"{said}the fault is in the server or in a gateway before it, not in the texts")
    error.__cause__ = failure
    return error


def _named(failure: RequestFailed, where: str) -> EmbeddingError:  # noqa: C901, PLR0911, PLR0912 - as above
    said, kind = f"{where}: {failure}", meaning_of(failure)
    match kind:
        case Kind.NOT_INSTALLED:
            return MissingExtraError(said)
        case Kind.CONFIGURATION:
            return ConfigurationError(f"{said} - {_advice(failure.param)}" if failure.param else said)
        case Kind.MISSING_MODEL:
            return ConfigurationError(said)
        case Kind.KEY:
            return AuthenticationError(f"{said} - {failure.credentials or CHECK_KEY}")
        case Kind.QUOTA:
            daily = _DAILY.search(f"{failure.code} {failure}")
            return QuotaExceededError(f"{said} - {USED_UP if daily else NO_CREDIT}")
        case Kind.SPACE:
            return SpaceMismatchError(said, parts=("canary",))
        case Kind.RATE | Kind.OVER_RATE:
            return RateLimitTimeoutError(f"{said} - {SLOWER}")
        case Kind.TIMEOUT | Kind.CONNECTION | Kind.TLS | Kind.BUSY:
            return ProviderUnavailableError(said)
        case Kind.OUT_OF_MEMORY:
            return ProviderUnavailableError(f"{said} - lower batch_size, or give the server more memory")
        case Kind.TOO_LONG:
            return InputTooLongError(said, tokens=failure.numbers.get("tokens"), limit=failure.numbers.get("limit"))
        case Kind.TEXT | Kind.PERHAPS_LONG | Kind.BLOCKED:
            return InvalidInputError(said)
        case Kind.TOO_MUCH:
            return RateLimitTimeoutError(f"{said} - {SLOWER}") if failure.status == 429 else InvalidInputError(said)
        case Kind.COUNT | Kind.INDEX | Kind.WIDTH | Kind.VALUE | Kind.MODEL | Kind.NOT_JSON | Kind.NO_DATA:
            return InvalidResponseError(said, kind=kind.value)
        case Kind.ERROR | Kind.ENCODING | Kind.TOO_LARGE | Kind.MODEL_FAILED | Kind.UNSOUND | Kind.REDIRECT:
            return InvalidResponseError(said, kind=kind.value)
        case Kind.NONE:
            return _named_by_status(failure, said)
        case never:
            assert_never(never)


def _named_by_status(failure: RequestFailed, said: str) -> EmbeddingError:
    status = failure.status
    if status in {401, 403, 498}:
        return AuthenticationError(f"{said} - {failure.credentials or CHECK_KEY}")
    if status == 402:
        return QuotaExceededError(f"{said} - {NO_CREDIT}")
    if status == 429:
        return RateLimitTimeoutError(f"{said} - {SLOWER}")
    if status in {400, 413, 422, 451}:
        return InvalidInputError(said)
    if status is not None and 300 <= status < 500 and status not in PASSING:
        return ConfigurationError(said)
    return ProviderUnavailableError(said)


def _advice(param: str) -> str:
    """What to write where the server does not take a field of the request."""
    if not param:
        return "look at model, dimensions and provider_options"
    return ADVICE.get(param, f"the server does not take {param!r} as it is sent: look at provider_options")


def may_be_billed(failure: RequestFailed) -> bool:
    """Whether the provider may have done the work: its answer was lost or wrong, or someone in between gave it up."""
    return failure.billed or failure.status in {408, 499, 502, 504, 524}


def is_too_fast(failure: RequestFailed) -> bool:
    """Whether a request was refused because requests or tokens come too fast."""
    return meaning_of(failure).is_of_rates(failure.status)


class OwnPauses:
    """The pauses that no provider asks for. There is one of these in a process: tests of programs make them short."""

    longest = math.inf
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next attempt: as the provider asks, else (or in vain) exponentially longer."""

    retries: int = 5
    """Attempts after the first."""
    first: float = field(default_factory=lambda: min(0.5, OwnPauses.longest))
    """Seconds before the second attempt, doubled for each further one."""
    ceiling: float = 20.0
    """Seconds; the longest pause that is not asked for by the provider."""
    chance: Callable[[], float] = random.random
    """A number from 0 to 1: jitter takes up to half of a pause away."""
    VAIN: ClassVar[int] = 3
    """From this attempt on a pause is no shorter than without advice: what the provider named was waited in vain.

    Others may take what a shared limit lets through, and five waits of some milliseconds would soon be used up."""

    def pause(self, attempt: int, failure: RequestFailed, *, alone: bool = False) -> float | None:
        """Seconds before attempt `attempt + 1`; None: no further attempt. `alone`: the request had one text."""
        if attempt > self.retries or judge(failure, alone=alone) not in {Verdict.AGAIN, Verdict.ONCE_MORE}:
            return None
        told = failure.retry_after if failure.retry_after is not None and failure.retry_after > 0 else None
        if told is not None and attempt < self.VAIN:
            return told
        longest = min(self.ceiling, OwnPauses.longest)
        wait = min(longest, self.first * 2.0 ** min(attempt - 1, 64)) * (0.5 + 0.5 * self.chance())
        return wait if told is None else max(told, wait)


class RetryBudget:
    """Limits the retries of all batches together: retries take from it, and successes refill it.

    When a provider is down, the first batches use the budget up, and the others fail without retries of their own.
    """

    FULL, RETRY, LOST = 500.0, 5.0, 10.0
    """The budget, the price of a retry, and that of a retry after a timeout; a success refills 1."""

    def __init__(self) -> None:
        self._lock = OwnLock()
        self._left = self.FULL

    def spend(self, failure: RequestFailed) -> bool:
        """Take the price of one retry; False when the budget has not enough. A retry after a 429 costs nothing."""
        if failure.status == 429:
            return True
        price = self.LOST if failure.kind == "timeout" else self.RETRY
        with self._lock:
            if self._left < price:
                return False
            self._left -= price
            return True

    def empty(self) -> bool:
        """Whether the provider has failed so often that nothing more should be tried."""
        with self._lock:
            return self._left < self.RETRY

    def earn(self) -> None:
        """Refill the budget a little, after a success."""
        if self._left < self.FULL:
            with self._lock:
                self._left = min(self.FULL, self._left + 1.0)
