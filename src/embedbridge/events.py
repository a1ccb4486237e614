"""What happens during a call, as plain values for observers. No event holds a text, a vector or a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ._core.types import InputType, Report


@dataclass(frozen=True, slots=True)
class ModelLoading:
    """A local model is being loaded, or has been (`seconds` is set)."""

    model: str
    where: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call was checked and is about to look into the cache."""

    call: int
    provider: str
    model: str
    input_type: InputType
    texts: int
    unique: int
    endpoint: str = ""
    """The provider's address; "": its official one, or none, as for a local model."""
    dimensions: int | None = None
    """Of the provider's vectors, where they are known."""


@dataclass(frozen=True, slots=True)
class CacheRead:
    """The cache was asked for every unique text."""

    call: int
    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class BatchFinished:
    """The vectors of one request are checked and stored."""

    call: int
    texts: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RequestRetried:
    """A request failed and will be sent again in `pause` seconds."""

    call: int
    attempt: int
    pause: float
    status: int | None
    reason: str


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
