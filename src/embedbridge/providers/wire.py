"""HTTP under the official SDKs: one bounded exchange, and one reading of what went wrong.

The SDKs are handed these clients. No redirect is followed, a request ends within its timeout however the answer drips, an
answer is read up to a size, and every failure leaves as `RequestFailed` with neither key nor text in it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import httpx

from embedbridge.core.errors import RequestFailed
from embedbridge.core.retry import retry_after

SHOWN = 200
"""Characters of a provider's own words that an error may carry."""


@dataclass(slots=True)
class Exchange:
    """One request's bounds, and the answer once it is there."""

    timeout: float
    max_bytes: int
    secret: str = ""
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def payload(self) -> dict[str, Any]:
        """The answer's JSON object. Raises `RequestFailed` when it is none, or an error in disguise."""
        if self.body is None:
            raise RequestFailed("no request was sent", kind="configuration")
        try:
            payload = json.loads(self.body)
        except ValueError:
            raise RequestFailed(f"the answer is not JSON ({self._type()})", kind="not_json", billed=True) from None
        if not isinstance(payload, dict):
            raise RequestFailed("the answer is not a JSON object", kind="not_json", billed=True)
        if payload.get("error"):
            said, _ = _said(payload)
            raise RequestFailed(f"an error with status 200: {self._redact(said, [])}", kind="error")
        return payload

    def _type(self) -> str:
        return self.headers.get("content-type", "no content type")[:60]

    def _redact(self, said: str, texts: list[str]) -> str:
        """A provider's words without the key and without the texts that it quotes."""
        if self.secret:
            said = said.replace(self.secret, "<key>")
        for text in texts:
            for size in (len(text), 200, 100, 50, 25, 12):
                piece = text[:size]
                if len(piece) > 3 and piece in said:
                    said = said.replace(piece, "<text>")
        return said if len(said) <= SHOWN else said[: SHOWN - 1] + "…"

    def failure(self, status: int, request: httpx.Request) -> RequestFailed:
        """What an answer that is no success says."""
        try:
            said, code = _said(json.loads(self.body or b""))
        except ValueError:
            said, code = f"status {status} ({self._type()})", ""
        said = self._redact(said or f"status {status}", _texts(request))
        kind = "redirect" if 300 <= status < 400 else ""
        if kind:
            said = f"status {status}: a redirect, which is never followed; check base_url"
        wait = retry_after(self.headers, time.time())
        return RequestFailed(said, status=status, code=code, retry_after=wait, headers=self.headers, kind=kind)


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
        # Outside the handler, so that the SDK's error (it holds headers and texts) is not chained to ours.
        raise failure


def _found(error: BaseException, held: Exchange) -> RequestFailed | None:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, RequestFailed):
            # What it was raised from holds the request, and that the key.
            link.__cause__ = link.__context__ = None
            return link
        link = link.__cause__ or link.__context__
    if held.body is not None:
        return None
    return RequestFailed(f"the request could not be made ({type(error).__name__})", kind="configuration")


class GuardedClient(httpx.Client):
    """An `httpx.Client` that keeps to the current exchange's bounds."""

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send, read the whole body within bounds, and raise `RequestFailed` for anything but success."""
        held = _exchange.get()
        end = time.monotonic() + held.timeout
        timeouts = request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), held.timeout)
        options.update(stream=True, follow_redirects=False)
        with _mapped():
            response = super().send(request, **options)
            try:
                timeouts["read"] = max(0.001, end - time.monotonic())
                body = _Body(held.max_bytes)
                for chunk in response.iter_bytes():
                    body.add(chunk)
                    if time.monotonic() > end:
                        raise RequestFailed("no whole answer within the timeout", kind="timeout", billed=True)
            finally:
                response.close()
        return _close(held, request, response, body)


class GuardedAsyncClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` that keeps to the current exchange's bounds."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send, read the whole body within bounds, and raise `RequestFailed` for anything but success."""
        held = _exchange.get()
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), held.timeout)
        options.update(stream=True, follow_redirects=False)
        with _mapped():
            async with asyncio.timeout(held.timeout):
                response = await super().send(request, **options)
                try:
                    body = _Body(held.max_bytes)
                    async for chunk in response.aiter_bytes():
                        body.add(chunk)
                finally:
                    await response.aclose()
        return _close(held, request, response, body)


class _Body:
    def __init__(self, max_bytes: int) -> None:
        self.chunks: list[bytes] = []
        self._left = max_bytes

    def add(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise RequestFailed("the answer is far larger than its vectors can be", kind="too_large", billed=True)
        self.chunks.append(chunk)


def _close(held: Exchange, request: httpx.Request, response: httpx.Response, body: _Body) -> httpx.Response:
    held.body = b"".join(body.chunks)
    held.headers = {name.lower(): value for name, value in response.headers.items()}
    if response.status_code >= 300:
        raise held.failure(response.status_code, request)
    headers = [pair for pair in response.headers.multi_items() if pair[0] not in {"content-encoding", "content-length"}]
    return httpx.Response(response.status_code, headers=headers, content=held.body, request=request)


@contextmanager
def _mapped() -> Iterator[None]:
    """Transport errors as `RequestFailed`."""
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        raise RequestFailed("no connection within the timeout", kind="timeout") from None
    except (httpx.TimeoutException, TimeoutError):
        raise RequestFailed("no whole answer within the timeout", kind="timeout", billed=True) from None
    except httpx.ConnectError as error:
        kind = "tls" if _has(error, ssl.SSLError) else "connection"
        told = "the server's certificate is not trusted" if kind == "tls" else "no connection"
        raise RequestFailed(told, kind=kind) from None
    except httpx.DecodingError:
        raise RequestFailed("the answer's compression is broken", kind="encoding", billed=True) from None
    except httpx.TransportError as error:
        raise RequestFailed(f"the connection broke ({type(error).__name__})", kind="connection", billed=True) from None


def _has(error: BaseException, kind: type[BaseException]) -> bool:
    link: BaseException | None = error
    while link is not None and not isinstance(link, kind):
        link = link.__cause__ or link.__context__
    return link is not None


def _said(payload: Any) -> tuple[str, str]:
    """An error body's message and code, in any of the shapes that embedding APIs use."""
    inner = payload.get("error", payload) if isinstance(payload, dict) else payload
    if not isinstance(inner, dict):
        return str(inner), ""
    said = inner.get("message") or inner.get("detail") or inner.get("error") or ""
    return str(said), " ".join(str(inner[name]) for name in ("code", "type") if inner.get(name))


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
