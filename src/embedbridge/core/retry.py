"""What to do about a failed request: try again, divide the batch, or stop. And how long to wait, as arithmetic."""

from __future__ import annotations

import email.utils
import math
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from .errors import (
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
)

LONGEST_WAIT = 120.0
"""Seconds; a request whose provider asks for a longer pause fails."""

_TOO_LONG = re.compile(
    r"(context|input|sequence) length|too many tokens|too large to process|maximum .{0,20}tokens"
    r"|longer than the maximum|does not fit into the model|context window",
    re.IGNORECASE,
)
_TOO_MUCH = re.compile(r"tokens? per (request|batch)|payload|too large", re.IGNORECASE)
_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|billing.hard.limit|billing_not_active|account is not active"
    r"|credit balance|(out of|no|not enough|insufficient) (credit|balance|funds)|per month|calls ?/ ?month",
    re.IGNORECASE,
)
"""Not the word `billing` alone: rate limits of free accounts, which pass in seconds, name that page too."""
_NOT_THE_TEXTS = re.compile(
    r"model_not_found|model .{0,80}(not found|does not exist|not supported|is not available)|unknown model"
    r"|dimension|input_type|encoding_format|api.?version|deployment",
    re.IGNORECASE,
)


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


def judge(failure: RequestFailed) -> Verdict:  # noqa: PLR0911 - a table, one line a case
    """What to do about a failure, by its kind, its status and its message."""
    status, text = failure.status, f"{failure.code} {failure}"
    if failure.kind in {"missing_model", "not_installed", "configuration", "tls", "redirect"}:
        return Verdict.STOP
    if failure.kind in {"timeout", "connection"}:
        return Verdict.AGAIN
    if failure.kind in {"too_long", "too_much"}:
        return Verdict.DIVIDE
    if failure.kind:
        return Verdict.ONCE_MORE
    if status is None:
        return Verdict.GIVE_UP
    if status == 429:
        if _QUOTA.search(text):
            return Verdict.STOP
        return Verdict.DIVIDE if _TOO_MUCH.search(text) else Verdict.AGAIN
    if status in {400, 413, 422}:
        return Verdict.STOP if _NOT_THE_TEXTS.search(text) and not is_too_long(failure) else Verdict.DIVIDE
    if status in {408, 409, 425} or status >= 500:
        return Verdict.DIVIDE if is_too_long(failure) else Verdict.AGAIN
    return Verdict.STOP


def is_too_long(failure: RequestFailed) -> bool:
    """Whether the provider says that a text is longer than the model reads."""
    return failure.kind == "too_long" or bool(_TOO_LONG.search(str(failure)))


def as_error(failure: RequestFailed, where: str) -> EmbeddingError:
    """The named error for a failure that is not tried again, chained to it. `where` says which provider and model."""
    error = _named(failure, where)
    error.__cause__ = failure
    return error


def _named(failure: RequestFailed, where: str) -> EmbeddingError:  # noqa: C901, PLR0911 - as above
    status, said = failure.status, f"{where}: {failure}"
    if failure.kind == "not_installed":
        return MissingExtraError(said)
    if failure.kind in {"missing_model", "configuration"} or status in {404, 405}:
        return ConfigurationError(said)
    if failure.kind in {"timeout", "connection", "tls"}:
        return ProviderUnavailableError(said)
    if failure.kind and failure.kind not in {"too_long", "too_much"}:
        return InvalidResponseError(said, kind=failure.kind)
    if status in {401, 403, 498}:
        return AuthenticationError(f"{said} - check api_key or the provider's environment variable")
    if status == 402 or (status == 429 and _QUOTA.search(f"{failure.code} {failure}")):
        return QuotaExceededError(f"{said} - waiting does not help; check the account's credit")
    if status == 429:
        return RateLimitTimeoutError(f"{said} - lower requests_per_minute or tokens_per_minute, or raise max_retries")
    if is_too_long(failure):
        return InputTooLongError(said)
    if status in {400, 413, 422}:
        return InvalidInputError(said) if judge(failure) is Verdict.DIVIDE else ConfigurationError(said)
    if status is not None and 300 <= status < 500 and status not in {408, 409, 425}:
        return ConfigurationError(said)
    return ProviderUnavailableError(said)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next attempt: as the provider asks, else exponentially longer, with jitter."""

    retries: int = 5
    """Attempts after the first."""
    first: float = 0.5
    """Seconds before the second attempt, doubled for each further one."""
    ceiling: float = 20.0
    """Seconds; the longest pause that is not asked for by the provider."""
    chance: Callable[[], float] = random.random
    """A number from 0 to 1: jitter takes up to half of a pause away."""

    def pause(self, attempt: int, failure: RequestFailed) -> float | None:
        """Seconds before attempt `attempt + 1`; None: no further attempt."""
        if attempt > self.retries or judge(failure) not in {Verdict.AGAIN, Verdict.ONCE_MORE}:
            return None
        if failure.retry_after is not None and failure.retry_after > 0:
            return failure.retry_after
        wait = min(self.ceiling, self.first * 2.0 ** min(attempt - 1, 64))
        return wait * (0.5 + 0.5 * self.chance())


class RetryBudget:
    """Limits the retries of all batches together: retries take from it, and successes refill it.

    When a provider is down, the first batches use the budget up, and the others fail without retries of their own.
    """

    FULL, RETRY, LOST = 500.0, 5.0, 10.0
    """The budget, the price of a retry, and that of a retry after a timeout; a success refills 1."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
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
        with self._lock:
            self._left = min(self.FULL, self._left + 1.0)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that an answer's headers ask to wait; None where they say nothing sensible.

    Args:
        headers: lower-cased names.
        now: wall-clock seconds since the epoch, for dates. A date has a grain of one second, so one is added.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            seconds = _until(value, now)
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    return None


def _until(date: str, now: float) -> float:
    parts = email.utils.parsedate_tz(date)
    try:
        return email.utils.mktime_tz(parts) + 1.0 - now if parts else math.nan
    except (ValueError, OverflowError):  # no calendar has such a day
        return math.nan
