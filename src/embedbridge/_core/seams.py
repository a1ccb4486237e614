"""What the core asks of what is around it: of a provider, a cache, texts on their way by a batch, a rate limiter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .types import Batch, Hits, Kept, Reply, Vectors

if TYPE_CHECKING:
    from .patience import Patience
    from .servers import Inquiry


class Provider(Protocol):
    """What a driver needs of an embedding API: send a batch as one request, and give the answer as a `Reply`."""

    @property
    def obeys_timeout(self) -> bool:
        """Whether `ask` and `aask` keep to their timeout themselves."""
        ...

    @property
    def one_at_a_time(self) -> bool:
        """Whether it calls code that may call us, so that no request waits longer than its timeout for one of them."""
        ...

    @property
    def doing(self) -> str:
        """What a call waited for whose deadline came while it asked; "" where there is nothing special to say."""
        ...

    def get_ready(self, seconds: float | None) -> None:
        """Wait for what is made once and is no part of a request's time.

        Args:
            seconds: the most to wait; None: no limit.

        Raises:
            RequestFailed: it could not be made in time, or at all.
        """
        ...

    async def aget_ready(self, seconds: float | None) -> None:
        """`get_ready` without blocking the event loop.

        Args:
            seconds: the most to wait; None: no limit.

        Raises:
            RequestFailed: it could not be made in time, or at all.
        """
        ...

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request.

        Args:
            batch: texts of one role.
            timeout: seconds that bound all of it.

        Returns:
            The answer as it came, unchecked.

        Raises:
            RequestFailed: no usable answer came.
        """
        ...

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """`ask` without blocking the event loop.

        Args:
            batch: texts of one role.
            timeout: seconds that bound all of it.

        Returns:
            The answer as it came, unchecked.

        Raises:
            RequestFailed: no usable answer came.
        """
        ...

    def inquire(self, inquiries: Sequence[Inquiry], *, timeout: float, at_once: int) -> list[Any]:
        """Send small requests about the server itself. Raises nothing, and ends in time.

        Args:
            inquiries: what to ask.
            timeout: seconds for all of them.
            at_once: how many may be under way together.

        Returns:
            The JSON of each one's answer, or None.
        """
        ...

    async def ainquire(self, inquiries: Sequence[Inquiry], *, timeout: float, at_once: int) -> list[Any]:
        """`inquire` without blocking the event loop.

        Args:
            inquiries: what to ask.
            timeout: seconds for all of them.
            at_once: how many may be under way together.

        Returns:
            The JSON of each one's answer, or None.
        """
        ...


class Store(Protocol):
    """A cache as a flow sees it: it stores and gives back vectors, and raises no error."""

    @property
    def blocking(self) -> bool:
        """Whether reading and writing touch a disk or a network."""
        ...

    def read(
        self,
        keys: Sequence[bytes],
        width: int | None = None,
        *,
        counted: bool = True,
        again: bool = False,
        patience: Patience | None = None,
    ) -> Hits:
        """The entries for `keys`, without those that are damaged or have another width than `width`.

        Args:
            keys: of the vectors wanted.
            width: dimensions; None: those of the first entry.
            counted: whether hits count as savings in the cache's statistics.
            again: the texts were looked up under other keys before, and counted as misses.
            patience: how long to wait; what has not come by then is left out.
        """
        ...

    def read_one(self, key: bytes, width: int | None = None, *, again: bool = False) -> Kept | None:
        """`read` for a single key: the short way, for a query waits for it."""
        ...

    def write(
        self,
        keys: Sequence[bytes],
        vectors: Vectors,
        tokens: Sequence[int],
        before: Sequence[int],
        *,
        patience: Patience | None = None,
    ) -> None:
        """Store `vectors[i]` under `keys[i]`, with the tokens that were sent and those of the text before any cut.

        What takes longer than there is patience goes on in the background; from now on `read` finds it all the same.
        """
        ...

    def hold_width(self, key: bytes, width: int | None, *, patience: Patience | None = None) -> int | None:
        """The dimensions of the vectors that the cache holds for a model, over all processes and runs.

        Args:
            key: of the model.
            width: held from now on, if none are; None: only look.
            patience: how long to wait.

        Returns:
            None where none are held, or the cache cannot be had now.
        """
        ...

    def hold_vectors(self, key: bytes, vectors: Vectors | None, *, patience: Patience | None = None) -> Vectors | None:
        """Vectors that the cache holds together, for good, over all processes and runs: the first ones decide.

        Args:
            key: of no text.
            vectors: held from now on, if none are; None: only look.
            patience: how long to wait.

        Returns:
            None where none are held, or the cache cannot be had now.
        """
        ...

    def close(self) -> None:
        """Write what still waits, and close files and connections."""
        ...


class OnTheirWay(Protocol):
    """Texts that a batch API has, as a flow sees them."""

    @property
    def waits(self) -> bool:
        """Whether a call waits for them; else it leaves them out."""
        ...

    def find(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those keys whose vectors are on their way."""
        ...

    def collect(self, keys: Sequence[bytes]) -> None:
        """Put what came back into the cache; `keys` are those that a call waits for."""
        ...


class Throttle(Protocol):
    """A rate limiter of the user's own, asked before every request that is sent."""

    @property
    def ceiling(self) -> int | None:
        """The most tokens that it ever grants at once; None: as many as one asks for."""
        ...

    def acquire(self, tokens: int) -> bool:
        """Block until one request may go.

        Args:
            tokens: estimated, of the request.

        Returns:
            False: it may not.
        """
        ...

    async def aacquire(self, tokens: int) -> bool:
        """`acquire` without blocking the event loop.

        Args:
            tokens: estimated, of the request.

        Returns:
            False: it may not.
        """
        ...
