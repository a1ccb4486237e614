"""What passes between an SDK and a server: one bounded exchange, and one place that reads failures.

The SDKs get transports of ours. No redirect is followed. A request ends within its timeout, however slowly the answer
comes. An answer is read up to a size. Every failure is raised as `RequestFailed`, without keys and texts.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, BinaryIO, cast

from embedbridge._core.endpoints import TELLING
from embedbridge._core.rate_headers import ABOUT_RATES
from embedbridge.errors import RequestFailed

from ._authors import is_of
from ._documents import joined_parts, read_document, unwrapped
from ._error_words import fields_and_texts, secrets_of
from ._listing import LISTS
from ._network import AsyncBackend, Backend, Progress, under_way
from ._refusal import PAGE, holds_error, media_type, read_refusal
from ._transit import PROXY_REFUSES, SPEAKS_TLS, WANTS_TLS, in_chain, transport_failure
from ._transport import TransportOptions, make_pool

ERROR_PAGE = 65_536
"""Bytes that are read of an answer whose status is not success."""
STEP = 1 << 20
"""Bytes that are unpacked in one step."""
FOREIGN = {"br", "compress", "dcb", "dcz", "deflate", "exi", "pack200-gzip", "x-compress", "zstd"}
"""Codings of which none is asked for. What is not among them names no coding: `utf-8`, `aws-chunked`, `none` …"""
DOUBTFUL = frozenset({"error", "errors", "fault", "success", "body"})
"""Names that an answer has which may be an error, or hold what was asked for as a string."""
TOLD = frozenset({"content-type", "date", "x-amzn-errortype", "x-amzn-bedrock-input-token-count"})
"""Headers of an answer that are read, besides those about rates: errors carry them, so no cookies or accounts."""


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
    status: int = 0
    """0: no answer came."""
    headers: dict[str, str] = field(default_factory=dict)
    request: Any = None
    """Of `httpx` or `httpx2`."""
    failure: RequestFailed | None = None
    sink: BinaryIO | None = None
    """Where the bytes of a successful answer go that is too large to be held."""
    location: str = ""
    """Where a redirect leads, or where Google wants a file. It may hold a signature."""
    data: bytearray = field(default_factory=bytearray)
    """The answer's bytes; none where they go to `sink`."""
    full: bool = False
    """Whether to stop reading, as an error page is long enough, or data follow the end of the gzip."""
    room: int = 0
    """Bytes that may still come."""
    gzip: Any = None
    """What unpacks the bytes; None: they are plain."""

    def open(self, answer: Any) -> None:
        """Look at an answer's head, and keep what is wanted of it."""
        self.status, self.data, self.full = answer.status, bytearray(), False
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
        kept = {*TOLD, *TELLING, self.usage_header}  # errors carry them, so no cookies or accounts
        self.headers = {name: headers[name] for name in headers if name in kept or ABOUT_RATES.match(name)}
        self.location = headers.get("location") or headers.get("x-goog-upload-url", "")
        heard = getattr(answer.extensions["network_stream"], "heard", None)
        if heard is None:  # of another version than those in pyproject.toml
            told = "the HTTP library connects by itself, so that no timeout would hold; reinstall embedbridge's extra"
            raise RequestFailed(told, kind="configuration")
        if not heard and answer.extensions["http_version"] != b"HTTP/2":  # whose requests share a connection
            raise RequestFailed("the server answered the request before twice", kind="connection", billed=True)
        success = answer.status < 300
        self.sink, self.room = (self.sink, self.max_bytes) if success else (None, ERROR_PAGE)
        codings = {part.strip().lower() for part in headers.get("content-encoding", "").split(",")}
        if success and codings & FOREIGN:
            named = ", ".join(sorted(codings & FOREIGN))
            raise RequestFailed(f"the answer is compressed as {named!r}, which was not asked for", kind="encoding")
        self.gzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if codings & {"gzip", "x-gzip"} else None

    def unpack(self, chunk: bytes) -> Iterator[None]:
        """Take packed bytes, in steps of a few milliseconds, between which an event loop can do something else.

        They are unpacked here up to a limit; the HTTP library would unpack any amount at once.
        """
        unpacked, most = b"", 0
        while (chunk or len(unpacked) == most) and not self.full:
            most = min(STEP, self.room + 1)
            unpacked = self.gzip.decompress(chunk, most)
            chunk = self.gzip.unconsumed_tail
            self.full = bool(self.gzip.unused_data)  # which grows with every piece
            self.take(unpacked)
            yield

    def take(self, chunk: bytes) -> None:
        """Take plain bytes."""
        self.room -= len(chunk)
        if self.room < 0 and self.status < 300:
            raise RequestFailed("the answer is far larger than its vectors can be", kind="too_large", billed=True)
        if self.sink is None:
            self.data += chunk
        else:
            try:
                self.sink.write(chunk)
            except OSError as error:
                told = f"what came cannot be written to a temporary file ({error}): make room, or set TMPDIR"
                raise RequestFailed(told, kind="configuration") from None
        self.full |= self.room < 0

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
        payload: Any = None
        with suppress(ValueError, RecursionError):
            payload = json.loads(self.data)
        # Most answers are this. What could be an error, or hold the answer inside of it, is looked at closely.
        plain = self.status == 200 and isinstance(payload, dict) and DOUBTFUL.isdisjoint(payload)
        if plain and payload.get("object") != "error" and any(payload.get(name) is not None for name in LISTS):
            return cast("dict[str, Any]", payload)
        payload = unwrapped(payload) if payload is not None else joined_parts(self.data)
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
        elif not held.status:
            why = f"the request could not be made ({type(error).__name__})"
            held.failure = RequestFailed(why, kind="configuration")
    finally:
        under_way.reset(token)


def make_transport(
    library: str, options: TransportOptions, url: str, *, blocking: bool, secrets: Collection[str] = ()
) -> Any:
    """A transport for clients of `httpx` or `httpx2` that ask the server at `url`; no error shows `secrets`."""
    http = import_module(library)
    kinds = (BlockingTransport, http.BaseTransport) if blocking else (AsyncTransport, http.AsyncBaseTransport)
    return type("Transport", kinds, {})(library, options, url, secrets)


class _Transport:
    """What `httpx` and `httpx2` send by: one pool of connections, over the backends that keep time.

    The SDK gets an empty answer, so that it neither parses the vectors a second time nor raises errors of its own.
    """

    _backend: Any
    _blocking: bool

    def __init__(self, library: str, options: TransportOptions, url: str, secrets: Collection[str]) -> None:
        self._http, self._core = import_module(library), import_module(library.replace("httpx", "httpcore"))
        backend = self._backend(self._core)
        self._pool, of_proxy = make_pool(self._core, backend, options, url, blocking=self._blocking)
        self._secrets = [*secrets, *of_proxy]

    def _begin(self, request: Any) -> tuple[Exchange, Any]:
        """Keep to what may be sent, and take credentials out of the address, which logs show."""
        held: Any = under_way.get()
        held.request, held.secrets = request, [secret for secret in (*held.secrets, *self._secrets) if secret]
        request.headers["accept-encoding"] = "gzip"
        if request.url.userinfo:  # the client has made a header of it
            held.secrets += filter(None, [request.url.password])
            request.url = request.url.copy_with(userinfo=b"")
        for name in set(request.headers).difference(held.sent_headers or request.headers):
            del request.headers[name]
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
        try:
            with closing(self._pool.handle_request(sent)) as answer:
                held.open(answer)
                for chunk in answer.iter_stream():
                    if held.gzip is None:
                        held.take(chunk)
                    else:
                        deque(held.unpack(chunk), maxlen=0)
                    if held.full:
                        break
        except Exception as error:
            raise transport_failure(error, self._core, held) from None
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
        try:
            async with asyncio.timeout(held.left()), aclosing(await self._pool.handle_async_request(sent)) as answer:
                held.open(answer)
                async for chunk in answer.aiter_stream():
                    if held.gzip is None:
                        held.take(chunk)
                    else:
                        for _ in held.unpack(chunk):
                            await asyncio.sleep(0)
                    if held.full:
                        break
        except Exception as error:
            raise transport_failure(error, self._core, held) from None
        return self._http.Response(held.status, json={})

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
