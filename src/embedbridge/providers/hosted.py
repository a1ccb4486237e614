"""An API behind an official SDK: one client a process, one async client an event loop, one exchange a request."""

from __future__ import annotations

import asyncio
import threading
import warnings
from abc import abstractmethod
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakKeyDictionary

from embedbridge.core.errors import ConfigurationError, RequestFailed
from embedbridge.core.types import Batch, Identity, Reply

from .base import BaseProvider, ProviderConfig
from .wire import exchange

BYTES_A_NUMBER = 25
"""The longest a float becomes in JSON, with room."""
WIDEST = 16_384
"""Dimensions that an unknown model may have."""
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


class HostedProvider(BaseProvider):
    """Subclasses make their clients, turn a batch into an SDK call, and read the answer's JSON."""

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self._lock = threading.Lock()
        self._client: Any = None
        self._async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()
        self.url = check_url(config.base_url) if config.base_url else None
        if (
            self.url
            and self.url.startswith("http://")
            and config.api_key
            and urlsplit(self.url).hostname not in LOCAL_HOSTS
        ):
            warnings.warn(f"the key for {self.name!r} will travel unencrypted to {endpoint(self.url)}", stacklevel=2)

    @property
    def identity(self) -> Identity:
        """The endpoint counts, and so does the width that is asked of the API."""
        asked = (f"dimensions={self.config.dimensions}",) if self.config.dimensions else ()
        return Identity(self.name, self.model, endpoint=endpoint(self.url) if self.url else "", details=asked)

    @abstractmethod
    def connect(self) -> Any:
        """The SDK's blocking client, over a `GuardedClient`."""

    @abstractmethod
    def aconnect(self) -> Any:
        """The SDK's async client, over a `GuardedAsyncClient`."""

    @abstractmethod
    def send(self, client: Any, batch: Batch) -> Any:
        """Call the SDK for one batch; what it returns is awaited when `client` is the async one, and not looked at."""

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
        return self.config.api_key.get_secret_value() if self.config.api_key else ""

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request. Raises `RequestFailed`."""
        with self._lock:
            if self._client is None:
                self._client = self.connect()
        with exchange(timeout, self._most_bytes(batch), self.secret()) as held:
            self.send(self._client, batch)
        return self._read(batch, held.payload(), held.headers)

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request without blocking the event loop. Raises `RequestFailed`."""
        loop = asyncio.get_running_loop()
        client = self._async_clients.get(loop)
        if client is None:
            client = self._async_clients[loop] = self.aconnect()
        with exchange(timeout, self._most_bytes(batch), self.secret()) as held:
            await self.send(client, batch)
        return self._read(batch, held.payload(), held.headers)

    def _read(self, batch: Batch, payload: dict[str, Any], headers: dict[str, str]) -> Reply:
        try:
            reply = self.read(batch, payload)
        except (KeyError, TypeError, AttributeError):
            raise RequestFailed("the answer holds no list of vectors", kind="no_data", billed=True) from None
        return Reply(reply.items, reply.indices, reply.tokens, reply.model, headers, reply.cut)

    def _most_bytes(self, batch: Batch) -> int:
        return (1 << 20) + len(batch.texts) * (self.width() or WIDEST) * BYTES_A_NUMBER

    def close(self) -> None:
        """Close the blocking client; a later call opens a new one."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            self.disconnect(client)

    async def aclose(self) -> None:
        """Close the running loop's client."""
        client = self._async_clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await self.adisconnect(client)

    def after_fork(self) -> None:
        """Sockets belong to the parent."""
        self._lock = threading.Lock()
        self._client = None
        self._async_clients = WeakKeyDictionary()


def check_url(url: str) -> str:
    """An http or https address. Raises `ConfigurationError` for any other, without showing credentials in it."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"base_url must be an http or https address, not {parts.scheme or 'a bare name'}:…")
    return url


def endpoint(url: str) -> str:
    """An address without credentials, query and trailing slash: fit for keys, errors and logs."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    place = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))


def tokens_of(payload: dict[str, Any], *names: str) -> int | None:
    """A usage number somewhere in an answer; None where it is missing or no number."""
    found: Any = payload
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return int(found) if isinstance(found, int | float) and not isinstance(found, bool) and found >= 0 else None
