"""The endpoints of an embedder: what is known of each, and which of them is asked next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from embedbridge.errors import RequestFailed

from .kinds import Kind
from .learnt import Learnt
from .limits import Limiter
from .locks import OwnLock
from .retry import Verdict, is_too_fast, judge, meaning_of
from .seams import Provider
from .types import Batch, Identity, Reply

if TYPE_CHECKING:
    from .effects import Owner
    from .proof import CanarySet

IN_A_ROW = 3
"""Failures after which an endpoint is left alone for a while."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds for which it is; longer each time that its probe fails."""
SOON = 0.5
"""Seconds after which a proof that is under way is taken to have ended, and a place to be free."""
LEAST_LEFT = 0.01
"""The share of a limit that an endpoint is taken to have left at least."""
BAD_GATEWAY = 502
"""The status of a gateway whose connection to the server behind it broke."""
TELLING = ("server", "openai-model", "openai-version", "x-model-version", "system-fingerprint")
"""Headers of an answer that change when another server or model answers at the same address."""


@dataclass(slots=True, eq=False)
class Breaker:
    """Leaves an endpoint alone that has failed several times in a row, and then lets one request probe it."""

    clock: Callable[[], float]
    failures: int = 0
    pause: float = 0.0
    """Seconds of the last pause; 0: there was none since the last success."""
    until: float = 0.0
    """When the pause ends."""

    def is_open(self) -> bool:
        """Whether the endpoint is to be left alone now."""
        return self.pause > 0 and self.clock() < self.until

    def failed(self) -> bool:
        """Count a failure; True when this opens it."""
        self.failures += 1
        if self.is_open() or (not self.pause and self.failures < IN_A_ROW):
            return False
        self.pause = min(LONGEST_PAUSE, 2 * self.pause or FIRST_PAUSE)
        self.until = self.clock() + self.pause
        return True

    def succeeded(self) -> None:
        """The endpoint has answered."""
        self.failures, self.pause = 0, 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Proving:
    """A call that has an endpoint prove its vectors."""

    endpoint: Endpoint
    done: Future[Any]
    """Done when that has ended."""
    owner: Owner | None


@dataclass(slots=True, eq=False)
class Endpoint:
    """One address and key, and what is known of them. An embedder with one endpoint has a nameless one."""

    limiter: Limiter
    learnt: Learnt
    breaker: Breaker
    name: str = ""
    """Its address as it may be shown; unlike the names of the others."""
    provider: Provider | None = None
    """What asks it; None: the driver's own."""
    gate: Any = None
    """Bounds the requests that are under way to it; None: nothing does."""
    weight: float = 1.0
    places: int | None = None
    """Requests that may be under way at once."""
    identity: Identity | None = None
    """What decides its vectors, as a single endpoint."""
    mark: str = ""
    """Tells its key from those of others at the same address, and tells nothing of it."""
    under_way: int = 0
    proved: set[CanarySet] = field(default_factory=set)
    """For which texts it has been shown that its vectors are those of the pool."""
    remembers: bool = True
    """Whether a proof of another day holds."""
    week: int = -1
    """In which it was proved; in the next, it is to be proved anew."""
    suspicions: int = 0
    """A proof during which another one came shows nothing of who answers now."""
    proving: Proving | None = None
    """Whoever proves it now."""
    out: RequestFailed | None = None
    """Why it is left out, until the embedder is closed."""
    told: tuple[str, ...] = ()
    """What its answer to the last proof told of model and server; (): it was in another process."""
    answered: bool = False
    lock: OwnLock = field(default_factory=OwnLock)

    def state(self) -> Literal["", "refused", "closed", "tripped"]:
        """In a word, whether it serves: see `EndpointUse`."""
        if self.out is not None:
            return "refused" if self.out.kind is Kind.SPACE else "closed"
        return "tripped" if self.breaker.is_open() else ""

    def leave(self) -> None:
        """One request that was under way has ended."""
        with self.lock:
            self.under_way -= 1

    def is_full(self) -> bool:
        """Whether as many requests are under way as it may have."""
        return self.places is not None and self.under_way >= self.places

    def takes(self, batch: Batch, size: int) -> bool:
        """Whether a batch, of `size` bytes, is within what it has taught of its limits."""
        learnt = self.learnt
        return (
            len(batch.texts) <= (learnt.items or len(batch.texts))
            and size <= (learnt.size or size)
            and batch.tokens <= (learnt.tokens or batch.tokens)
        )

    def agrees(self, reply: Reply) -> bool:
        """Whether an answer tells of the model and server that have proved their vectors; if not, `doubt`."""
        agrees = told_of(reply) == self.told
        if not agrees:
            self.doubt()
        return agrees

    def doubt(self) -> None:
        """It has to prove its vectors anew: another server or model may answer there."""
        self.proved.clear()
        self.remembers = False

    def begin_week(self, week: int) -> None:
        """What was proved in another week holds no longer."""
        if week != self.week:
            self.week = week
            self.proved.clear()

    def prove(self, sets: set[CanarySet], week: int) -> None:
        """Its vectors of these are the pool's."""
        self.begin_week(week)
        self.proved |= sets

    def suspect(self) -> None:
        """`doubt` it for what a request has met: a proof that is under way may have been answered before that."""
        self.suspicions += 1
        self.doubt()

    def reopen(self) -> None:
        """Have it tried again, as if it had not failed."""
        if self.out is not None:
            self.doubt()
        self.out = None
        self.breaker.succeeded()

    def inherited(self) -> Endpoint:
        """The same in the child of a fork: what was learnt is there, locks are new."""
        limiter, breaker = self.limiter.inherited(), Breaker(self.breaker.clock)
        child = Endpoint(limiter, self.learnt, breaker, self.name, self.provider, None, self.weight, self.places)
        child.identity, child.mark, child.out = self.identity, self.mark, self.out
        child.proved, child.remembers, child.told = set(self.proved), self.remembers, self.told
        child.week = self.week
        return child


def told_of(reply: Reply) -> tuple[str, ...]:
    """What an answer tells of model and server."""
    return (reply.model or "", reply.system, *(reply.headers.get(name, "") for name in TELLING))


class Elsewhere(Exception):  # noqa: N818 - a signal between the steps of one batch
    """An endpoint could not be proved by the call that tried: another one has room for the batch."""

    def __init__(self, *endpoints: Endpoint) -> None:
        super().__init__()
        self.endpoints = set(endpoints)
        """Those that are not to be asked for this batch."""


def load_of(endpoint: Endpoint, tokens: int) -> tuple[float, float]:
    """How much speaks against an endpoint: seconds that a request would wait, and requests under way.

    These count more where little is left of its limits, and less where it has a weight.
    """
    wait, share = endpoint.limiter.outlook(tokens)
    wait += SOON * ((endpoint.proving is not None) + endpoint.is_full())
    return wait, (endpoint.under_way + 1) / (endpoint.weight * max(share, LEAST_LEFT))


def choose(endpoints: Sequence[Endpoint], batch: Batch, size: int, avoid: Collection[Endpoint] = ()) -> Endpoint | None:
    """The endpoint that has the most room for a batch.

    Those that have failed with this batch, are being left alone, or have refused smaller ones, come only where there
    is no other.

    Args:
        endpoints: of the pool.
        batch: what is to be sent.
        size: bytes of its texts.
        avoid: endpoints where this batch has failed.

    Returns:
        None where all are left out.
    """
    usable = [each for each in endpoints if each.out is None]
    tests: Iterable[Callable[[Endpoint], bool]] = (
        lambda each: each.takes(batch, size),
        lambda each: not each.breaker.is_open(),
        lambda each: each not in avoid,
    )
    for test in tests:
        usable = [each for each in usable if test(each)] or usable
    return min(usable, key=lambda each: load_of(each, batch.tokens), default=None)


def is_own_fault(failure: RequestFailed) -> bool:
    """Whether a failure is that of an endpoint for good: its key, its quota, its model, its settings."""
    return judge(failure) is Verdict.STOP


def counts_against(failure: RequestFailed) -> bool:
    """Whether a failure shows that an endpoint is not well: not where it only asks for patience, or blames a text."""
    return judge(failure) in {Verdict.AGAIN, Verdict.ONCE_MORE} and not is_too_fast(failure)


def casts_doubt(failure: RequestFailed) -> bool:
    """Whether another model may answer from now on: an answer looks like it, or the server may have been restarted."""
    return meaning_of(failure) in {Kind.WIDTH, Kind.MODEL, Kind.CONNECTION} or failure.status == BAD_GATEWAY


@dataclass(slots=True, eq=False)
class Pool:
    """Several endpoints of one vector space."""

    endpoints: tuple[Endpoint, ...]
    wires: tuple[str | None, ...]
    """How an index's roles are named in requests."""
    limited: bool = False
    """Whether all endpoints together have limits besides their own."""
    references: dict[CanarySet, dict[int, Any]] = field(default_factory=dict)
    """What vectors of the fixed texts have to agree with: by place in the set, those that the reference could embed."""
    recalled: bool = False
    """Whether the cache was asked for references."""
    lock: OwnLock = field(default_factory=OwnLock)

    def claim(self, mine: Proving) -> Proving | None:
        """Begin to prove an endpoint; who does it already, or proves the first of all: that one is to be waited for."""
        with self.lock:
            first = () if self.references else (each.proving for each in self.endpoints)
            other = mine.endpoint.proving or next(filter(None, first), None)
            if other is None:
                mine.endpoint.proving = mine
            return other

    def release(self, endpoint: Endpoint, done: Future[Any]) -> None:
        """Nobody proves an endpoint any more, and whoever waits for it goes on."""
        with self.lock:
            if endpoint.proving is not None and endpoint.proving.done is done:
                endpoint.proving = None
        done.set_result(None)

    def set_for(self, need: CanarySet) -> CanarySet:
        """What an endpoint is asked for a proof: a set that there is a reference for, where there is one."""
        known = [each for each in self.references if each.wire == need.wire and each.rung >= need.rung]
        return min(known, key=lambda each: each.rung, default=need)

    def serving(self) -> list[Endpoint]:
        """Endpoints that are not left out."""
        return [each for each in self.endpoints if each.out is None]

    def reopen(self) -> None:
        """Have endpoints tried again that are left out, and one that is left alone at once."""
        for each in self.endpoints:
            each.reopen()

    def inherited(self) -> Pool:
        """The same in the child of a fork."""
        children = tuple(each.inherited() for each in self.endpoints)
        return Pool(children, self.wires, self.limited, dict(self.references), self.recalled)
