"""The frameworks' rate limiters behind one interface. LangChain's count requests, LlamaIndex's tokens too."""

from __future__ import annotations

from typing import Any

from embedbridge._core.seams import Throttle
from embedbridge.errors import ConfigurationError

__all__ = ["adapt"]


def adapt(limiter: Any) -> Throttle | None:
    """An object with `acquire` and `aacquire` (LangChain) or `async_acquire` (LlamaIndex) as a `Throttle`.

    Raises `ConfigurationError` for anything else.
    """
    if limiter is None:
        return None
    if callable(getattr(limiter, "acquire", None)):
        if callable(getattr(limiter, "aacquire", None)):
            return _ByRequests(limiter)
        if callable(getattr(limiter, "async_acquire", None)):
            return _ByTokens(limiter)
    raise ConfigurationError(
        "rate_limiter: give a BaseRateLimiter of langchain_core or of llama_index.core, "
        f"not {type(limiter).__name__}; or set requests_per_minute and tokens_per_minute"
    )


class _ByRequests:
    ceiling = None

    def __init__(self, limiter: Any) -> None:
        self._limiter = limiter

    def acquire(self, tokens: int) -> bool:
        return bool(self._limiter.acquire(blocking=True))

    async def aacquire(self, tokens: int) -> bool:
        return bool(await self._limiter.aacquire(blocking=True))


class _ByTokens:
    def __init__(self, limiter: Any) -> None:
        self._limiter = limiter

    @property
    def ceiling(self) -> int | None:
        # Asked for more tokens than this, LlamaIndex's limiter would wait for ever.
        limit = getattr(self._limiter, "tokens_per_minute", None)
        return None if limit is None else max(1, int(limit))

    def acquire(self, tokens: int) -> bool:
        self._limiter.acquire(num_tokens=tokens)
        return True

    async def aacquire(self, tokens: int) -> bool:
        await self._limiter.async_acquire(num_tokens=tokens)
        return True
