"""Which vendor's batch API a request is for."""

from __future__ import annotations

from . import _gemini_batches, _mistral_batches, _openai_batches
from ._batches import Batches, Work
from ._pages import Page
from .request import Request

VENDORS = (_mistral_batches, _gemini_batches, _openai_batches)


def is_for_batches(path: str) -> bool:
    """Whether a path is one of a batch API."""
    return any(vendor.is_for_batches(path) for vendor in VENDORS)


def answer_batches(batches: Batches, request: Request, work: Work) -> Page:
    """Answer a request. Raises `Refusal`."""
    vendor = next(vendor for vendor in VENDORS if vendor.is_for_batches(request.path))
    answer: Page = vendor.answer_batches(batches, request, work)
    return answer
