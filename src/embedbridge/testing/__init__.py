"""For tests of programs that embed: a local server that speaks the providers' APIs, and fails in them on request."""

from .faults import FAULTS
from .limits import Latency, Limits, RateLimit
from .request import Request, contains
from .server import FaultServer
from .stats import Requests, Stats
from .vectors import count_tokens, vector_for

__all__ = [
    "FAULTS",
    "FaultServer",
    "Latency",
    "Limits",
    "RateLimit",
    "Request",
    "Requests",
    "Stats",
    "contains",
    "count_tokens",
    "vector_for",
]
