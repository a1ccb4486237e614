"""What a flow may ask its driver to do.

A flow is a generator that yields effects and is sent their outcomes. It never sends, sleeps or opens anything itself,
so one text of a rule serves threads and event loops alike, and a test can drive it by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from .seams import Provider, Throttle
from .servers import Inquiry
from .signals import Signal
from .types import Batch, Vectors

T = TypeVar("T")


class Asked(Protocol):
    """One endpoint of several, as a driver sees it."""

    @property
    def provider(self) -> Provider | None:
        """What asks it; None: the driver's own."""
        ...

    @property
    def gate(self) -> Any:
        """Bounds the requests under way to it, as the driver's own does; None: nothing does."""
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """Send one request; resumed with a `Reply`.

    Raises TimeoutError when `concurrency` left no place for it in time, and `Over`, before it is sent.
    """

    batch: Batch
    timeout: float
    """Seconds for the request."""
    left: float | None = None
    """Seconds for the wait and the request together; None: no limit."""
    over: Signal | None = None
    """Set when there is nothing more to be sent."""
    begin: Callable[[], object] = lambda: None
    """Called once there is a place for it, right before it is sent."""
    model: object = None
    """What is asked: known to whatever is called until the reply is there, as one of `locks.outer`."""
    endpoint: Asked | None = None
    """Who is asked; None, or one without a provider: the driver's own."""


@dataclass(frozen=True, slots=True)
class Inquire:
    """Send small requests side by side; resumed with the JSON of each one's answer, or None where there is none."""

    inquiries: Sequence[Inquiry]
    timeout: float
    """Seconds for all of them."""
    at_once: int = 1
    """How many may be under way."""


@dataclass(frozen=True, slots=True)
class Call:
    """Run a function; resumed with what it returns. Raises TimeoutError when `seconds` were not enough."""

    function: Callable[[], Any]
    blocking: bool = True
    """It may use a disk or much processor time, so an event loop runs it in a thread."""
    seconds: float | None = None
    """After so many seconds it is not waited for any longer; None: no limit."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell an observer of an event, in the event loop's thread if there is one; resumed with None."""

    observer: Callable[[Any], object]
    event: object


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for `seconds`, or until it is `over`; resumed with None."""

    seconds: float
    over: Signal | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Gather:
    """Run flows, several at once; resumed with None once all have ended."""

    flows: Sequence[Flow[None]]


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait at most `seconds` for another call's vector; resumed with it, or with None when that call gave up.

    Raises TimeoutError, and `WouldDeadlock` when the other call cannot go on while this one waits, or at all.
    """

    future: Future[Vectors | None]
    owner: Owner | None
    """Who runs the other call, where that is known."""
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Who:
    """Ask who runs this flow; resumed with an `Owner`."""


class Owner(Protocol):
    """The thread or the task that runs a flow, as its driver knows it."""


@dataclass(frozen=True, slots=True)
class Acquire:
    """Wait at most `seconds` for a throttle; resumed with its answer.

    Raises TimeoutError, `Over`, and whatever the throttle raises.
    """

    throttle: Throttle
    tokens: int
    seconds: float | None
    over: Signal | None = None


class Over(Exception):  # noqa: N818 - a signal between driver and flow
    """There is nothing more to be sent."""


class WouldDeadlock(Exception):  # noqa: N818 - a signal between driver and flow
    """The vector waited for comes only if nobody waits for it here, or not at all."""


Effect: TypeAlias = Ask | Inquire | Call | Tell | Sleep | Gather | Wait | Who | Acquire
Flow: TypeAlias = Generator[Effect, Any, T]
