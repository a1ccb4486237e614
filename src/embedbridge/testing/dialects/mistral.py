"""Mistral: OpenAI's wire with `output_dimension` and `output_dtype`; at `/mistral/v1/embeddings`."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.request import Refusal, Request

from .openai import OpenAI

__all__ = ["Mistral"]

_FIELDS = {"model", "input", "metadata", "output_dimension", "output_dtype", "encoding_format"}
_WIDEST = 3072
"""Numbers in a vector of codestral-embed, which gives half as many unless it is asked for more."""


class Mistral(OpenAI):
    """Refuses fields that it does not know, and never cuts a text."""

    name: ClassVar[str] = "mistral"
    width: ClassVar[int] = 1024
    widths: ClassVar[Mapping[str, int]] = dict.fromkeys(("codestral-embed", "codestral-embed-2505"), 1536)
    limits: ClassVar[Limits] = Limits(256, 8192, 16_384)
    dimensions_field = "output_dimension"

    def speaks(self, path: str) -> bool:
        return path in ("/v1/embeddings", "/embeddings")

    def check(self, request: Request, limits: Limits) -> None:
        for name in sorted(request.payload.keys() - _FIELDS):
            raise Refusal(422, "Extra inputs are not permitted", code=name)
        if limits.items is not None and len(request.items) > limits.items:
            raise Refusal(400, "Too many inputs in request, split into more batches.")
        super().check(request, limits)

    def dims(self, request: Request, width: int) -> int:
        wider = request.model in self.widths and request.payload.get("output_dimension")
        return super().dims(request, max(width, _WIDEST) if wider else width)

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        if request.payload.get("output_dtype") == "int8":
            answer.vectors = [np.rint(vector * 127).astype(int) for vector in answer.vectors]
        return {"id": "embd-0123456789abcdef", **super().write(request, answer)}

    def error(self, refusal: Refusal) -> Any:
        message: Any = refusal.message
        if refusal.status == 422 and refusal.code:
            message = {"detail": [{"type": "extra_forbidden", "loc": ["body", refusal.code], "msg": refusal.message}]}
        return {"object": "error", "message": message, "type": refusal.type, "param": None, "code": refusal.code}
