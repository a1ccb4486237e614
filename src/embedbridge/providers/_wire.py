"""What passes between an SDK and a server: one bounded exchange, and one place that reads failures.

The SDKs get transports of ours. No redirect is followed. A request ends within its timeout, however slowly the answer
comes. An answer is read up to a size. Every failure is raised as `RequestFailed`, without keys and texts.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, BinaryIO

from embedbridge._core.endpoints import TELLING
from embedbridge._core.fields import TEXT_FIELDS
from embedbridge._core.rate_headers import is_about_rates
from embedbridge.errors import RequestFailed

from ._authors import is_of
from ._credentials import everything_in
from ._documents import read_document
from ._network import AsyncBackend, Backend, Progress, under_way
from ._refusal import PAGE, holds_error, media_type, read_refusal
from ._transit import PROXY_REFUSES, SPEAKS_TLS, Body, in_chain, transport_errors
from ._transport import TransportOptions, make_pool

SECRETLESS = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"}
SECRETLESS_PREFIXES = ("x-stainless-", "x-fern-", "openai-")
SHORTEST_SECRET = 6
TOLD = frozenset({"content-type", "date", "x-amzn-errortype", "x-amzn-bedrock-input-token-count"})
"""Headers of an answer that are read, besides those about rates: errors carry them, so no cookies or accounts."""
WANTS_TLS = re.compile(
    "plain http request (was )?sent to (an )?(https|tls)|plain http to an ssl|http request to an https", re.IGNORECASE
)
"""What nginx, Apache and Go say to a request without TLS."""


@dataclass(slots=True, repr=False)
class Exchange(Progress):
    """One request's bounds, and its answer or failure."""

    max_bytes: int = 0
    secrets: list[str] = field(default_factory=list)
    sent_headers: Collection[str] = ()
    """Names of all headers that may be sent; empty: any."""
    authors: Collection[str] = ()
    """Files of a provider that does not come with embedbridge."""
    usage_header: str = ""
    """The header of the answer that says how many tokens were billed, if one does."""
    body: Body | None = None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    request: Any = None
    """Of `httpx` or `httpx2`."""
    failure: RequestFailed | None = None
    sink: BinaryIO | None = None
    """Where the bytes of a successful answer go that is too large to be held."""
    location: str = ""
    """Where a redirect leads, or where Google wants a file. It may hold a signature."""

    def begin(self, request: Any, secrets: Collection[str]) -> None:
        """Keep to what may be sent, and take credentials out of the address, which logs show."""
        self.request, self.secrets = request, [secret for secret in (*self.secrets, *secrets) if secret]
        request.headers["accept-encoding"] = "gzip"
        if request.url.userinfo:  # the client has made a header of it
            self.secrets += filter(None, [request.url.password])
            request.url = request.url.copy_with(userinfo=b"")
        for name in set(request.headers).difference(self.sent_headers or request.headers):
            del request.headers[name]

    def open(self, answer: Any) -> Body:
        """The place for an answer's bytes."""
        self.status = answer.status
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
        kept = {*TOLD, *TELLING, self.usage_header}  # errors carry them, so no cookies or accounts
        self.headers = {name: headers[name] for name in headers if name in kept or is_about_rates(name)}
        self.location = headers.get("location") or headers.get("x-goog-upload-url", "")
        heard = getattr(answer.extensions["network_stream"], "heard", None)
        if heard is None:  # of another version than those in pyproject.toml
            told = "the HTTP library connects by itself, so that no timeout would hold; reinstall embedbridge's extra"
            raise RequestFailed(told, kind="configuration")
        if not heard and answer.extensions["http_version"] != b"HTTP/2":  # whose requests share a connection
            raise RequestFailed("the server answered the request before twice", kind="connection", billed=True)
        self.body = Body(answer.status, headers, most=self.max_bytes, sink=self.sink)
        return self.body

    @property
    def data(self) -> bytearray:
        """The answer's bytes; none where no answer came."""
        return self.body.data if self.body else bytearray()

    def is_page(self) -> bool:
        """Whether the answer is one for a browser."""
        return self.data.lstrip()[:1] == b"<"

    def answer(self) -> Any:
        """The JSON of a successful answer, whatever it is; None where there is none."""
        return read_document(self.data) if self.failure is None and self.status == 200 else None

    def payload(self) -> dict[str, Any]:
        """The answer's JSON object. Raises `RequestFailed` when there is none, or one that holds an error."""
        if self.failure is not None:
            raise self.failure
        payload = read_document(self.data)
        refused = self._refusal(payload)
        if refused is not None:
            raise refused
        payload = {"data": payload} if isinstance(payload, list) else payload
        if not isinstance(payload, dict) and self.is_page():
            raise RequestFailed(f"a page for a browser ({media_type(self.headers)})", kind="not_json")
        if not isinstance(payload, dict):
            said = f"the answer is no JSON object ({media_type(self.headers)})"
            raise RequestFailed(said, kind="not_json", billed=True)
        return payload

    def _refusal(self, payload: Any) -> RequestFailed | None:
        """The failure that the answer tells of, if any."""
        status = self.status
        if 300 <= status < 400:
            said = f"status {status}: a redirect, which is never followed; check base_url"
            return RequestFailed(said, status=status, kind="redirect")
        if status == 407:
            return RequestFailed(PROXY_REFUSES, status=status, kind="configuration")
        page = self.data[:PAGE].decode(errors="replace") if payload is None else ""
        if status == 400 and WANTS_TLS.search(page):
            return RequestFailed(SPEAKS_TLS, status=status, kind="configuration")
        if self.request is None or (status < 300 and not holds_error(payload) and not page):
            return None
        secrets = self.secrets + secrets_of(self.request.headers)
        fields, sent = fields_and_texts(self.request)
        return read_refusal(status, self.headers, payload, page=page, secrets=secrets, fields=fields, sent=sent)


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """The words in a request's headers that may be secret: all, except in headers known to hold no key or token."""
    return [
        part
        for name, value in headers.items()
        if name.lower() not in SECRETLESS and not name.lower().startswith(SECRETLESS_PREFIXES)
        for part in value.split()
        if len(part) >= SHORTEST_SECRET
    ]


def fields_and_texts(request: Any) -> tuple[list[str], str]:
    """The names that a request's body has, and its texts as `core.said.Said` takes them."""
    try:
        body = json.loads(request.content)
    except (ValueError, RuntimeError):  # no JSON, nested too deeply, or a stream
        return [], ""
    if not isinstance(body, dict):
        return [], ""
    parts = (part for name in TEXT_FIELDS & body.keys() for _, _, part in everything_in(body[name]))
    texts = [part for part in parts if isinstance(part, str)]
    return list(body), "\0".join(("", *texts, "")).lower() if texts else ""


@contextmanager
def exchange(held: Exchange) -> Iterator[Exchange]:
    """Bound the one request that is sent inside. Whatever the SDK raises is raised by `payload`, as `RequestFailed`.

    An SDK's error refers to the request, and so to the key and the texts. That is why ours is not chained to it. What
    the author of a provider raises, by mistake or not, is raised as it is.
    """
    token = under_way.set(held)
    try:
        yield held
    except Exception as error:  # SDKs wrap our failure, or choke on an answer that we read ourselves
        told = in_chain(error, RequestFailed)
        if told is not None:
            held.failure = copy(told)  # without its frames and causes
        elif is_of(error, held.authors):
            raise
        elif held.body is None:
            why = f"the request could not be made ({type(error).__name__})"
            held.failure = RequestFailed(why, kind="configuration")
    finally:
        under_way.reset(token)


def make_transport(library: str, options: TransportOptions, url: str, *, blocking: bool) -> Any:
    """A transport for clients of `httpx` or `httpx2` that ask the server at `url`."""
    http = import_module(library)
    kinds = (BlockingTransport, http.BaseTransport) if blocking else (AsyncTransport, http.AsyncBaseTransport)
    return type("Transport", kinds, {})(library, options, url)


class _Transport:
    """What `httpx` and `httpx2` send by: one pool of connections, over the backends that keep time.

    The SDK gets an empty answer, so that it neither parses the vectors a second time nor raises errors of its own.
    """

    _backend: Any
    _blocking: bool

    def __init__(self, library: str, options: TransportOptions, url: str) -> None:
        self._http, self._core = import_module(library), import_module(library.replace("httpx", "httpcore"))
        backend = self._backend(self._core)
        self._pool, self._secrets = make_pool(self._core, backend, options, url, blocking=self._blocking)

    def _begin(self, request: Any) -> tuple[Exchange, Any]:
        held: Any = under_way.get()
        held.begin(request, self._secrets)
        held.secure = request.url.scheme == "https"
        held.proxied = "Proxy" in type(self._pool).__name__
        url = request.url
        target = self._core.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        content = getattr(request, "_content", None)  # None: a file, which is read while it is sent
        content = request.stream if content is None else content
        return held, self._core.Request(request.method, target, headers=request.headers.raw, content=content)


class BlockingTransport(_Transport):
    """For threads."""

    _backend, _blocking = Backend, True

    def handle_request(self, request: Any) -> Any:
        """Send, and collect the whole answer within the exchange's bounds. Raises `RequestFailed`."""
        held, sent = self._begin(request)
        with transport_errors(self._core, held), closing(self._pool.handle_request(sent)) as answer:
            body = held.open(answer)
            for chunk in answer.iter_stream():
                deque(body.takes(chunk), maxlen=0)
                if body.full:
                    break
        return self._http.Response(held.status, json={})

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def __del__(self) -> None:
        # An embedder that nobody closed leaves no socket behind; at the interpreter's end there is nothing to say.
        with suppress(Exception):
            self.close()


class AsyncTransport(_Transport):
    """For one event loop."""

    _backend, _blocking = AsyncBackend, False

    async def handle_async_request(self, request: Any) -> Any:
        """`handle_request` without blocking the event loop."""
        held, sent = self._begin(request)
        with transport_errors(self._core, held):
            async with asyncio.timeout(held.left()):
                answer = await self._pool.handle_async_request(sent)
                try:
                    body = held.open(answer)
                    async for chunk in answer.aiter_stream():
                        for _ in body.takes(chunk):
                            await asyncio.sleep(0)
                        if body.full:
                            break
                finally:
                    await answer.aclose()
        return self._http.Response(held.status, json={})

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
