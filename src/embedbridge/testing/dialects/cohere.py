"""Cohere: `POST /v2/embed` and `/v1/embed`, answers by type, no index fields."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.request import Refusal, Request

from .base import Dialect, need_model, need_texts, without, written

__all__ = ["Cohere"]

_INPUT_TYPES = ("search_document", "search_query", "classification", "clustering")


class Cohere(Dialect):
    """`texts`, or the text parts of `inputs`; `input_type` is required for all models but version 2.0."""

    name: ClassVar[str] = "cohere"
    width: ClassVar[int] = 1536
    widths: ClassVar[Mapping[str, int]] = {
        "embed-english-v3.0": 1024,
        "embed-multilingual-v3.0": 1024,
        "embed-english-light-v3.0": 384,
        "embed-multilingual-light-v3.0": 384,
    }
    limits: ClassVar[Limits] = Limits(96, 128_000, None)

    def speaks(self, path: str) -> bool:
        return path in ("/v2/embed", "/v1/embed")

    def parse(self, request: Request) -> None:
        texts = request.payload.get("texts")
        if texts is None:
            entries = request.payload.get("inputs") or []
            texts = [part.get("text") for entry in entries for part in entry.get("content") or []]
        if not isinstance(texts, list):
            raise Refusal(422, "invalid type: parameter texts is of type string but should be of type []string.")
        request.items = texts

    def check(self, request: Request, limits: Limits) -> None:
        need_model(request)
        if not request.items:
            raise Refusal(400, "invalid request: at least one text is required")
        need_texts(request.items, "invalid request: all texts must be strings", empty=True)
        if limits.items is not None and len(request.items) > limits.items:
            most, n = limits.items, len(request.items)
            raise Refusal(400, f"invalid request: total number of texts must be at most {most} - received {n}")
        if not request.model.endswith("v2.0") and request.input_type not in _INPUT_TYPES:
            raise Refusal(400, "invalid request: valid input_type must be provided with the provided model")

    def truncates(self, request: Request) -> bool:
        return request.payload.get("truncate") != "NONE"

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        by_type = request.path.endswith("/v2/embed")
        kinds = request.payload.get("embedding_types") or (["float"] if by_type else None)
        lists = written(answer.vectors, packed=False)
        vectors = {kind: written(answer.vectors, packed=kind == "base64") for kind in kinds} if kinds else lists
        reply = {
            "id": f"embedding-{len(request.items)}",
            "texts": request.items,
            "embeddings": vectors,
            "response_type": "embeddings_by_type" if kinds else "embeddings_floats",
            "meta": {
                "api_version": {"version": "2" if by_type else "1"},
                "billed_units": {"input_tokens": answer.tokens},
            },
        }
        return without(reply, answer, usage="meta", data="embeddings")

    def error(self, refusal: Refusal) -> dict[str, Any]:
        return {"id": "refused", "message": refusal.message}
