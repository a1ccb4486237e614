"""The HTTP clients that the official SDKs are given: one bounded exchange, and one place that reads failures.

No redirect is followed. A request ends within its timeout, however slowly the answer comes. An answer is read up to a
size. Every failure is raised as `RequestFailed`, without keys and texts.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

from embedbridge.core.errors import MissingExtraError, RequestFailed
from embedbridge.core.retry import is_too_long, retry_after

try:
    import httpx
except ImportError as error:
    raise MissingExtraError("the package 'httpx' is not installed; run: pip install \"embedbridge[openai]\"") from error

from .network import keep_to_deadline, watch
from .refusal import redact, secrets_of, texts_of, words
from .transit import Body, in_chain, transport_errors

LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
"""More than `concurrency` ever needs: the driver limits requests, and none waits for a connection here."""
KEPT_HEADERS = ("content-type", "retry-after", "x-ratelimit-")
"""The beginnings of the names of headers that are kept of an answer: errors carry them, so no cookies or accounts."""
LEEWAY = 0.05
"""Seconds after the timeout in which httpx may raise its own error, which says what it waited for."""


@dataclass(slots=True, repr=False)
class Exchange:
    """One request's bounds, and its answer or failure."""

    timeout: float
    max_bytes: int
    secrets: list[str]
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    request: httpx.Request | None = None
    failure: RequestFailed | None = None
    end: float = field(init=False)
    """On the monotonic clock."""

    def __post_init__(self) -> None:
        self.end = time.monotonic() + self.timeout

    def left(self) -> float:
        """Seconds until the timeout; negative after it."""
        return self.end - time.monotonic()

    def begin(self, request: httpx.Request, options: dict[str, Any]) -> None:
        """Set the request's timeouts, and move credentials from its address, which logs show, into a header."""
        self.request = request
        left = max(0.001, self.left())
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), left)
        if request.url.userinfo:
            self.secrets += filter(None, [request.url.password])
            options["auth"] = httpx.BasicAuth(request.url.username, request.url.password)
            request.url = request.url.copy_with(userinfo=b"")
        options.update(stream=True, follow_redirects=False)

    def finish(self, response: httpx.Response, body: Body) -> httpx.Response:
        """Keep the answer. The SDK gets an empty one, so that it does not parse the vectors a second time.

        Raises `RequestFailed` for any status but success.
        """
        self.body = b"".join(body.chunks)
        self.headers = {name: value for name, value in response.headers.items() if name.startswith(KEPT_HEADERS)}
        if response.status_code >= 300:
            raise self._failure(response.status_code)
        return httpx.Response(response.status_code, json={}, request=self.request)

    def payload(self) -> dict[str, Any]:
        """The answer's JSON object. Raises `RequestFailed` when there is none, or one that holds an error."""
        if self.failure is not None:
            raise self.failure
        payload = self._json()
        if not isinstance(payload, dict):
            said = self._redactor()(f"the answer is no JSON object ({self._type()})")
            raise RequestFailed(said, kind="not_json", billed=True)
        if payload.get("error"):
            raise RequestFailed(f"an error with status 200: {self._redactor()(words(payload)[0])}", kind="error")
        return payload

    def _failure(self, status: int) -> RequestFailed:
        """The failure that an answer with a status of 300 or more tells of."""
        if status < 400:
            said = f"status {status}: a redirect, which is never followed; check base_url"
            return RequestFailed(said, status=status, kind="redirect")
        said, code = words(self._json())
        said = said or f"status {status} ({self._type()})"
        # Judged before redaction, which may take away the words that matter.
        redacted = self._redactor()
        blames_length = (status in {400, 413, 422} or status >= 500) and is_too_long(RequestFailed(said))
        return RequestFailed(
            redacted(said),
            status=status,
            code=redacted(code),
            retry_after=retry_after(self.headers, time.time()),
            headers={name: redacted(value) for name, value in self.headers.items()},
            kind="too_long" if blames_length else "",
        )

    def _json(self) -> Any:
        """The answer's JSON; None when it is not JSON."""
        # The caller raises, outside of this handler: Python's error holds the whole answer, and must not be chained.
        try:
            return json.loads(self.body or b"")
        except (ValueError, RecursionError):
            return None

    def _type(self) -> str:
        return self.headers.get("content-type", "no content type")[:60]

    def _redactor(self) -> Callable[[str], str]:
        """A function that takes keys and texts out of a message."""
        if self.request is None:
            return partial(redact, secrets=self.secrets, texts=())
        return partial(redact, secrets=self.secrets + secrets_of(self.request), texts=texts_of(self.request))


_exchange: ContextVar[Exchange] = ContextVar("embedbridge_exchange")


@contextmanager
def exchange(timeout: float, max_bytes: int, secret: str = "") -> Iterator[Exchange]:
    """Bound the one request that is sent inside. Whatever the SDK raises is raised by `payload`, as `RequestFailed`.

    An SDK's error refers to the request, and so to the key and the texts. That is why ours is not chained to it.
    """
    held = Exchange(timeout, max_bytes, [secret] if secret else [])
    token = _exchange.set(held)
    try:
        yield held
    except Exception as error:  # noqa: BLE001 - SDKs wrap our failure, or choke on an answer that we read ourselves
        told = in_chain(error, RequestFailed)
        if told is not None:
            held.failure = copy(told)  # without its frames and causes
        elif held.body is None:
            why = f"the request could not be made ({type(error).__name__})"
            held.failure = RequestFailed(why, kind="configuration")
    finally:
        _exchange.reset(token)


def _no_cookies() -> CookieJar:
    """A jar that accepts no cookies: a request must not depend on earlier answers, nor grow with them."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


class GuardedClient(httpx.Client):
    """An `httpx.Client` that keeps to the current exchange's bounds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"limits": LIMITS, "cookies": _no_cookies(), **options})
        self.headers["accept-encoding"] = "gzip"
        keep_to_deadline(self, lambda: _exchange.get().left())

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send, read the whole body within bounds, and raise `RequestFailed` for anything but success."""
        held = _exchange.get()
        held.begin(request, options)
        with transport_errors():
            response = super().send(request, **options)
            try:
                body = Body(response, held.max_bytes)
                for chunk in response.iter_raw():
                    if not body.takes(chunk):
                        break
            finally:
                response.close()
        return held.finish(response, body)

    def __del__(self) -> None:
        # An embedder that nobody closed leaves no socket behind; at the interpreter's end there is nothing to say.
        with suppress(Exception):
            self.close()


class GuardedAsyncClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` that keeps to the current exchange's bounds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"limits": LIMITS, "cookies": _no_cookies(), **options})
        self.headers["accept-encoding"] = "gzip"
        watch(self)

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send, read the whole body within bounds, and raise `RequestFailed` for anything but success."""
        held = _exchange.get()
        held.begin(request, options)
        with transport_errors():
            async with asyncio.timeout(held.left() + LEEWAY):
                response = await super().send(request, **options)
                try:
                    body = Body(response, held.max_bytes)
                    async for chunk in response.aiter_raw():
                        if not body.takes(chunk):
                            break
                finally:
                    await response.aclose()
        return held.finish(response, body)
