"""An API behind an official SDK: one client a process, one async client an event loop, one exchange a request."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import warnings
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakKeyDictionary

from pydantic import SecretStr

from embedbridge.core.errors import ConfigurationError, EmbeddingError, RequestFailed
from embedbridge.core.tokens import ByteCounter, Counter, TooLong
from embedbridge.core.types import Batch, Identity, Reply

from .base import BaseProvider, ProviderConfig
from .headers import check_headers, routing
from .wire import exchange

BYTES_A_NUMBER = 25
"""The most bytes of a number in JSON, with room to spare."""
BYTES_A_CHARACTER = 12
"""The most bytes of a character in JSON."""
WIDEST = 16_384
"""The most dimensions that an unknown model may have."""
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
MOST_BYTES_PER_TOKEN = 6
"""Prose has 4-5: a text that is too long at this rate is certainly too long."""
FEWEST_BYTES_PER_TOKEN = 2
"""Pieces that are measured at this rate fit the model in nearly every language."""
NETWORK_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"),
)
"""Environment variables that every client reads: one with a wrong value is an error at the first request."""
MOST_USAGE = 1 << 31
"""Tokens; more than any request has, so a larger number in an answer is ignored."""
_SENDABLE = re.compile(r"[!-~]+")


class HostedProvider(BaseProvider):
    """Subclasses make their clients, turn a batch into an SDK call, and read the answer's JSON."""

    obeys_timeout = True
    official_url: ClassVar[str] = ""
    """The vendor's own address; it is not part of cache keys."""

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self._lock = threading.Lock()
        self._client: Any = None
        self._async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClient] = WeakKeyDictionary()
        url = self.find_url()
        self.url = check_url(url) if url else None
        """None: the vendor's own."""
        if self.url and set("?#") & set(self.url):
            raise ConfigurationError("base_url is an address without a query or a fragment: not every SDK sends them")
        if self.url and endpoint(self.url) == self.official_url:
            self.url = None
        self.key = self.choose_key()
        """None: the API needs none, or has it from elsewhere."""
        if self.key and not _SENDABLE.fullmatch(self.secret()):
            raise ConfigurationError(f"the key for {self.name!r} holds blanks, line breaks or letters that no key has")
        check_headers(self.headers())
        self._routed = tuple(routing(self.headers(), getattr(self.options, "routing_headers", ())))
        if self.key and self.url and self.url.startswith("http://") and not is_local(self.url):
            warnings.warn(f"the key for {self.name!r} will travel unencrypted to {endpoint(self.url)}", stacklevel=2)

    def find_url(self) -> str | None:
        """Where to send requests, unless to the vendor's own address."""
        return self.config.base_url

    def choose_key(self) -> SecretStr | None:
        """The key, if any. Raises `ConfigurationError` where there has to be one."""
        return self.config.api_key

    def headers(self) -> dict[str, str]:
        """Headers that the user adds to every request."""
        return {}

    @property
    def identity(self) -> Identity:
        """Besides provider, model and width: the endpoint, and headers that choose the model."""
        own = super().identity
        return replace(own, endpoint=endpoint(self.url) if self.url else "", details=own.details + self._routed)

    @abstractmethod
    def connect(self) -> Any:
        """The SDK's blocking client, over a `GuardedClient`."""

    @abstractmethod
    def aconnect(self) -> Any:
        """The SDK's async client, over a `GuardedAsyncClient`."""

    @abstractmethod
    def send(self, client: Any, batch: Batch) -> Any:
        """Call the SDK for one batch. What it returns is awaited for the async client, and not used otherwise."""

    @abstractmethod
    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """The answer's JSON as a `Reply`. A KeyError or TypeError means that it is not what was asked for."""

    def disconnect(self, client: Any) -> None:
        """Close the blocking client."""
        client.close()

    async def adisconnect(self, client: Any) -> None:
        """Close an async client."""
        await client.close()

    def secret(self) -> str:
        """The key, to be kept out of errors."""
        return self.key.get_secret_value() if self.key else ""

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request. Raises `RequestFailed`."""
        with self._lock:
            if self._client is None:
                self._client = _make_client(self.connect)
        with exchange(timeout, self._most_bytes(batch), self.secret()) as held:
            self.send(self._client, batch)
        return self._read(batch, held.payload(), held.headers)

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request without blocking the event loop. Raises `RequestFailed`."""
        client = await self._async_client()
        with exchange(timeout, self._most_bytes(batch), self.secret()) as held:
            await self.send(client, batch)
        return self._read(batch, held.payload(), held.headers)

    async def _async_client(self) -> Any:
        """The running loop's client, which all its requests share."""
        loop = asyncio.get_running_loop()
        kept = self._async_clients.get(loop)
        if kept is None or kept.client.cancelled():  # whoever ends a loop cancels its tasks, this one among them
            for ended in [known for known in self._async_clients if known.is_closed()]:
                del self._async_clients[ended]  # not by itself: a client refers to its loop
            kept = self._async_clients[loop] = _LoopClient(self)
        try:
            return await asyncio.shield(kept.client)
        except Exception:
            self._async_clients.pop(loop, None)  # the next request tries again
            raise

    def _read(self, batch: Batch, payload: dict[str, Any], headers: dict[str, str]) -> Reply:
        try:
            reply = self.read(batch, payload)
        except (KeyError, TypeError, AttributeError):
            raise RequestFailed("the answer holds no list of vectors", kind="no_data", billed=True) from None
        model = reply.model if isinstance(reply.model, str) else None
        return Reply(reply.items, reply.indices, reply.tokens, model, headers, reply.cut)

    def _most_bytes(self, batch: Batch) -> int:
        echo = BYTES_A_CHARACTER * sum(map(len, batch.texts))  # some APIs send the texts back
        # The model's own width even where a narrower one is asked for: a server that ignores that is told of by name.
        widest = max(self.width() or 0, self.config.card.dimensions or 0) if self.config.card else WIDEST
        return (1 << 20) + echo + len(batch.texts) * (widest or WIDEST) * BYTES_A_NUMBER

    def close(self) -> None:
        """Close the blocking client; a later call opens a new one."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            self.disconnect(client)

    async def aclose(self) -> None:
        """Close the running loop's client."""
        kept = self._async_clients.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept.aclose()

    def after_fork(self) -> None:
        """Sockets belong to the parent."""
        self._lock = threading.Lock()
        self._client = None
        self._async_clients = WeakKeyDictionary()


class _LoopClient:
    """An event loop's client: made in a thread, because importing an SDK takes seconds; closed when the loop ends.

    It lives in an async generator: `asyncio.run` closes the generators that were started in its loop, so a program that
    runs many short loops leaves no sockets open.
    """

    def __init__(self, provider: HostedProvider) -> None:
        self._generator = self._lifetime(provider)
        self.client = asyncio.ensure_future(anext(self._generator))

    @staticmethod
    async def _lifetime(provider: HostedProvider) -> AsyncGenerator[Any]:
        client = await asyncio.to_thread(_make_client, provider.aconnect)
        try:
            yield client
        finally:
            await provider.adisconnect(client)

    async def aclose(self) -> None:
        with suppress(Exception):  # it may have failed to be made
            await self.client
        await self._generator.aclose()


def _make_client(connect: Callable[[], Any]) -> Any:
    """An SDK's client. Raises `RequestFailed` when it cannot be made, which is mostly the environment's fault."""
    try:
        return connect()
    except EmbeddingError:
        raise
    except Exception as error:  # noqa: BLE001 - of httpx, ssl or the SDK, about a path, an address or a package
        why = type(error).__name__
    # Raised outside of the handler, and so without the cause: that may hold a proxy's password.
    known = ", ".join(name for name in NETWORK_VARIABLES if os.environ.get(name))
    told = f"; look at what is set in the environment: {known}" if known else ""
    raise RequestFailed(f"no client could be made ({why}){told}", kind="configuration")


def check_url(url: str) -> str:
    """An http or https address. Raises `ConfigurationError` for any other, without showing credentials in it."""
    if re.search(r"[\s\x00-\x1f]", url):
        raise ConfigurationError("base_url holds blanks or line breaks")
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigurationError("base_url is not an address that can be read; look at its port and brackets") from None
    if parts.scheme not in {"http", "https"} or not usable:
        raise ConfigurationError(f"base_url must be an http or https address, not {parts.scheme or 'a bare name'}:…")
    return url


def is_local(url: str) -> bool:
    """Whether an address is on this machine."""
    return urlsplit(url).hostname in LOCAL_HOSTS


def endpoint(url: str) -> str:
    """An address without credentials, query and trailing slash: fit for keys, errors and logs."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    place = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))


def rough_counter(policy: TooLong) -> Counter:
    """An estimate for a server that cuts or refuses texts exactly, while its tokenizer is not available here.

    It counts few tokens, so that the server decides; under `mean` it counts many, so that every piece fits.
    """
    return ByteCounter(FEWEST_BYTES_PER_TOKEN if policy == "mean" else MOST_BYTES_PER_TOKEN)


def tokens_of(payload: dict[str, Any], *names: str) -> int | None:
    """The number at a path of `names` in an answer; None where it is missing or not a count."""
    found: Any = payload
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    usable = isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < MOST_USAGE
    return int(found) if usable else None
