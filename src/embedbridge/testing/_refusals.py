"""In which words and shapes other servers than OpenAI's refuse. Their wording is that of public reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .request import Refusal

Said: TypeAlias = tuple[int, dict[str, str], Any]
"""A refusal as it is sent: status, headers, JSON."""
GOOGLE = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
GOOGLE |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
LITELLM_TYPES = {400: "invalid_request_error", 401: "authentication_error", 429: "throttling_error"}
PYTHONIC = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError"}
TEI_TYPES = {422: "Tokenizer", 424: "Backend", 429: "Overloaded", 503: "Unhealthy"}


def google_refusal(refusal: Refusal, said: Said) -> Said:
    """An error object of Google's: a wait is named in the body alone, and a spent quota by the time that it is for."""
    status, headers, _ = said
    error: dict[str, Any] = {"code": status, "message": refusal.message, "status": GOOGLE.get(status, "UNKNOWN")}
    details: list[dict[str, Any]] = []
    if refusal.code == "insufficient_quota":
        quota = "EmbedContentRequestsPerDayPerUserPerProjectPerModel-FreeTier"
        details.append({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]})
    wait = headers.get("retry-after")
    if wait is None and "retry-after-ms" in headers:
        wait = f"{float(headers['retry-after-ms']) / 1000:g}"
    if wait is not None:
        error["message"] += f"\nPlease retry in {wait}s."
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait}s"})
    kept = {name: value for name, value in headers.items() if not name.startswith("retry-after")}
    return status, kept, {"error": error | ({"details": details} if details else {})}


def gemini_refusal(refusal: Refusal, said: Said) -> Said:
    status, headers, error = google_refusal(refusal, said)
    return status, headers, [error]


def litellm_refusal(refusal: Refusal, said: Said) -> Said:
    status, headers, _ = said
    kind = PYTHONIC.get(status, "InternalServerError")
    message = (
        f"litellm.{kind}: {kind}: OpenAIException - Error code: {status} - {refusal.message}\n\n"
        "LiteLLM: model group 'test' failed with the error above. No fallback was attempted."
    )
    type_ = LITELLM_TYPES.get(status, "internal_server_error")
    error = {"message": message, "type": type_, "param": None, "code": str(status)}
    return status, {f"llm_provider-{name}": value for name, value in headers.items()}, {"error": error}


def mistral_refusal(refusal: Refusal, said: Said) -> Said:
    status, headers, _ = said
    message: Any = refusal.message
    if status == 422:
        message = {"detail": [{"type": "extra_forbidden", "loc": ["body", refusal.code], "msg": refusal.message}]}
    body = {"object": "error", "message": message, "type": refusal.type, "param": None, "code": None}
    return status, headers, body


def shaped(shape: Callable[[Refusal, int], Any]) -> Callable[[Refusal, Said], Said]:
    """A `refuse` that changes the JSON alone."""
    return lambda refusal, said: (said[0], said[1], shape(refusal, said[0]))


def worded(status: int, words: str) -> Callable[[int, int], Refusal]:
    """A refusal whose words hold the limit and the number."""
    return lambda limit, number: Refusal(status, words.format(limit=limit, number=number))
