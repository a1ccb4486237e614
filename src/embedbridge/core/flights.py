"""One text is asked for once: who is already fetching which key, across all calls of a process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from .types import Vectors


@dataclass(slots=True)
class _Claim:
    call: int
    thread: int
    future: Future[Vectors | None] | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """A key that another call is fetching."""

    position: int
    future: Future[Vectors | None]
    owner: int
    """Identifier of the thread that runs the other call."""


class Flights:
    """Keys on their way. A key is claimed by one call; the others get a future of its vector."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[bytes, _Claim] = {}
        self.landed = 0
        """How many keys have landed so far: when it has not moved, a cache read before a claim is still true."""

    def claim(self, keys: Sequence[bytes], call: int) -> tuple[list[int], list[Followed]]:
        """Positions that are `call`'s to fetch, and those that are being fetched already."""
        mine, others, thread = [], [], threading.get_ident()
        with self._lock:
            for position, key in enumerate(keys):
                claim = self._claims.get(key)
                if claim is None:
                    self._claims[key] = _Claim(call, thread)
                    mine.append(position)
                    continue
                if claim.future is None:
                    claim.future = Future()
                others.append(Followed(position, claim.future, claim.thread))
        return mine, others

    def land(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """`vectors[i]` is there for `keys[i]`: hand it to whoever waits."""
        with self._lock:
            self.landed += len(keys)
            waiting = [(self._claims.pop(key, None), row) for row, key in enumerate(keys)]
        for claim, row in waiting:
            if claim is not None and claim.future is not None:
                claim.future.set_result(vectors[row])

    def release(self, keys: Sequence[bytes], call: int) -> None:
        """The claims of `call` on these end; whoever waits for one that never landed must ask for itself."""
        with self._lock:
            claimed = [key for key in dict.fromkeys(keys) if key in self._claims and self._claims[key].call == call]
            given_up = [self._claims.pop(key) for key in claimed]
        for claim in given_up:
            if claim.future is not None:
                claim.future.set_result(None)
