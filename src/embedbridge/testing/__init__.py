"""For tests of programs that embed: a local server that speaks the providers' APIs, and fails in them on request.

`FaultServer(quirks=["tei"])` speaks OpenAI's API as another server does; `QUIRKS` lists them. `no_waiting()` removes
the pauses between attempts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from embedbridge._core.retry import OwnPauses

from .faults import BATCH_FAULTS, FAULTS
from .limits import Latency, Limits, RateLimit
from .quirks import QUIRKS
from .request import Request, contains
from .server import FaultServer
from .stats import Requests, Stats
from .vectors import count_tokens, vector_for

__all__ = [
    "BATCH_FAULTS",
    "FAULTS",
    "QUIRKS",
    "FaultServer",
    "Latency",
    "Limits",
    "RateLimit",
    "Request",
    "Requests",
    "Stats",
    "contains",
    "count_tokens",
    "no_waiting",
    "vector_for",
]

_BRIEF = 0.001


@contextmanager
def no_waiting() -> Iterator[None]:
    """Make every embedder of this process try again at once, so that tests of faults are quick.

    What a server asks for is waited for all the same: `Retry-After` and its kin, and the limits that an embedder has.

    Yields:
        Nothing. The pauses are as before when the block ends.
    """
    before, OwnPauses.longest = OwnPauses.longest, _BRIEF
    try:
        yield
    finally:
        OwnPauses.longest = before
