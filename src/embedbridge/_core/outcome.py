"""The one error that a call ends with, of all that its rows have failed with."""

from __future__ import annotations

from collections.abc import Mapping

from embedbridge.errors import (
    AuthenticationError,
    ConfigurationError,
    EmbeddingError,
    InputTooLongError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitTimeoutError,
    SpaceMismatchError,
)

from .job import Job
from .kinds import Kind

CANNOT_BE_HAD = (
    AuthenticationError,
    ConfigurationError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitTimeoutError,
)
"""Errors that an endpoint may fail with, whatever it is asked for."""


def refuse_long_texts(job: Job, errors: Mapping[int, InputTooLongError]) -> None:
    """Texts longer than the model reads, under `too_long="error"`: nothing is sent."""
    first, index = errors[min(errors)], job.places([min(errors)])[0]
    error = InputTooLongError(
        f"text {index} has {first}; shorten it, or set too_long='truncate' or 'mean'",
        index=index,
        tokens=first.tokens,
        limit=first.limit,
    )
    error.failed_indices = job.places(errors)
    job.fail(list(errors), error, fatal=True)


def error_of(job: Job) -> EmbeddingError | None:
    """The error that a call ends with, if any: the fatal one, else that of the first row."""
    missing = [row for row, got in enumerate(job.have) if not got and row not in job.replaced]
    if not missing:
        return None
    error = job.stop or (job.failures[min(job.failures)] if job.failures else _unexplained(job, missing[0]))
    error = _with_figures(job, error)
    failed = error.failed_indices or job.places(missing)
    error.failed_indices, error.completed = failed, job.sheet.other_places(set(job.places(missing)))
    error.provider, error.model = job.shared.identity.provider, job.shared.identity.model
    return error


def _with_figures(job: Job, error: EmbeddingError) -> EmbeddingError:
    """The error, or why a replica was refused where all others could not be had: that one is to be seen to."""
    out = () if job.shared.pool is None else (each.out for each in job.shared.pool.endpoints)
    refused = next((each for each in out if each is not None and each.kind is Kind.SPACE), None)
    if refused is None or not isinstance(error, CANNOT_BE_HAD):
        return error
    mismatch = SpaceMismatchError(f"{job.where()}: {refused}; and no other can be had: {error}", parts=("canary",))
    mismatch.failed_indices, mismatch.__cause__ = error.failed_indices, error
    return mismatch


def _unexplained(job: Job, row: int) -> EmbeddingError:
    return EmbeddingError(f"{job.where(row)}: neither a vector nor an error came of it, a fault of embedbridge")
