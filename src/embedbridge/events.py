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
    "EndpointProved",
    "EndpointRefused",
    "EndpointTripped",
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
    endpoint: str = ""
    """Who of a pool; "": there is only one."""


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
    endpoint: str = ""
    """Who of a pool; "": there is only one."""


@dataclass(frozen=True, slots=True)
class LimitWaited:
    """A request waits `seconds` for a rate limit."""

    call: int
    seconds: float
    endpoint: str = ""
    """Who of a pool; "": there is only one."""


@dataclass(frozen=True, slots=True)
class EndpointProved:
    """An endpoint of a pool gives the same vectors of fixed texts as the reference, and serves."""

    call: int
    endpoint: str
    distance: float
    """The largest 1 - cosine."""
    reference: bool
    """It is the first: the others have to agree with it."""


@dataclass(frozen=True, slots=True)
class EndpointRefused:
    """An endpoint of a pool is left out until the embedder is closed: for its vectors, key, quota or model."""

    call: int
    endpoint: str
    reason: str
    """Without texts and keys."""


@dataclass(frozen=True, slots=True)
class EndpointTripped:
    """An endpoint of a pool has failed several times in a row, and is left alone for `seconds`."""

    call: int
    endpoint: str
    seconds: float
    reason: str
    """Without texts and keys."""


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
    | EndpointProved
    | EndpointRefused
    | EndpointTripped
    | CallFinished
    | CallFailed
    | BatchHandedOver
    | BatchCollected
)
"""What an observer is called with."""
