"""Text Embeddings Inference: `POST /tei/embed`, `GET /tei/info`, `POST /tei/tokenize`."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

from typing import Any, ClassVar

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.published import Pages, tei_pages
from embedbridge.testing.request import Refusal, Request
from embedbridge.testing.vectors import Item, truncate

from .base import Dialect, as_list, written

__all__ = ["TextEmbeddingsInference"]

_TYPES = {400: "Empty", 413: "Validation", 422: "Tokenizer", 424: "Backend", 429: "Overloaded", 503: "Unhealthy"}


class TextEmbeddingsInference(Dialect):
    """One model, which no request names; answers are a bare list, and their tokens stand in a header."""

    name: ClassVar[str] = "tei"
    width: ClassVar[int] = 384
    limits: ClassVar[Limits] = Limits(32, 512, None)

    def speaks(self, path: str) -> bool:
        return path == "/embed"

    def parse(self, request: Request) -> None:
        items = as_list(request.payload.get("inputs"))
        if items is None:
            raise Refusal(422, "Failed to deserialize the JSON body: inputs: data did not match any variant")
        request.items = items

    def check(self, request: Request, limits: Limits) -> None:
        if not request.items or "" in request.items:
            raise Refusal(400, "`inputs` cannot be empty")
        if limits.items is not None and len(request.items) > limits.items:
            raise Refusal(413, f"batch size {len(request.items)} > maximum allowed batch size {limits.items}")

    def dims(self, request: Request, width: int) -> int:
        asked = int(request.payload.get("dimensions") or width)
        if not 0 < asked <= width:
            raise Refusal(413, f"Input validation error: `dimensions` should be smaller than {width}")
        return asked

    def truncates(self, request: Request) -> bool:
        return request.payload.get("truncate") is True

    def read(self, request: Request, limits: Limits) -> list[Item]:
        most, left = limits.tokens_per_item, request.payload.get("truncation_direction") == "Left"
        if most is not None and left and self.truncates(request):
            return [truncate(item, most, keep_end=True) for item in request.items]
        return super().read(request, limits)

    def too_long(self, limit: int, tokens: int) -> Refusal:
        told = f"Input validation error: `inputs` must have less than {limit} tokens. Given: {tokens}"
        return Refusal(413, told)

    def write(self, request: Request, answer: Answer) -> Any:
        return {} if "data" in answer.missing else written(answer.vectors, packed=False)

    def headers(self, answer: Answer) -> dict[str, str]:
        return {} if "usage" in answer.missing else {"x-compute-tokens": str(answer.tokens)}

    def pages(self, limits: Limits) -> Pages:
        return tei_pages(limits)

    def error(self, refusal: Refusal) -> dict[str, Any]:
        kind = refusal.code or _TYPES.get(refusal.status, "Backend")  # a code is that of a gateway in front
        return {"error": refusal.message, "error_type": kind}
