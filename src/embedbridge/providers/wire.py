"""HTTP under the official SDKs: one bounded exchange, and one reading of what went wrong.

The SDKs are handed these clients. No redirect is followed, a request ends within its timeout however the answer drips,
an answer is read up to a size, and every failure leaves as `RequestFailed` with neither key nor text in it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from embedbridge.core.errors import MissingExtraError, RequestFailed
from embedbridge.core.retry import is_too_long, retry_after

from .refusal import redact, words

try:
    import httpx
except ImportError as error:
    raise MissingExtraError("the package 'httpx' is not installed; run: pip install httpx") from error

from .network import keep_to_deadline

Error = TypeVar("Error", bound=BaseException)

LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
"""More than `concurrency` ever asks for: the driver's gate decides, and no request waits for a connection here."""
ERROR_PAGE = 65_536
"""Bytes read of an answer that is no success."""
LEEWAY = 0.05
"""Seconds after the timeout in which httpx may say itself what it was waiting for."""
PLAIN_HEADERS = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"}
PLAIN_PREFIXES = ("x-stainless-", "x-fern-", "openai-")


@dataclass(slots=True)
class Exchange:
    """One request's bounds, and the answer once it is there."""

    timeout: float
    max_bytes: int
    secret: str = ""
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    request: httpx.Request | None = None
    end: float = field(init=False)
    """On the monotonic clock."""

    def __post_init__(self) -> None:
        self.end = time.monotonic() + self.timeout

    def left(self) -> float:
        """Seconds until the timeout; negative after it."""
        return self.end - time.monotonic()

    def begin(self, request: httpx.Request, options: dict[str, Any]) -> None:
        """Put the bounds on a request, and the address's credentials where no log shows them."""
        self.request = request
        left = max(0.001, self.left())
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), left)
        if request.url.userinfo:
            options["auth"] = httpx.BasicAuth(request.url.username, request.url.password)
            request.url = request.url.copy_with(userinfo=b"")
        options.update(stream=True, follow_redirects=False)

    def finish(self, response: httpx.Response, body: _Body) -> httpx.Response:
        """Take the answer. The SDK gets an empty one, so that it does not read the vectors a second time."""
        self.body = b"".join(body.chunks)
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        if response.status_code >= 300:
            raise self._failure(response.status_code)
        return httpx.Response(response.status_code, json={}, request=self.request)

    def payload(self) -> dict[str, Any]:
        """The answer's JSON object. Raises `RequestFailed` when it is none, or an error in disguise."""
        if self.body is None:
            raise RequestFailed("no request was sent", kind="configuration")
        try:
            payload = json.loads(self.body)
        except (ValueError, RecursionError):
            raise RequestFailed(f"the answer is not JSON ({self._type()})", kind="not_json", billed=True) from None
        if not isinstance(payload, dict):
            raise RequestFailed("the answer is not a JSON object", kind="not_json", billed=True)
        if payload.get("error"):
            raise RequestFailed(f"an error with status 200: {self._redacted(words(payload)[0])}", kind="error")
        return payload

    def _failure(self, status: int) -> RequestFailed:
        """What an answer that is no success says."""
        if status < 400:
            said = f"status {status}: a redirect, which is never followed; check base_url"
            return RequestFailed(said, status=status, headers=self.headers, kind="redirect")
        try:
            said, code = words(json.loads(self.body or b""))
        except (ValueError, RecursionError):
            said, code = f"status {status} ({self._type()})", ""
        # Judged by its own words: without what it quotes they may say something else.
        blames_length = (status in {400, 413, 422} or status >= 500) and is_too_long(RequestFailed(said))
        return RequestFailed(
            self._redacted(said or f"status {status}"),
            status=status,
            code=code,
            retry_after=retry_after(self.headers, time.time()),
            headers=self.headers,
            kind="too_long" if blames_length else "",
        )

    def _type(self) -> str:
        return self.headers.get("content-type", "no content type")[:60]

    def _redacted(self, said: str) -> str:
        if self.request is None:
            return redact(said, [self.secret] if self.secret else [], [])
        return redact(
            said,
            [self.secret, *_secrets(self.request)] if self.secret else _secrets(self.request),
            _texts(self.request),
        )


_exchange: ContextVar[Exchange] = ContextVar("embedbridge_exchange")


@contextmanager
def exchange(timeout: float, max_bytes: int, secret: str = "") -> Iterator[Exchange]:
    """Bounds for the one request that is sent inside. Whatever an SDK raises leaves as `RequestFailed`."""
    held = Exchange(timeout, max_bytes, secret)
    token = _exchange.set(held)
    failure: RequestFailed | None = None
    try:
        yield held
    except Exception as error:  # noqa: BLE001 - SDKs wrap our failure, or choke on an answer that we read ourselves
        failure = _found(error, held)
    finally:
        _exchange.reset(token)
    if failure is not None:
        # Outside the handler and without the SDK's frames: its errors hold headers and texts, and those are not to be
        # chained to ours.
        raise failure.with_traceback(None)


def _found(error: BaseException, held: Exchange) -> RequestFailed | None:
    failure = _link(error, RequestFailed)
    if failure is not None:
        # What it was raised from holds the request, and that the key.
        failure.__cause__ = failure.__context__ = None
        return failure
    if held.body is not None:
        return None
    return RequestFailed(f"the request could not be made ({type(error).__name__})", kind="configuration")


class GuardedClient(httpx.Client):
    """An `httpx.Client` that keeps to the current exchange's bounds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"limits": LIMITS, **options})
        self.headers["accept-encoding"] = "gzip"
        keep_to_deadline(self, lambda: _exchange.get().left())

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send, read the whole body within bounds, and raise `RequestFailed` for anything but success."""
        held = _exchange.get()
        held.begin(request, options)
        with _mapped():
            response = super().send(request, **options)
            try:
                body = _Body(held, response)
                for chunk in response.iter_raw():
                    if not body.takes(chunk):
                        break
            finally:
                response.close()
        return held.finish(response, body)


class GuardedAsyncClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` that keeps to the current exchange's bounds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"limits": LIMITS, **options})
        self.headers["accept-encoding"] = "gzip"

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send, read the whole body within bounds, and raise `RequestFailed` for anything but success."""
        held = _exchange.get()
        held.begin(request, options)
        with _mapped():
            async with asyncio.timeout(held.left() + LEEWAY):
                response = await super().send(request, **options)
                try:
                    body = _Body(held, response)
                    async for chunk in response.aiter_raw():
                        if not body.takes(chunk):
                            break
                finally:
                    await response.aclose()
        return held.finish(response, body)


class _Body:
    """An answer's bytes, unpacked here because httpx unpacks any amount at once."""

    def __init__(self, held: Exchange, response: httpx.Response) -> None:
        self.chunks: list[bytes] = []
        self._success = response.status_code < 300
        self._left = held.max_bytes if self._success else ERROR_PAGE
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise RequestFailed(
                f"the answer is compressed as {encoding[:20]!r}, which nobody asked for", kind="encoding"
            )
        self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in encoding else None

    def takes(self, chunk: bytes) -> bool:
        """Add a piece; False when an error page has been read far enough."""
        if self._gzip is not None:
            chunk = self._gzip.decompress(chunk, self._left + 1)
        self._left -= len(chunk)
        if self._left < 0 and self._success:
            raise RequestFailed("the answer is far larger than its vectors can be", kind="too_large", billed=True)
        self.chunks.append(chunk)
        return self._left >= 0


@contextmanager
def _mapped() -> Iterator[None]:
    """Transport errors as `RequestFailed`."""
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        raise RequestFailed("no connection within the timeout", kind="timeout") from None
    except httpx.WriteTimeout:
        raise RequestFailed("the request could not be sent within the timeout", kind="timeout") from None
    except (httpx.TimeoutException, TimeoutError):
        raise RequestFailed("no whole answer within the timeout", kind="timeout", billed=True) from None
    except httpx.ConnectError as error:
        refused = _link(error, ssl.SSLError)
        if refused is None or isinstance(refused, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
            raise RequestFailed("no connection", kind="connection") from None
        why = getattr(refused, "verify_message", "") or (refused.reason or "handshake failed").lower().replace("_", " ")
        raise RequestFailed(f"no secure connection: {why}", kind="tls") from None
    except httpx.ProxyError:
        raise RequestFailed("the proxy refuses the connection", kind="connection") from None
    except httpx.LocalProtocolError:
        told = (
            "the request's headers are not valid HTTP; look for line breaks and blanks in api_key and default_headers"
        )
        raise RequestFailed(told, kind="configuration") from None
    except httpx.TransportError as error:
        raise RequestFailed(f"the connection broke ({type(error).__name__})", kind="connection", billed=True) from None
    except zlib.error:
        raise RequestFailed("the answer's compression is broken", kind="encoding", billed=True) from None


def _link(error: BaseException | None, kind: type[Error]) -> Error | None:
    """The first error of a kind in a chain."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _secrets(request: httpx.Request) -> list[str]:
    """Whatever a request's headers hold that is no common knowledge: keys and tokens, those of gateways included."""
    return [
        part
        for name, value in request.headers.items()
        if name.lower() not in PLAIN_HEADERS and not name.lower().startswith(PLAIN_PREFIXES)
        for part in value.split()
        if len(part) > 5
    ]


def _texts(request: httpx.Request) -> list[str]:
    """The strings of a request's own body, so that an error can leave them out."""
    try:
        body = json.loads(request.content)
    except (ValueError, httpx.RequestNotRead):
        return []
    found: list[str] = []
    waiting = [body.get(name) for name in ("input", "inputs", "texts", "prompt")] if isinstance(body, dict) else []
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, list):
            waiting += item
    return found
