"""Single flight: which key is being fetched by which call, so that no text is asked for by two calls of a process."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from .effects import Owner
from .locks import OwnLock
from .types import Vectors


@dataclass(slots=True)
class _Claim:
    """A key that a call is fetching; the future is made for the first other call that waits for it."""

    call: int
    owner: Owner | None
    future: Future[Vectors | None] | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """A key that another call is fetching."""

    position: int
    future: Future[Vectors | None]
    owner: Owner | None
    """Who runs the other call."""


@dataclass(eq=False, slots=True)
class Ended:
    """Keys that calls have fetched, or given up, since somebody began to watch."""

    keys: set[bytes] = field(default_factory=set)


class Flights:
    """Keys being fetched. One call claims a key; other calls that want it get a future of its vector."""

    def __init__(self) -> None:
        self._lock = OwnLock()  # reentrant: a flow that is garbage may be closed while its thread holds the lock
        self._claims: dict[bytes, _Claim] = {}
        self._watched: set[Ended] = set()  # changed without a lock, as sets may be
        self.landings = 0
        """How often calls have fetched keys, or given them up."""
        self.until = 0.0
        """When, on the callers' clock, calls that get on will have got on at the latest; see `Job.expect`."""

    def watch(self, ended: Ended | None = None) -> Ended:
        """What ends from now on, until `unwatch`; `ended` is forgotten, and used again."""
        if ended is None:
            ended = Ended()
            self._watched.add(ended)
        else:
            ended.keys.clear()
        return ended

    def watch_from(self, landings: int) -> Ended | None:
        """`watch` from a moment before, when there were so many landings; None where there are more by now."""
        ended = self.watch()
        if self.landings == landings:
            return ended
        self.unwatch(ended)
        return None

    def unwatch(self, ended: Ended) -> None:
        """Add no more to what was watched."""
        self._watched.discard(ended)

    def claim(self, keys: Sequence[bytes], call: int, owner: Owner | None = None) -> tuple[list[int], list[Followed]]:
        """Claim keys for a call.

        Returns:
            The positions of keys that the call must fetch now, and those that other calls are fetching.
        """
        mine, others = [], []
        with self._lock:
            for position, key in enumerate(keys):
                claim = self._claims.get(key)
                if claim is None:
                    self._claims[key] = _Claim(call, owner)
                    mine.append(position)
                    continue
                if claim.future is None:
                    claim.future = Future()
                others.append(Followed(position, claim.future, claim.owner))
        return mine, others

    def land(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Give `vectors[i]` to all who wait for `keys[i]`, and end the claims."""
        with self._lock:
            waiting = [(self._claims.pop(key, None), row) for row, key in enumerate(keys)]
            self._note(keys)
        for claim, row in waiting:
            if claim is not None and claim.future is not None:
                claim.future.set_result(vectors[row])

    def release(self, keys: Sequence[bytes], call: int) -> None:
        """End a call's claims. Whoever waits for a vector that never arrived gets None, and must ask for itself."""
        if self._claims.keys().isdisjoint(keys):
            return  # all have landed
        with self._lock:
            claimed = [key for key in dict.fromkeys(keys) if key in self._claims and self._claims[key].call == call]
            given_up = [self._claims.pop(key) for key in claimed]
            self._note(claimed)
        for claim in given_up:
            if claim.future is not None:
                claim.future.set_result(None)

    def _note(self, keys: Sequence[bytes]) -> None:
        self.landings += 1
        for ended in tuple(self._watched):
            ended.keys.update(keys)
