"""A hosted API: one client per process, one async client per event loop, one exchange per request."""

from __future__ import annotations

import json
import os
import re
from abc import abstractmethod
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from embedbridge._core.kinds import Kind
from embedbridge._core.tokens import ByteCounter, Counter, TooLong
from embedbridge._core.types import Batch, Identity, Reply
from embedbridge._threads.background import run_in_background
from embedbridge._threads.imports import importing
from embedbridge._threads.telling import warn
from embedbridge.errors import ConfigurationError, EmbeddingError, RequestFailed

from ._authors import files_of, line_of
from ._clients import Clients
from ._credentials import CREDENTIAL_HEADERS
from ._headers import check_headers, deciding
from ._inquiries import Inquirer
from ._listing import tokens_of
from ._request_options import RequestOptions
from ._transport import TransportOptions
from ._urls import check_url, endpoint, is_local
from ._wire import Exchange, make_transport
from .base import BaseProvider, ProviderConfig

__all__ = ["SENDABLE", "HostedProvider", "rough_counter"]

BYTES_A_NUMBER = 64
"""The most bytes of a number in JSON, on a line of its own and indented."""
MOST_SENT = 1 << 21
"""Characters that an event loop sends; a longer request is written and sent in a thread, by the blocking client."""
BYTES_A_CHARACTER = 12
"""The most bytes of a character in JSON."""
WIDEST = 16_384
"""The most dimensions that an unknown model may have."""
NO_KEY = "no-key"
"""A placeholder for servers that need no key, because SDKs insist on one."""
MOST_BYTES_PER_TOKEN = 6
"""Prose has 4-5: a text that is too long at this rate is certainly too long."""
FEWEST_BYTES_PER_TOKEN = 2
"""Pieces that are measured at this rate fit the model in nearly every language."""
NETWORK_VARIABLES = re.compile("(https?|all|no)_proxy|ssl_cert_(file|dir)|sslkeylogfile", re.IGNORECASE)
"""Environment variables that every client reads: one with a wrong value is an error at the first request."""
HARMLESS = {"encoding_format", "single", "api-version", "deployment"}
"""Details that keys of releases before left out and were right all the same: they change no vector, or the key named
them otherwise."""
SENDABLE = re.compile(r"[!-~]+")
"""What a key may be made of: printable ASCII without blanks."""


class HostedProvider(Inquirer, BaseProvider):
    """The base of providers that ask a server, over an SDK or over HTTP.

    Subclasses turn a batch into a request with `send`, and its answer into a `Reply` with `read`. Those over an SDK
    make its client with `connect`.

    Args:
        config: what it is made with.

    Raises:
        ConfigurationError: a key is missing, or an address, a header or an option is wrong.
        MissingExtraError: `package` is not installed.
    """

    obeys_timeout = True
    options_type = TransportOptions
    official_url: ClassVar[str] = ""
    """The vendor's own address; it is not part of cache keys."""
    library: ClassVar[str] = "httpx2"
    """What requests are sent by: `httpx2`, or `httpx` where the SDK runs on that."""
    where_to_look: ClassVar[str] = "check base_url and model"
    """What to do when there is no API at the address."""
    key_header: ClassVar[str] = "authorization"
    """The header in which a key is sent."""
    usage_header: ClassVar[str] = ""
    """The answer's header with the tokens that were billed, in small letters, for answers that do not say it."""
    needs_loop = False
    """Whether a long request, too, has to be sent by the event loop: an async function gives its key."""
    headers_option: ClassVar[str] = "default_headers"
    """The option that `headers` come from."""

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self.after_fork()
        url = self.find_url()
        self.url = check_url(url, self.library) if url else None
        """None: the vendor's own."""
        if self.url and set("?#") & set(self.url):
            raise ConfigurationError(
                "base_url is an address without a query or a fragment: not every SDK sends them; openai, azure and "
                "voyage take a query as provider_options={'query': {…}}"
            )
        if self.url and endpoint(self.url) == self.official_url:
            self.url = None
        if config.api_key and self._sends_user():
            told = "base_url holds a user and a password, which are sent in place of a key; leave out them or api_key"
            raise ConfigurationError(told)
        self.key = self.choose_key()
        """None: the API needs none, or has it from elsewhere."""
        if self.key and not SENDABLE.fullmatch(self.secret()):
            raise ConfigurationError(f"the key for {self.name!r} holds blanks, line breaks or letters that no key has")
        headers, own = self.headers(), self.options
        check_headers(headers, self.owned_headers())
        named = (getattr(own, name, ()) for name in ("routing_headers", "credential_headers"))
        self.header_details = deciding(headers, *named)
        """Of headers that the user adds, those that decide a vector."""
        if self.key and self.url and self.url.startswith("http://") and not is_local(self.url):
            warn(f"the key for {self.name!r} will travel unencrypted to {endpoint(self.url)}", stacklevel=2)
        if config.dimensions is None:  # an embedder that asks for narrower vectors makes its provider once more
            self.options.warn(self.name)

    def find_url(self) -> str | None:
        """Where to send requests.

        Returns:
            None: the vendor's own address.
        """
        return self.config.base_url

    def choose_key(self) -> SecretStr | None:
        """The key, where `key_variables` say that one is needed, or one is given.

        Returns:
            None: the API needs none, or has it from elsewhere.

        Raises:
            ConfigurationError: one is needed, and there is none.
        """
        return self.find_key() if self.key_variables else self.config.api_key

    def find_key(self) -> SecretStr:
        """The key, or a placeholder where the address holds a user and a password, which are sent in its place."""
        return SecretStr(NO_KEY) if self._sends_user() else super().find_key()

    def _sends_user(self) -> bool:
        """Whether a user and a password of the address are sent in the header that the key has."""
        return self.key_header == "authorization" and urlsplit(self.url or "").username is not None

    def headers(self) -> dict[str, str]:
        """Headers that the user adds to every request.

        Returns:
            Values by name.
        """
        return {}

    def owned_headers(self) -> Collection[str]:
        """Headers that are sent with values of the SDK's or the credentials' own, and that nobody can set.

        Returns:
            Their names, in small letters.
        """
        return {"authorization"} if urlsplit(self.address()).username is not None else ()

    @property
    def identity(self) -> Identity:
        """Besides provider, model and width: the endpoint, headers, and what else is sent that may decide."""
        own = super().identity
        return replace(
            own,
            endpoint=endpoint(self.url) if self.url else "",
            details=(*own.details, *self.header_details, *told(self.details())),
        )

    def details(self) -> dict[str, Any]:
        """What else the request holds that may decide the vector of any text: the one place to list it.

        Returns:
            Values by name.
        """
        return {name: value for name, value in self.asides().items() if self.url and value is not None}

    def asides(self) -> Mapping[str, Any]:
        """Fields that change no vector of the vendor's, as it documents; of another server, nobody knows that.

        Returns:
            Values by name.
        """
        return {}

    def stored_options(self) -> dict[str, Any]:
        """As of every provider; headers that are declared to be no secrets, but for known credentials; and `asides`."""
        own, routing = super().stored_options(), list(getattr(self.options, "routing_headers", ()))
        named = {name.lower() for name in routing} - CREDENTIAL_HEADERS
        headers = {name: value for name, value in self.headers().items() if name.lower() in named}
        own |= {self.headers_option: headers, "routing_headers": routing} if routing else {}
        return own | HostedProvider.details(self)

    def former_details(self, identity: Identity) -> tuple[tuple[str, ...], bool]:
        """Without `details`, of which releases before named nothing."""
        own = self.details()
        return identity.without(set(told(own))).details, set(own) <= HARMLESS

    def address(self) -> str:
        """Where requests go.

        Returns:
            `base_url`, or the vendor's own address, without a slash at the end.
        """
        return self.url or self.official_url

    def connect(self, transport: Any, *, blocking: bool) -> Any:
        """Make what `send` gets. Override it to make an SDK's client.

        Args:
            transport: ours, of the HTTP library named in `library`.
            blocking: whether the blocking client is wanted, or the async one.

        Returns:
            A client over `transport`; without an SDK, that of the HTTP library.
        """
        return self.http_client(transport, blocking=blocking)

    def http_client(self, transport: Any, *, blocking: bool) -> Any:
        """Make a client of the HTTP library, for SDKs that take one.

        Args:
            transport: ours, of the HTTP library named in `library`.
            blocking: whether the blocking client is wanted, or the async one.

        Returns:
            A client that reads nothing from the environment.
        """
        kind = "Client" if blocking else "AsyncClient"
        return getattr(import_module(self.library), kind)(transport=transport, trust_env=False)

    @abstractmethod
    def send(self, client: Any, batch: Batch) -> Any:
        """Send one request.

        Args:
            client: what `connect` has made.
            batch: texts of one role, within `limits`.

        Returns:
            What the client returns. It is awaited where that is the async client, and not used otherwise.
        """

    @abstractmethod
    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """Turn an answer into a `Reply`.

        Args:
            batch: what was asked.
            payload: the answer's JSON.

        Returns:
            The vectors as they came. The core checks them.

        Raises:
            KeyError: and any other error that a missing field causes: the answer is not what was asked for.
        """

    def body(self, batch: Batch) -> dict[str, Any]:
        """The JSON of a request, where a batch API takes it too.

        Args:
            batch: the texts and their role.

        Returns:
            The fields of the request.
        """
        raise NotImplementedError

    def explained(self, failure: RequestFailed) -> RequestFailed:
        """Say more of a failure, where more is known of this server.

        Args:
            failure: of a request.

        Returns:
            What is raised in its place.
        """
        return failure

    def get_ready(self, seconds: float | None) -> None:
        """Wait for the client, which is not part of a request's own time. Raises `RequestFailed`."""
        with self._clients.use(seconds):
            pass

    async def aget_ready(self, seconds: float | None) -> None:
        """The same, for the running loop's client."""
        async with self._clients.ause(seconds):
            pass

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request. Raises `RequestFailed`."""
        held = self._bounds(batch, timeout)
        return self.converse(held, lambda client: self.send(client, batch), partial(self._read, batch))

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request without blocking the event loop. Raises `RequestFailed`."""
        if sum(map(len, batch.texts)) > MOST_SENT and not self.needs_loop:
            return await run_in_background(partial(self.ask, batch, timeout=timeout))
        held = self._bounds(batch, timeout)
        return await self.aconverse(held, lambda client: self.send(client, batch), partial(self._read, batch))

    @property
    def learns_as(self) -> Hashable:
        """The address, the model, and what else is sent, of long texts too; not how narrow its vectors are to be."""
        own = self.identity.without({f"dimensions={self.config.dimensions}"})
        return replace(own, endpoint=endpoint(self.address()))

    def _make(self, *, blocking: bool) -> tuple[Any, Any]:
        """The SDK's client and its transport. Raises `RequestFailed`, mostly because of what is in the environment."""
        try:
            with importing():
                transport = make_transport(self.library, self.options, self.address(), blocking=blocking)
                return self.connect(transport, blocking=blocking), transport
        except (EmbeddingError, RequestFailed):
            raise
        except Exception as error:  # of httpx, ssl or the SDK, about a path, an address or a package
            why = type(error).__name__
        # Raised outside of the handler, and so without the cause: that may hold a proxy's password.
        known = ", ".join(name for name, value in os.environ.items() if value and NETWORK_VARIABLES.fullmatch(name))
        told = f"; look at what is set in the environment: {known}" if known else ""
        raise RequestFailed(f"no client could be made ({why}){told}", kind="configuration")

    def _bounds(self, batch: Batch, timeout: float) -> Exchange:
        echo = BYTES_A_CHARACTER * sum(map(len, batch.texts))  # some APIs send the texts back
        # The model's own width even where a narrower one is asked for: a server that ignores that is told of by name.
        widest = max(self.width() or 0, self.config.card.dimensions or 0) if self.config.card else WIDEST
        most = (1 << 20) + echo + len(batch.texts) * (widest or WIDEST) * BYTES_A_NUMBER
        return Exchange(
            timeout,
            max_bytes=most,
            secrets=[self.secret()],
            sent_headers=self.sent_headers,
            authors=files_of(self),
            usage_header=self.usage_header,
        )

    def _read(self, batch: Batch, held: Exchange) -> Reply:
        try:
            payload = held.payload()
        except RequestFailed as failure:
            if (held.status == 200 and held.is_page()) or (failure.kind is Kind.NONE and failure.status in {404, 405}):
                failure.args = (f"{failure} - {self.where_to_look}",)
            raise self.explained(failure) from None
        try:
            reply = self.read(batch, payload)
        except (KeyError, TypeError, AttributeError) as error:
            authors = files_of(self)
            where = f" ({type(error).__name__}{line_of(error, authors)})" if authors else ""
            why = f"the answer holds no list of vectors{where}"
            raise RequestFailed(why, kind="no_data", billed=True) from (error if authors else None)
        if isinstance(self.options, RequestOptions) and isinstance(reply.items, list) and len(reply.items) == 1:
            self.options.check_more_was_read(batch)
        model = reply.model if isinstance(reply.model, str) else None
        tokens = tokens_of(held.headers, self.usage_header) if reply.tokens is None else reply.tokens
        system = payload.get("system_fingerprint") if isinstance(payload, dict) else None
        told = system if isinstance(system, str) else ""
        return Reply(reply.items, reply.indices, tokens, model, held.headers, reply.cut, told)

    def close(self) -> None:
        """Close the blocking client, once its last request has ended; a later request opens a new one."""
        self._clients.close()

    async def aclose(self) -> None:
        """`close` for the running loop's client."""
        await self._clients.aclose()

    def after_fork(self) -> None:
        """Drop the clients: their sockets belong to the parent."""
        self._clients = Clients(self._make)


def told(details: Mapping[str, Any]) -> Iterator[str]:
    """Details as an identity lists them. Values are written as JSON, so that 1 and "1" differ."""
    for name, value in details.items():
        yield f"{name}={json.dumps(value, sort_keys=True)}"


def rough_counter(policy: TooLong) -> Counter:
    """An estimate for a server that truncates or refuses texts exactly, while its tokenizer is not available here.

    It counts few tokens, so that the server decides; of a text that is split, many, so that every piece fits.

    Args:
        policy: the option `too_long`.

    Returns:
        A counter by bytes.
    """
    return ByteCounter(MOST_BYTES_PER_TOKEN, piece_size=FEWEST_BYTES_PER_TOKEN if policy == "mean" else None)
