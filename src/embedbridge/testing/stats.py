"""What the server received and billed: counts, and the requests themselves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from .request import Request

__all__ = ["Requests", "Stats"]


class Requests(Sequence[Request]):
    """Requests in the order in which they came.

    Args:
        requests: in the order in which they came.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = tuple(requests)

    @overload
    def __getitem__(self, index: int) -> Request: ...
    @overload
    def __getitem__(self, index: slice) -> Requests: ...
    def __getitem__(self, index: int | slice) -> Request | Requests:
        return Requests(self._requests[index]) if isinstance(index, slice) else self._requests[index]

    def __len__(self) -> int:
        return len(self._requests)

    def __repr__(self) -> str:
        return f"<Requests {dict(self.counts)}>"

    def to(self, where: str) -> Requests:
        """Those to one dialect (`cohere`) or one path (`/v1/embeddings`).

        Args:
            where: the dialect or the path.

        Returns:
            In order.
        """
        return Requests([request for request in self if where in (request.dialect, request.path)])

    @property
    def counts(self) -> Counter[str]:
        """How many came for each path."""
        return Counter(request.path for request in self)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The JSON of each request."""
        return [request.payload for request in self]

    @property
    def items(self) -> list[list[Any]]:
        """The texts of each request."""
        return [request.items for request in self]


@dataclass(slots=True)
class Stats:
    """Counts of one run.

    Attributes:
        calls: requests for embeddings, answered or not.
        served: those that were worked out and billed.
        texts: vectors worked out.
        tokens: tokens billed.
        billed: by text, how often a vector for it was worked out; a list of token ids counts as a tuple.
        statuses: by status, answers sent; 0: a request that got none.
        log: every request, with its headers.
    """

    calls: int = 0
    served: int = 0
    texts: int = 0
    tokens: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    connections: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    billed: Counter[Hashable] = field(default_factory=Counter)
    log: list[Request] = field(default_factory=list)

    def began(self, request: Request) -> None:
        """Count a request for embeddings that came in.

        Args:
            request: as it was received.
        """
        request.at = time.monotonic()
        self.calls += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def worked_out(self, request: Request) -> None:
        """Count what is billed whatever becomes of the answer.

        Args:
            request: whose vectors were worked out.
        """
        self.served += 1
        self.texts += len(request.items)
        self.tokens += request.tokens
        self.billed.update(item if isinstance(item, str) else tuple(item) for item in request.items)

    def answered(self, request: Request, status: int) -> None:
        """Count a status before it is sent, so that no client knows more than the counts.

        Args:
            request: that is answered.
            status: 0: none is sent.
        """
        request.status = status
        self.statuses[status] += 1

    def ended(self, request: Request) -> None:
        """Count a request as done with.

        Args:
            request: that has ended.
        """
        self.in_flight -= 1
        request.took = time.monotonic() - request.at

    def again(self) -> dict[Hashable, int]:
        """Texts that were paid for more than once.

        Returns:
            By text, how often.
        """
        return {text: times for text, times in self.billed.copy().items() if times > 1}

    def summary(self) -> dict[str, Any]:
        """The counts as JSON.

        Returns:
            Values by name.
        """
        names = ("calls", "served", "texts", "tokens", "max_in_flight", "connections")
        counts: dict[str, Any] = {name: getattr(self, name) for name in names}
        return counts | {
            "statuses": dict(self.statuses),
            "distinct": len(self.billed),
            "billed_again": len(self.again()),
        }
