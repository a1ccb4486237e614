"""A hosted API: how a batch becomes a request, and how its answer is read."""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from collections.abc import Collection
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from embedbridge._core.kinds import Kind
from embedbridge._core.replies import ONE_READ
from embedbridge._core.tokens import ByteCounter, Counter, TooLong
from embedbridge._core.types import Batch, Reply
from embedbridge._threads.background import run_in_background, run_in_thread
from embedbridge._threads.telling import warn
from embedbridge.errors import ConfigurationError, RequestFailed

from ._authors import files_of, line_of
from ._connected import MOST_INLINE, Connected
from ._headers import check_headers, deciding
from ._lazy import lazy
from ._listing import tokens_of
from ._request_options import RequestOptions
from ._transport import TransportOptions
from ._urls import check_url, endpoint, is_local
from ._wire import Exchange, exchange
from .base import ProviderConfig

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
SENDABLE = re.compile(r"[!-~]+")
"""What a key may be made of: printable ASCII without blanks."""


class HostedProvider(Connected):
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
    where_to_look: ClassVar[str] = "check base_url and model"
    """What to do when there is no API at the address."""
    key_header: ClassVar[str] = "authorization"
    """The header in which a key is sent."""
    usage_header: ClassVar[str] = ""
    """The answer's header with the tokens that were billed, in small letters, for answers that do not say it."""
    needs_loop = False
    """Whether a long request, too, has to be sent by the event loop: an async function gives its key."""

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self.after_fork()
        self._authors = files_of(self)
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

    def owned_headers(self) -> Collection[str]:
        """Headers that are sent with values of the SDK's or the credentials' own, and that nobody can set.

        Returns:
            Their names, in small letters.
        """
        return {"authorization"} if urlsplit(self.address()).username is not None else ()

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
        if not self._clients.are_ready():
            with self._clients.use(seconds):
                pass

    async def aget_ready(self, seconds: float | None) -> None:
        """The same, for the running loop's client."""
        if not self._clients.are_ready(asyncio.get_running_loop()):
            async with self._clients.ause(seconds):
                pass

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request. Raises `RequestFailed`."""
        held = self._bounds(batch, timeout)
        with self._clients.use(timeout) as client:
            with exchange(held):
                self.send(client, batch)
            return self._read(batch, held)

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request without blocking the event loop. Raises `RequestFailed`."""
        if sum(map(len, batch.texts)) > MOST_SENT and not self.needs_loop:
            return await run_in_background(partial(self.ask, batch, timeout=timeout))
        held = self._bounds(batch, timeout)
        async with self._clients.ause(timeout) as client:
            with exchange(held):
                await self.send(client, batch)
            read = partial(self._read, batch, held)
            return read() if len(held.data) <= MOST_INLINE else await run_in_thread(read)

    @lazy
    def _widest(self) -> int:
        """The most dimensions that a vector may have, whatever is asked for: a server may ignore that."""
        card = self.config.card
        return (max(self.width() or 0, card.dimensions or 0) if card else 0) or WIDEST

    def _bounds(self, batch: Batch, timeout: float) -> Exchange:
        echo = BYTES_A_CHARACTER * sum(map(len, batch.texts))  # some APIs send the texts back
        return Exchange(
            timeout,
            max_bytes=(1 << 20) + echo + len(batch.texts) * self._widest * BYTES_A_NUMBER,
            sent_headers=self.sent_headers,
            authors=self._authors,
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
            where = f" ({type(error).__name__}{line_of(error, self._authors)})" if self._authors else ""
            why = f"the answer holds no list of vectors{where}"
            raise RequestFailed(why, kind="no_data", billed=True) from (error if self._authors else None)
        alone = isinstance(reply.items, list) and len(reply.items) == 1 < len(batch.texts)
        if alone and isinstance(self.options, RequestOptions):
            said = f"1 vectors for {len(batch.texts)} texts - {ONE_READ} provider_options={{'single': True}}"
            raise RequestFailed(said, kind="count", billed=True)
        model = reply.model if isinstance(reply.model, str) else None
        tokens = tokens_of(held.headers, self.usage_header) if reply.tokens is None else reply.tokens
        system = payload.get("system_fingerprint") if isinstance(payload, dict) else None
        told = system if isinstance(system, str) else ""
        return Reply(reply.items, reply.indices, tokens, model, held.headers, reply.cut, told)


def rough_counter(policy: TooLong) -> Counter:
    """An estimate for a server that truncates or refuses texts exactly, while its tokenizer is not available here.

    It counts few tokens, so that the server decides; of a text that is split, many, so that every piece fits.

    Args:
        policy: the option `too_long`.

    Returns:
        A counter by bytes.
    """
    return ByteCounter(MOST_BYTES_PER_TOKEN, piece_size=FEWEST_BYTES_PER_TOKEN if policy == "mean" else None)
