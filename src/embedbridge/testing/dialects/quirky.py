"""OpenAI's API as another server speaks it: the dialect under any number of quirks."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.published import Page, Pages
from embedbridge.testing.quirks import Quirk, Said
from embedbridge.testing.request import Refusal, Request

from .openai import OpenAI

__all__ = ["Quirky"]


class Quirky(OpenAI):
    """Where two quirks say otherwise, the later one has its way.

    Args:
        quirks: what the server does otherwise than OpenAI.
    """

    def __init__(self, quirks: Sequence[Quirk]) -> None:
        self._quirks = quirks
        for quirk in quirks:
            self.dimensions_field = quirk.dimensions or self.dimensions_field

    def check(self, request: Request, limits: Limits) -> None:
        for quirk in self._quirks:
            if quirk.check is not None:
                quirk.check(request)
            if quirk.too_many is not None and limits.items is not None and len(request.items) > limits.items:
                raise quirk.too_many(limits.items, len(request.items))
        super().check(request, limits)

    def truncates(self, request: Request) -> bool:
        return any(quirk.truncates(request) for quirk in self._quirks if quirk.truncates is not None)

    def too_long(self, limit: int, tokens: int) -> Refusal:
        worded = next((quirk.too_long for quirk in reversed(self._quirks) if quirk.too_long), super().too_long)
        return worded(limit, tokens)

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        reply = super().write(request, answer)
        for quirk in self._quirks:
            reply = quirk.write(reply) if quirk.write is not None else reply
        return reply

    def refuse(self, refusal: Refusal) -> Said:
        said: Said = refusal.status, dict(refusal.headers), super().error(refusal)
        for quirk in self._quirks:
            said = quirk.refuse(refusal, said) if quirk.refuse is not None else said
        return said

    def error(self, refusal: Refusal) -> Any:
        return self.refuse(refusal)[2]

    def pages(self, limits: Limits) -> Pages:
        """What it answers besides embeddings.

        Args:
            limits: of the server.

        Returns:
            By method and path, a function of the request's JSON.
        """
        found: dict[tuple[str, str], Page] = {}
        for quirk in self._quirks:
            found |= quirk.pages(limits) if quirk.pages is not None else {}
        return found
