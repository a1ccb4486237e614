"""Which vendor's batch API a request is for."""

from __future__ import annotations

from . import _gemini_batches, _mistral_batches, _openai_batches
from ._batches import Batches, Work
from ._pages import Page
from .dialects import DIALECTS, Dialect
from .request import Request

VENDORS = (_mistral_batches, _gemini_batches, _openai_batches)


def is_for_batches(path: str) -> bool:
    """Whether a path is one of a batch API."""
    return any(vendor.is_for_batches(path) for vendor in VENDORS)


def reader_of(request: Request) -> Dialect | None:
    """The API that cuts the texts of a batch in its own way; None: the one that its lines are written for."""
    if not _gemini_batches.is_for_batches(request.path):
        return None
    return next(dialect for dialect in DIALECTS if dialect.name == "gemini")


def answer_batches(batches: Batches, request: Request, work: Work) -> Page:
    """Answer a request. Raises `Refusal`."""
    vendor = next(vendor for vendor in VENDORS if vendor.is_for_batches(request.path))
    answer: Page = vendor.answer_batches(batches, request, work)
    return answer
