"""What servers that copy OpenAI's API do otherwise, each under a name. Their wording is that of public reports."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._refusals import (
    PYTHONIC,
    TEI_TYPES,
    Said,
    gemini_refusal,
    litellm_refusal,
    mistral_refusal,
    shaped,
    worded,
)
from .limits import Limits
from .published import Pages, llamacpp_pages, tei_pages, vllm_pages
from .request import Refusal, Request

__all__ = ["QUIRKS", "Quirk", "Said", "find_quirks", "limits_of"]


@dataclass(frozen=True, slots=True)
class Quirk:
    """One server's differences; None: as OpenAI."""

    what: str
    items: int | None = None
    """Texts that it takes in a request."""
    text_tokens: int | None = None
    """Tokens that it reads of a text."""
    dimensions: str | None = None
    """The field that asks for fewer dimensions."""
    check: Callable[[Request], None] | None = None
    """Raises `Refusal`."""
    truncates: Callable[[Request], bool] | None = None
    too_many: Callable[[int, int], Refusal] | None = None
    """The limit and the number of texts → the refusal."""
    too_long: Callable[[int, int], Refusal] | None = None
    """The limit and the tokens of the longest text → the refusal."""
    refuse: Callable[[Refusal, Said], Said] | None = None
    """How any refusal is sent, that of a fault too."""
    write: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """Changes a good answer's JSON."""
    pages: Callable[[Limits], Pages] | None = None


def find_quirks(names: Iterable[str]) -> tuple[Quirk, ...]:
    """The quirks of these names.

    Args:
        names: keys of `QUIRKS`.

    Returns:
        In the order of the names.

    Raises:
        ValueError: a name is none.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if name not in QUIRKS:
            raise ValueError(f"no quirk {name!r}; there are: {', '.join(QUIRKS)}")
    return tuple(QUIRKS[name] for name in names)


def limits_of(quirks: Iterable[Quirk], limits: Limits) -> Limits:
    """The limits under all quirks.

    Args:
        quirks: the later one has its way.
        limits: without quirks.

    Returns:
        With those of the quirks in their place.
    """
    for quirk in quirks:
        items, tokens = quirk.items or limits.items, quirk.text_tokens or limits.tokens_per_item
        limits = replace(limits, items=items, tokens_per_item=tokens)
    return limits


def _without_zeros(reply: dict[str, Any]) -> dict[str, Any]:
    for entry in reply.get("data", ()):
        if entry.get("index") == 0:
            del entry["index"]
    return reply


def _nim_check(request: Request) -> None:
    given = request.payload.get("input_type")
    if given is None:
        raise Refusal(400, "'input_type' parameter is required for asymmetric models")
    if given not in ("query", "passage"):
        raise Refusal(400, f"Invalid value for 'input_type': {given}. Must be one of: query, passage")


def _nim_truncates(request: Request) -> bool:
    return request.payload.get("truncate") in ("START", "END")


def _jina_check(request: Request) -> None:
    known = {"retrieval.query", "retrieval.passage", "text-matching", "classification", "separation", "clustering"}
    task = request.payload.get("task")
    if task is not None and task not in {*known, "code.query", "code.passage"}:
        raise Refusal(422, f"Validation error: 'body -> task' Input should be one of {sorted(known)}")


def _mistral_check(request: Request) -> None:
    for name in request.payload.keys() & {"dimensions", "user", "input_type", "task"}:
        raise Refusal(422, "Extra inputs are not permitted", code=name)


def _big_endian(reply: dict[str, Any]) -> dict[str, Any]:
    for entry in reply.get("data", ()):
        if isinstance(entry["embedding"], str):
            numbers = np.frombuffer(base64.b64decode(entry["embedding"]), "<f4")
            entry["embedding"] = base64.b64encode(numbers.astype(">f4").tobytes()).decode()
    return reply


QUIRKS: Mapping[str, Quirk] = {
    "gemini": Quirk(
        "index 0 left out, errors in a list, waits only in the body, 100 texts",
        items=100,
        too_many=worded(400, "* BatchEmbedContentsRequest.requests: at most {limit} requests can be in one batch\n"),
        refuse=gemini_refusal,
        write=_without_zeros,
    ),
    "nim": Quirk(
        "input_type is required, long texts are refused unless truncate says otherwise, 512 tokens",
        text_tokens=512,
        check=_nim_check,
        truncates=_nim_truncates,
        too_long=worded(400, "Input length {number} exceeds maximum allowed token size {limit}"),
        refuse=shaped(lambda refusal, _: {"error": refusal.message}),
    ),
    "jina": Quirk(
        "a task decides the role, 512 texts, errors as a detail",
        items=512,
        check=_jina_check,
        too_many=worded(422, "Validation error: 'body -> input' Each input list can contain at most {limit} items."),
        refuse=shaped(lambda refusal, _: {"detail": f"[RID: 0123456789abcdef] {refusal.message}"}),
    ),
    "mistral": Quirk(
        "output_dimension in place of dimensions, other fields are refused, 256 texts",
        items=256,
        dimensions="output_dimension",
        check=_mistral_check,
        too_many=worded(400, "Too many inputs in request, split into more batches."),
        refuse=mistral_refusal,
        write=lambda reply: {"id": "embd-0123456789abcdef"} | reply,
    ),
    "dashscope": Quirk(
        "10 texts",
        items=10,
        too_many=worded(
            400,
            "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should not be larger "
            "than {limit}.: input.contents",
        ),
        refuse=shaped(
            lambda refusal, _: {
                "error": {
                    "message": refusal.message,
                    "type": "InvalidParameter",
                    "param": None,
                    "code": "InvalidParameter",
                },
                "request_id": "01234567-89ab-cdef-0123-456789abcdef",
            }
        ),
    ),
    "tei": Quirk(
        "32 texts of 512 tokens, said at /info, errors of its own shape",
        items=32,
        text_tokens=512,
        too_many=worded(413, "batch size {number} > maximum allowed batch size {limit}"),
        too_long=worded(413, "Input validation error: `inputs` must have less than {limit} tokens. Given: {number}"),
        refuse=shaped(
            lambda refusal, status: {
                "message": refusal.message,
                "code": status,
                "type": TEI_TYPES.get(status, "Validation"),
            }
        ),
        pages=tei_pages,
    ),
    "vllm": Quirk(
        "512 tokens, said at /v1/models, errors with object: error",
        text_tokens=512,
        too_long=worded(
            400,
            "This model's maximum context length is {limit} tokens. However, you requested {number} tokens in the "
            "input for embedding generation. Please reduce the length of the input.",
        ),
        refuse=shaped(
            lambda refusal, status: {
                "object": "error",
                "message": refusal.message,
                "type": PYTHONIC.get(status, "InternalServerError"),
                "param": None,
                "code": status,
            }
        ),
        pages=vllm_pages,
    ),
    "llamacpp": Quirk(
        "512 tokens, said at /props; a text with more is a server error",
        text_tokens=512,
        too_long=worded(
            500,
            "input ({number} tokens) is too large to process. increase the physical batch size (current batch size: "
            "{limit})",
        ),
        refuse=shaped(
            lambda refusal, status: {"error": {"code": status, "message": refusal.message, "type": "server_error"}}
        ),
        pages=llamacpp_pages,
    ),
    "openrouter": Quirk(
        "errors have status 200, the real one is inside",
        refuse=lambda refusal, said: (200, {}, {"error": {"message": refusal.message, "code": said[0]}}),
    ),
    "cloudflare": Quirk(
        "100 texts, errors as success: false",
        items=100,
        too_many=worded(400, "AiError: Bad input: maximum batch size is {limit}, got {number}"),
        refuse=shaped(
            lambda refusal, _: {
                "result": None,
                "success": False,
                "errors": [{"code": 5006, "message": refusal.message}],
                "messages": [],
            }
        ),
    ),
    "big-endian": Quirk("base64 with the first byte of each number first", write=_big_endian),
    "litellm": Quirk(
        "errors name the proxy's own classes, the code is text, a vendor's headers have other names",
        refuse=litellm_refusal,
    ),
}
"""Every quirk by its name."""
