"""OpenAI, every server that copies its API, and Azure (`/openai/deployments/NAME/embeddings?api-version=…`)."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.request import Refusal, Request

from .base import Dialect, as_list, need_model, without, written

__all__ = ["OpenAI", "listing"]

_INVALID = "'$.input' is invalid. Please check the API reference."


class OpenAI(Dialect):
    """`POST /v1/embeddings`: strings and token ids, floats and base64, `dimensions`."""

    name: ClassVar[str] = "openai"
    width: ClassVar[int] = 1536
    widths: ClassVar[Mapping[str, int]] = {
        "text-embedding-3-large": 3072,
        "gemini-embedding-001": 3072,  # Google serves it by OpenAI's API too
        "gemini-embedding-2": 3072,
    }
    limits: ClassVar[Limits] = Limits(2048, 8192, 300_000)
    dimensions_field = "dimensions"
    """The field that asks for fewer dimensions."""

    def speaks(self, path: str) -> bool:
        return path in ("/v1/embeddings", "/embeddings") or _is_azure(path)

    def parse(self, request: Request) -> None:
        if _is_azure(request.path) and "api-version" not in request.query:
            raise Refusal(404, "Resource not found", code="404")
        items = as_list(request.payload.get("input"))
        if items is None:
            raise Refusal(400, _INVALID)
        request.items = items

    def check(self, request: Request, limits: Limits) -> None:
        need_model(request)
        if not request.items or not all(map(_is_item, request.items)):
            raise Refusal(400, _INVALID)
        if limits.items is not None and len(request.items) > limits.items:
            message = f"'$.input' is too long: {len(request.items)} items, at most {limits.items}"
            raise Refusal(400, message, code="array_above_max_length")

    def dims(self, request: Request, width: int) -> int:
        asked = request.payload.get(self.dimensions_field)
        if asked is not None and asked > width:
            message = f"Invalid value for '{self.dimensions_field}' = {asked}. Must be less than or equal to {width}."
            raise Refusal(400, message)
        if asked is not None and request.model == "text-embedding-ada-002":
            raise Refusal(400, "This model does not support specifying dimensions.")
        return int(asked or width)

    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        usage = {"prompt_tokens": answer.tokens, "total_tokens": answer.tokens}
        return listing(request, answer, usage)

    def error(self, refusal: Refusal) -> Any:
        return {"error": {"message": refusal.message, "type": refusal.type, "param": None, "code": refusal.code}}


def listing(request: Request, answer: Answer, usage: dict[str, Any]) -> dict[str, Any]:
    """The list of vectors that OpenAI and Voyage both send.

    Args:
        request: what was asked.
        answer: what it holds.
        usage: the part that counts tokens.

    Returns:
        The answer's JSON.
    """
    packed = (answer.encoding or request.payload.get("encoding_format")) == "base64"
    data = []
    for number, vector in zip(answer.index, written(answer.vectors, packed=packed), strict=True):
        entry = {"object": "embedding", "index": number, "embedding": vector}
        if number is None:
            del entry["index"]
        data.append(entry)
    reply = {"object": "list", "data": data, "model": answer.model, "usage": usage}
    if answer.system:
        reply["system_fingerprint"] = answer.system
    return without(reply, answer, usage="usage", data="data")


def _is_azure(path: str) -> bool:
    return "/deployments/" in path and path.endswith("/embeddings")


def _is_item(item: object) -> bool:
    if isinstance(item, list):
        return bool(item) and all(type(token) is int for token in item)
    return isinstance(item, str) and item != ""
