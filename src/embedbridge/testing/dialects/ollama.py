"""Ollama: `POST /api/embed`, and `/api/embeddings`, which takes one `prompt`."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

from typing import Any, ClassVar

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.request import Refusal, Request

from .base import Dialect, need_texts, without, written

__all__ = ["Ollama"]

_LEGACY = "/api/embeddings"


class Ollama(Dialect):
    """Cuts long texts without a word unless `truncate` is false; `options.num_ctx` can only lower the limit."""

    name: ClassVar[str] = "ollama"
    width: ClassVar[int] = 768
    limits: ClassVar[Limits] = Limits(None, 2048, None)

    def speaks(self, path: str) -> bool:
        return path in ("/api/embed", _LEGACY)

    def parse(self, request: Request) -> None:
        raw = request.payload.get("prompt" if request.path.endswith(_LEGACY) else "input")
        request.items = raw if isinstance(raw, list) else [raw] if raw else []

    def check(self, request: Request, limits: Limits) -> None:
        if not request.model:
            raise Refusal(404, "model '' not found")
        need_texts(request.items, "invalid input type", empty=True)
        if limits.items is not None and len(request.items) > limits.items:
            raise Refusal(400, f"at most {limits.items} inputs are taken")

    def dims(self, request: Request, width: int) -> int:
        asked = int(request.payload.get("dimensions") or 0)
        return asked if 0 < asked < width else width

    def truncates(self, request: Request) -> bool:
        return request.payload.get("truncate") is not False

    def text_limit(self, request: Request, limits: Limits) -> int | None:
        asked = (request.payload.get("options") or {}).get("num_ctx")
        known = [limit for limit in (asked, limits.tokens_per_item) if limit]
        return min(known, default=None)

    def too_long(self, limit: int, tokens: int) -> Refusal:
        return Refusal(400, "the input length exceeds the context length")

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        vectors = written(answer.vectors, packed=False)
        if request.path.endswith(_LEGACY):
            return without({"embedding": vectors[0] if vectors else []}, answer, data="embedding")
        reply = {
            "model": answer.model,
            "embeddings": vectors,
            "total_duration": 1_000_000,
            "load_duration": 1000,
            "prompt_eval_count": answer.tokens,
        }
        return without(reply, answer, usage="prompt_eval_count", data="embeddings")

    def error(self, refusal: Refusal) -> dict[str, Any]:
        return {"error": refusal.message}
