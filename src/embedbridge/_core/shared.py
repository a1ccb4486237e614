"""What all calls of one embedder share: its limits, its budget, its cache, its roles, and what it has spent."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .endpoints import Breaker, Endpoint, Pool
from .finish import Finish
from .keys import KeyRules
from .learnt import Learnt
from .locks import OwnLock
from .model_names import ModelNames
from .seams import OnTheirWay, Store
from .servers import Server
from .tokens import SPECIAL, most_tokens
from .types import Identity, InputType, Limits, Report, Route

if TYPE_CHECKING:
    from embedbridge.events import Event

    from .flights import Flights
    from .limits import Limiter
    from .purse import Purse
    from .retry import Backoff, RetryBudget
    from .seams import Throttle
    from .tokens import Bound, Counter, TooLong

LEAST_READ = 512
"""Tokens of a text that every hosted model reads, documented or not."""


@dataclass(frozen=True, slots=True)
class Role:
    """How texts of one role are sent, and what stands in their keys besides the text."""

    route: Route
    rules: KeyRules
    full_width_rules: KeyRules | None = None
    """As `rules`, for the wider vectors that ours may be cut from."""
    members: Mapping[Identity, Role] = field(default_factory=dict)
    """Of a pool: the same of its endpoints, as if each were alone."""
    titled: str = ""
    """How a text's own title is written in place of the prefix; "": none is."""


@dataclass(slots=True)
class Shared:
    """Made at the first call, and lives as long as its embedder, however often that is closed."""

    identity: Identity
    limits: Limits
    limiter: Limiter
    """Of the one endpoint, or of all endpoints of a pool together."""
    backoff: Backoff
    budget: RetryBudget
    flights: Flights
    store: Store | None
    counter: Callable[[], Counter]
    policy: TooLong
    timeout: float
    purse: Purse
    bound: Bound
    """What the provider can bill for a text."""
    billed_by: Callable[[], Counter | None]
    """The tokenizer whose count is what the provider bills, where it is known and at hand."""
    clock: Callable[[], float]
    emit: Callable[[Event], None]
    is_heard: Callable[[], bool] = lambda: True
    """Whether anybody takes events now; where nobody does, those of a call that goes well are not made."""
    book: Callable[[Report], None] = lambda _: None
    """Adds a call's report to the embedder's total."""
    finish: Finish = field(default_factory=Finish)
    """What becomes of the provider's vectors before the caller gets them."""
    roles: dict[InputType, Role] = field(default_factory=dict)
    """Those that were used so far."""
    warn: Callable[[str], object] = warnings.warn
    throttle: Throttle | None = None
    """A rate limiter of the user's own."""
    names: ModelNames = field(default_factory=ModelNames)
    """What model an answer may name."""
    accept_zeros: bool = False
    """A vector of zeros is what the model gives, and no fault."""
    width: int | None = None
    """Dimensions of the provider's vectors, once known."""
    width_key: bytes | None = None
    """Where the cache holds the width; None where it needs not be asked."""
    width_from_cache: bool = False
    held: int | None = None
    """The width that the cache holds, once known."""
    full_width: tuple[Identity, int] | None = None
    learnt: Learnt = field(default_factory=Learnt)
    server: Server | None = None
    """How the server can be asked besides vectors, if at all."""

    on_their_way: OnTheirWay | None = None
    """Texts that are not asked for, because a batch API has them; None: whatever it has is asked for."""

    pool: Pool | None = None
    """Several endpoints; None: there is one."""
    endpoint: Endpoint = field(init=False)
    """The one, or the first of the pool."""
    wall: Callable[[], float] = lambda: 0.0
    """Seconds since the epoch."""

    lock: OwnLock = field(default_factory=OwnLock)

    def __post_init__(self) -> None:
        own = Endpoint(self.limiter, self.learnt, Breaker(self.clock))
        self.endpoint = own if self.pool is None else self.pool.endpoints[0]

    def answers(self) -> int:
        """Requests answered so far, by whichever endpoint."""
        if self.pool is None:
            return self.limiter.answers
        return sum(each.limiter.answers for each in self.pool.endpoints)

    def token_ceiling(self) -> float | None:
        """The most tokens that every endpoint's bucket holds, where one has said so."""
        if self.pool is None:
            return self.limiter.token_ceiling()
        told = (each.limiter.token_ceiling() for each in self.pool.serving())
        return min((ceiling for ceiling in told if ceiling is not None), default=None)

    def may_be_cut(self, encoded: bytes) -> bool:
        """Whether we or the server may cut a text, given in UTF-8, so that its vector depends on who cuts it how."""
        size, limit = len(encoded) + SPECIAL, self.limits.text_tokens
        if limit is None:
            return self.limits.cuts_unseen and size > LEAST_READ
        # Most texts are settled by their bytes: to decode each would take as long as to make its key.
        return size > limit or (self.limits.normalised and self.may_cut(encoded.decode(), len(encoded)))

    def may_cut(self, text: str, size: int) -> bool:
        """Whether a text, of `size` bytes, may have more tokens than the model reads."""
        limit = self.limits.text_tokens
        return limit is not None and self.may_exceed(text, size, limit)

    def may_exceed(self, text: str, size: int, limit: int) -> bool:
        """Whether a text, of `size` bytes, may have more than so many tokens."""
        return most_tokens(text, size, normalised=self.limits.normalised) + SPECIAL > limit

    def cut_of(self, kept: int, whole: int) -> tuple[int, int] | None:
        """What a report tells of a text of `whole` tokens, of which the cache knows that `kept` were sent."""
        means, limit = self.policy == "mean", self.limits.text_tokens
        if whole > kept or (means and limit is not None and kept > limit):
            return (kept if means else whole), kept
        return None

    def agree(self, width: int, *, cached: bool = False) -> bool:
        """Whether `width` is that of all vectors so far; the first ones decide it, `cached` ones perhaps."""
        if self.width is None:
            with self.lock:
                if self.width is None:
                    self.width_from_cache, self.width = cached, width
        return self.width == width
