"""Jina's embeddings API: OpenAI's wire with tasks, under `/jina/v1`."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.request import Refusal, Request

from .base import as_list, need_model, need_texts
from .openai import OpenAI, listing

__all__ = ["Jina"]

TASKS = frozenset({"retrieval.query", "retrieval.passage", "text-matching", "classification"})
TASKS_OF: Mapping[str, frozenset[str]] = {
    "jina-embeddings-v3": TASKS | {"separation"},
    "jina-embeddings-v4": TASKS - {"classification"} | {"code.query", "code.passage"},
    "jina-code-embeddings-1.5b": frozenset(
        {"nl2code.query", "nl2code.passage", "code2code.query", "code2code.passage"}
    ),
    "jina-embeddings-v2-base-en": frozenset(),
}
"""What a model takes; any other takes the tasks of v5."""
_CODES = {
    400: "INPUT_INVALID",
    401: "AUTH_INVALID_API_KEY",
    429: "RATE_REQUEST_LIMIT_EXCEEDED",
    503: "SERVICE_UNAVAILABLE",
    504: "SERVICE_TIMEOUT",
}


class Jina(OpenAI):
    """`embedding_type` in place of `encoding_format`; errors are a detail with a code."""

    name: ClassVar[str] = "jina"
    width: ClassVar[int] = 1024
    widths: ClassVar[Mapping[str, int]] = {
        "jina-embeddings-v4": 2048,
        "jina-code-embeddings-1.5b": 1536,
        "jina-embeddings-v5-text-nano": 768,
        "jina-embeddings-v2-base-en": 768,
    }
    limits: ClassVar[Limits] = Limits(512, 8192, None)

    def parse(self, request: Request) -> None:
        items = as_list(request.payload.get("input"))
        if items is None:
            raise Refusal(422, "Validation error: 'body -> input' Input should be a valid list")
        request.items = items

    def check(self, request: Request, limits: Limits) -> None:
        need_model(request)
        need_texts(request.items, "Validation error: 'body -> input' Input should be a valid string", empty=False)
        if limits.items is not None and len(request.items) > limits.items:
            told = f"Validation error: 'body -> input' Each input list can contain at most {limits.items} items."
            raise Refusal(422, told)
        task, known = request.payload.get("task"), TASKS_OF.get(request.model, TASKS | {"clustering"})
        if task is not None and task not in known:
            raise Refusal(422, f"Validation error: 'body -> task' Input should be one of {sorted(known)}")

    def truncates(self, request: Request) -> bool:
        return request.payload.get("truncate") is True

    def too_long(self, limit: int, tokens: int) -> Refusal:
        told = f"Input text exceeds the model's maximum of {limit} tokens"
        return Refusal(400, told, code="INPUT_TOKEN_LIMIT_EXCEEDED")

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        answer.encoding = answer.encoding or str(request.payload.get("embedding_type") or "float")
        return listing(request, answer, {"total_tokens": answer.tokens, "prompt_tokens": answer.tokens})

    def refuse(self, refusal: Refusal) -> tuple[int, dict[str, str], Any]:
        broke = refusal.code == "insufficient_quota"
        return 403 if broke else refusal.status, refusal.headers, self.error(refusal)

    def error(self, refusal: Refusal) -> dict[str, Any]:
        if refusal.code == "insufficient_quota":
            told, code = "Insufficient account balance", "AUTHZ_INSUFFICIENT_BALANCE"
        else:
            told, code = refusal.message, refusal.code or ""
        code = code if code.isupper() else _CODES.get(refusal.status, "INTERNAL_ERROR")
        return {"detail": told, "code": code, "request_id": "0123456789abcdef"}
