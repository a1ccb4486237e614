"""Batch APIs, at half the price for who can wait a day: hand texts over tonight, and find their vectors in the cache.

from embedbridge.batch import collect, submit

submit(embedder, texts)       # asks for what the cache lacks, and returns at once
collect(embedder)             # tomorrow, from any process: what came back goes into the cache
embedder.embed_documents(texts)  # asks for nothing
"""

from __future__ import annotations

from embedbridge._batch.statuses import BatchStatus

from ._calls import cancel, collect, forget, status, submit
from ._calls import list as list  # noqa: A004 - not in `__all__`, because `import *` is not to replace Python's
from ._coroutines import acancel, acollect, aforget, alist, astatus, asubmit
from ._steps import Submission

__all__ = [
    "BatchStatus",
    "Submission",
    "acancel",
    "acollect",
    "aforget",
    "alist",
    "astatus",
    "asubmit",
    "cancel",
    "collect",
    "forget",
    "status",
    "submit",
]
