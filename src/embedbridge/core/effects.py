"""What a flow may ask its driver to do.

A flow is a generator that yields effects and is sent their outcomes. It never sends, sleeps or opens anything itself,
so one text of a rule serves threads and event loops alike, and a test can drive it by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from .types import Batch, Reply, Vectors

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """Send one request; resumed with a `Reply`. Raises TimeoutError when `concurrency` left no place for it in time."""

    batch: Batch
    timeout: float
    """Seconds for the request."""
    left: float | None = None
    """Seconds for the wait and the request together; None: no limit."""
    begin: Callable[[], object] = lambda: None
    """Called once there is a place for it, right before it is sent."""

    def after(self, waited: float) -> float:
        """Seconds that are left for the request after a wait of `waited` seconds."""
        return self.timeout if self.left is None else min(self.timeout, max(0.001, self.left - waited))


@dataclass(frozen=True, slots=True)
class Call:
    """Run a function; resumed with what it returns."""

    function: Callable[[], Any]
    blocking: bool = True
    """It may use a disk or much processor time, so an event loop runs it in a thread."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for `seconds`; resumed with None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Gather:
    """Run flows, several at once; resumed with None once all have ended."""

    flows: Sequence[Flow[None]]


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait at most `seconds` for another call's vector; resumed with it, or with None when that call gave up.

    Raises TimeoutError, and `WouldDeadlock` when the other call runs in this very thread.
    """

    future: Future[Vectors | None]
    owner: int
    """Identifier of the thread that runs the other call."""
    seconds: float | None


class Throttle(Protocol):
    """A rate limiter of the user's own, asked before every request that is sent."""

    @property
    def ceiling(self) -> int | None:
        """The most tokens that it ever grants at once; None: as many as one asks for."""
        ...

    def acquire(self, tokens: int) -> bool:
        """Block until one request of so many tokens may go; False: it may not."""
        ...

    async def aacquire(self, tokens: int) -> bool:
        """The same, without blocking the event loop."""
        ...


@dataclass(frozen=True, slots=True)
class Acquire:
    """Wait at most `seconds` for a throttle; resumed with its answer.

    Raises TimeoutError, and whatever the throttle raises.
    """

    throttle: Throttle
    tokens: int
    seconds: float | None


class WouldDeadlock(Exception):  # noqa: N818 - a signal between driver and flow
    """The vector waited for is being fetched by this very thread."""


Effect: TypeAlias = Ask | Call | Sleep | Gather | Wait | Acquire
Flow: TypeAlias = Generator[Effect, Any, T]


def ask(batch: Batch, timeout: float, left: float | None, begin: Callable[[], object]) -> Flow[Reply]:
    """Send one request; `begin` is called right before."""
    reply: Reply = yield Ask(batch, timeout, left, begin)
    return reply


def call(function: Callable[[], T], *, blocking: bool = True) -> Flow[T]:
    """Run a function outside the flow."""
    outcome: T = yield Call(function, blocking)
    return outcome


def sleep(seconds: float) -> Flow[None]:
    """Wait, if there is anything to wait for."""
    if seconds > 0:
        yield Sleep(seconds)


def gather(flows: Sequence[Flow[None]]) -> Flow[None]:
    """Run flows side by side."""
    if flows:
        yield Gather(flows)


def wait(future: Future[Vectors | None], owner: int, seconds: float | None) -> Flow[Vectors | None]:
    """Wait for another call's vector."""
    vector: Vectors | None = yield Wait(future, owner, seconds)
    return vector


def acquire(throttle: Throttle, tokens: int, seconds: float | None) -> Flow[bool]:
    """Wait for a throttle to let one request go."""
    granted: bool = yield Acquire(throttle, tokens, seconds)
    return granted
