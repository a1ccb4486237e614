"""What all calls of one embedder share: its limits, its budget, its cache, and what it has spent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .learnt import Learnt
from .tokens import most_tokens
from .types import Identity, Limits, Server, Store

if TYPE_CHECKING:
    from .effects import Throttle
    from .events import Event
    from .flights import Flights
    from .limits import Limiter
    from .retry import Backoff, RetryBudget
    from .tokens import Counter, TooLong

SPECIAL = 8
"""More special tokens than any model adds: a text with fewer bytes than the limit less these needs no tokenizer."""


@dataclass(slots=True)
class Setting:
    """What all calls of one embedder share."""

    identity: Identity
    limits: Limits
    limiter: Limiter
    backoff: Backoff
    budget: RetryBudget
    flights: Flights
    store: Store | None
    counter: Callable[[], Counter]
    policy: TooLong
    timeout: float
    price: float | None
    """Dollars a million tokens."""
    max_cost: float | None
    clock: Callable[[], float]
    emit: Callable[[Event], None]
    throttle: Throttle | None = None
    """A rate limiter of the user's own."""
    other_models: frozenset[str] = frozenset()
    """Names of this provider's other models: an answer that names one of them is wrong."""
    width: int | None = None
    """Dimensions of the provider's vectors, once known."""
    full_width: tuple[Identity, int] | None = None
    learnt: Learnt = field(default_factory=Learnt)
    server: Server | None = None
    """How the server can be asked besides vectors, if at all."""

    spent: float = 0.0
    """Dollars over all calls, requests under way included."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def may_cut(self, text: str, size: int) -> bool:
        """Whether a text, of `size` bytes, may have more tokens than the model reads."""
        limit = self.limits.text_tokens
        return limit is not None and self.may_exceed(text, size, limit)

    def may_exceed(self, text: str, size: int, limit: int) -> bool:
        """Whether a text, of `size` bytes, may have more than so many tokens."""
        return most_tokens(text, size, normalised=self.limits.normalised) + SPECIAL > limit

    def agree(self, width: int) -> bool:
        """Whether `width` is that of all vectors so far; the first ones decide it."""
        with self.lock:
            self.width = self.width or width
            return self.width == width
