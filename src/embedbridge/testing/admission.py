"""Refusals of well-formed requests: a wrong key, an exhausted rate limit."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet

from .limits import RateLimit, duration
from .request import Refusal, Request


def check_key(request: Request, keys: AbstractSet[str] | None) -> None:
    """Refuse a key that is not among `keys`; None accepts all, and Ollama asks for none."""
    if keys is None or request.dialect == "ollama":
        return
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    names = ("api-key", "x-goog-api-key")
    key = bearer or next(filter(None, (request.headers.get(name) for name in names)), "")
    if key not in keys:
        raise Refusal(401, f"Incorrect API key provided: {key[:3]}***.", code="invalid_api_key")


def take_rate(rate: RateLimit | None, tokens: int) -> dict[str, str]:
    """The rate limit's headers for a good answer; a 429 that says how long to wait otherwise."""
    if rate is None:
        return {}
    wait, headers = rate.take(tokens)
    if wait <= 0:
        return headers if rate.tells else {}
    headers |= {"retry-after": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))}
    message = "Rate limit reached." + f" Please try again in {duration(wait)}." * rate.tells
    told = headers if rate.tells else {}
    raise Refusal(429, message, code="rate_limit_exceeded", type_="tokens", headers=told)
