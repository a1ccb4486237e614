"""For tests of programs that embed: a local server that speaks the providers' APIs, and fails in them on request.

`FaultServer(quirks=["tei"])` speaks OpenAI's API as another server does; `QUIRKS` lists them.
"""

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
    "vector_for",
]
