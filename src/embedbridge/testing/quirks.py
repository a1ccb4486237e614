"""What servers that copy OpenAI's API do otherwise, each under a name. Their wording is that of public reports."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from .limits import Limits
from .published import Pages, llamacpp_pages, tei_pages, vllm_pages
from .request import Refusal, Request

__all__ = ["QUIRKS", "Quirk", "Said", "find_quirks", "limits_of"]

Said: TypeAlias = tuple[int, dict[str, str], Any]
"""A refusal as it is sent: status, headers, JSON."""


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


# Gemini: Google's error objects, in a list; proto3 leaves out zeros; waits are named in the body alone.

_GOOGLE = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
_GOOGLE |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


def _gemini_refusal(refusal: Refusal, said: Said) -> Said:
    status, headers, _ = said
    error: dict[str, Any] = {"code": status, "message": refusal.message, "status": _GOOGLE.get(status, "UNKNOWN")}
    wait = headers.get("retry-after")
    if wait is not None:
        error["message"] += f"\nPlease retry in {float(wait):g}s."
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{float(wait):g}s"}]
    kept = {name: value for name, value in headers.items() if not name.startswith("retry-after")}
    return status, kept, [{"error": error}]


def _without_zeros(reply: dict[str, Any]) -> dict[str, Any]:
    for entry in reply.get("data", ()):
        if entry.get("index") == 0:
            del entry["index"]
    return reply


# NVIDIA NIM: asymmetric models want an input type; a text is cut only when it is asked for.


def _nim_check(request: Request) -> None:
    given = request.payload.get("input_type")
    if given is None:
        raise Refusal(400, "'input_type' parameter is required for asymmetric models")
    if given not in ("query", "passage"):
        raise Refusal(400, f"Invalid value for 'input_type': {given}. Must be one of: query, passage")


def _nim_truncates(request: Request) -> bool:
    return request.payload.get("truncate") in ("START", "END")


# Text Embeddings Inference and SiliconFlow, which runs it.

_TEI_TYPES = {422: "Tokenizer", 424: "Backend", 429: "Overloaded", 503: "Unhealthy"}


# Others' shapes.

_LITELLM_TYPES = {400: "invalid_request_error", 401: "authentication_error", 429: "throttling_error"}
_PYTHONIC = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError"}


def _litellm_refusal(refusal: Refusal, said: Said) -> Said:
    status, headers, _ = said
    kind = _PYTHONIC.get(status, "InternalServerError")
    message = (
        f"litellm.{kind}: {kind}: OpenAIException - Error code: {status} - {refusal.message}\n\n"
        "LiteLLM: model group 'test' failed with the error above. No fallback was attempted."
    )
    type_ = _LITELLM_TYPES.get(status, "internal_server_error")
    error = {"message": message, "type": type_, "param": None, "code": str(status)}
    return status, {f"llm_provider-{name}": value for name, value in headers.items()}, {"error": error}


def _jina_check(request: Request) -> None:
    known = {"retrieval.query", "retrieval.passage", "text-matching", "classification", "separation", "clustering"}
    task = request.payload.get("task")
    if task is not None and task not in {*known, "code.query", "code.passage"}:
        raise Refusal(422, f"Validation error: 'body -> task' Input should be one of {sorted(known)}")


def _mistral_check(request: Request) -> None:
    for name in request.payload.keys() & {"dimensions", "user", "input_type", "task"}:
        raise Refusal(422, "Extra inputs are not permitted", code=name)


def _mistral_refusal(refusal: Refusal, said: Said) -> Said:
    status, headers, _ = said
    message: Any = refusal.message
    if status == 422:
        message = {"detail": [{"type": "extra_forbidden", "loc": ["body", refusal.code], "msg": refusal.message}]}
    body = {"object": "error", "message": message, "type": refusal.type, "param": None, "code": None}
    return status, headers, body


def _big_endian(reply: dict[str, Any]) -> dict[str, Any]:
    for entry in reply.get("data", ()):
        if isinstance(entry["embedding"], str):
            numbers = np.frombuffer(base64.b64decode(entry["embedding"]), "<f4")
            entry["embedding"] = base64.b64encode(numbers.astype(">f4").tobytes()).decode()
    return reply


def _shaped(shape: Callable[[Refusal, int], Any]) -> Callable[[Refusal, Said], Said]:
    """A `refuse` that changes the JSON alone."""
    return lambda refusal, said: (said[0], said[1], shape(refusal, said[0]))


def _worded(status: int, words: str) -> Callable[[int, int], Refusal]:
    """A refusal whose words hold the limit and the number."""
    return lambda limit, number: Refusal(status, words.format(limit=limit, number=number))


QUIRKS: Mapping[str, Quirk] = {
    "gemini": Quirk(
        "index 0 left out, errors in a list, waits only in the body, 100 texts",
        items=100,
        too_many=_worded(400, "* BatchEmbedContentsRequest.requests: at most {limit} requests can be in one batch\n"),
        refuse=_gemini_refusal,
        write=_without_zeros,
    ),
    "nim": Quirk(
        "input_type is required, long texts are refused unless truncate says otherwise, 512 tokens",
        text_tokens=512,
        check=_nim_check,
        truncates=_nim_truncates,
        too_long=_worded(400, "Input length {number} exceeds maximum allowed token size {limit}"),
        refuse=_shaped(lambda refusal, _: {"error": refusal.message}),
    ),
    "jina": Quirk(
        "a task decides the role, 512 texts, errors as a detail",
        items=512,
        check=_jina_check,
        too_many=_worded(422, "Validation error: 'body -> input' Each input list can contain at most {limit} items."),
        refuse=_shaped(lambda refusal, _: {"detail": f"[RID: 0123456789abcdef] {refusal.message}"}),
    ),
    "mistral": Quirk(
        "output_dimension in place of dimensions, other fields are refused, 256 texts",
        items=256,
        dimensions="output_dimension",
        check=_mistral_check,
        too_many=_worded(400, "Too many inputs in request, split into more batches."),
        refuse=_mistral_refusal,
        write=lambda reply: {"id": "embd-0123456789abcdef"} | reply,
    ),
    "dashscope": Quirk(
        "10 texts",
        items=10,
        too_many=_worded(
            400,
            "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should not be larger "
            "than {limit}.: input.contents",
        ),
        refuse=_shaped(
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
        too_many=_worded(413, "batch size {number} > maximum allowed batch size {limit}"),
        too_long=_worded(413, "Input validation error: `inputs` must have less than {limit} tokens. Given: {number}"),
        refuse=_shaped(
            lambda refusal, status: {
                "message": refusal.message,
                "code": status,
                "type": _TEI_TYPES.get(status, "Validation"),
            }
        ),
        pages=tei_pages,
    ),
    "vllm": Quirk(
        "512 tokens, said at /v1/models, errors with object: error",
        text_tokens=512,
        too_long=_worded(
            400,
            "This model's maximum context length is {limit} tokens. However, you requested {number} tokens in the "
            "input for embedding generation. Please reduce the length of the input.",
        ),
        refuse=_shaped(
            lambda refusal, status: {
                "object": "error",
                "message": refusal.message,
                "type": _PYTHONIC.get(status, "InternalServerError"),
                "param": None,
                "code": status,
            }
        ),
        pages=vllm_pages,
    ),
    "llamacpp": Quirk(
        "512 tokens, said at /props; a text with more is a server error",
        text_tokens=512,
        too_long=_worded(
            500,
            "input ({number} tokens) is too large to process. increase the physical batch size (current batch size: "
            "{limit})",
        ),
        refuse=_shaped(
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
        too_many=_worded(400, "AiError: Bad input: maximum batch size is {limit}, got {number}"),
        refuse=_shaped(
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
        refuse=_litellm_refusal,
    ),
}
"""Every quirk by its name."""
