"""What happens during a call, as plain values for observers. No event holds a text, a vector or a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ._core.types import InputType, Report

__all__ = [
    "BatchFinished",
    "CacheRead",
    "CallFailed",
    "CallFinished",
    "CallStarted",
    "Event",
    "LimitWaited",
    "ModelLoading",
    "RequestRetried",
]


@dataclass(frozen=True, slots=True)
class ModelLoading:
    """A local model is being loaded, or has been (`seconds` is set)."""

    model: str
    where: str
    """The folder or the hub that it is loaded from."""
    seconds: float | None = None
    """How long it took; None: it begins."""


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call was checked and is about to look into the cache."""

    call: int
    """Its number, the same in all events of one call."""
    provider: str
    model: str
    input_type: InputType
    texts: int
    unique: int
    """Distinct texts."""
    endpoint: str = ""
    """The provider's address; "": its official one, or none, as for a local model."""
    dimensions: int | None = None
    """Of the provider's vectors, where they are known."""


@dataclass(frozen=True, slots=True)
class CacheRead:
    """The cache was asked for every distinct text."""

    call: int
    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class BatchFinished:
    """The vectors of one request are checked and stored."""

    call: int
    texts: int
    tokens: int
    """As billed, or estimated where the provider does not say."""
    seconds: float
    """From the request to its answer."""


@dataclass(frozen=True, slots=True)
class RequestRetried:
    """A request failed and will be sent again in `pause` seconds."""

    call: int
    attempt: int
    """The one that failed, counted from 1."""
    pause: float
    """Seconds until the next one."""
    status: int | None
    """Of HTTP; None where no answer came."""
    reason: str
    """What went wrong, without texts and keys."""


@dataclass(frozen=True, slots=True)
class LimitWaited:
    """A request waits `seconds` for a rate limit."""

    call: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A call gave all its vectors."""

    call: int
    report: Report


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A call ended with an error."""

    call: int
    error: str
    """The name of the error's class."""
    report: Report


@dataclass(frozen=True, slots=True)
class BatchHandedOver:
    """Texts were handed to a batch API."""

    provider: str
    model: str
    batch: str
    """The vendor's name of it."""
    texts: int
    tokens: int
    """An estimate."""
    cost: float | None
    """Dollars that they will cost, by that estimate; None where the price is not known."""


@dataclass(frozen=True, slots=True)
class BatchCollected:
    """A batch has ended, and what came of it is in the cache."""

    provider: str
    model: str
    batch: str
    texts: int
    """That were handed over."""
    stored: int
    """Whose vectors came back sound."""
    tokens: int
    """Of these."""
    cost: float | None
    saved: float | None
    """Dollars that ordinary requests would have cost besides."""


Event: TypeAlias = (
    ModelLoading
    | CallStarted
    | CacheRead
    | BatchFinished
    | RequestRetried
    | LimitWaited
    | CallFinished
    | CallFailed
    | BatchHandedOver
    | BatchCollected
)
"""What an observer is called with."""
