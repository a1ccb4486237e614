"""OpenAI's embeddings API over its official SDK: OpenAI itself, and every server that copies the API."""

from __future__ import annotations

import inspect
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar, Self, cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from embedbridge._core.servers import Inquiry
from embedbridge._core.tokens import Bound, Counter
from embedbridge._core.types import Batch, Identity, InputType, Limits, Reply
from embedbridge._threads.telling import warn
from embedbridge.catalogue import VENDORS, ModelCard, RoleFields, find_host
from embedbridge.errors import ConfigurationError

from ._batch_api import BatchApi
from ._key_functions import KeyFunction, key_function
from ._listing import listing
from ._openai_batches import OpenAIBatches
from ._openai_sdk import OpenAIOptions, ambient_headers, check_ambient_headers, settled, whatever_the_environment
from ._request_options import canonical
from ._server_identity import told
from ._servers import CompatibleServer
from ._tiktoken_counter import NO_TOKENIZER, TiktokenCounter, tiktoken_counter, vocabulary
from .base import ProviderConfig
from .hosted import NO_KEY, SENDABLE, HostedProvider, rough_counter

__all__ = ["OpenAIOptions", "OpenAIProvider"]

MOST_TEXTS = 2048
MOST_TOKENS = 300_000
"""Summed over one request."""
SMALL_REQUEST = 32
"""Texts in a request to another server than OpenAI's: a slow one answers in time, and TEI takes no more by default."""
USUAL_TEXT = 2048
"""Tokens in a request to such a server, for each text that it may hold."""
SDK_HEADERS = frozenset({"x-stainless-async", "x-stainless-read-timeout", "x-stainless-retry-count"})
"""Headers that the SDK sets, whatever it is told."""
ASKER = {"organization": "OPENAI_ORG_ID", "project": "OPENAI_PROJECT_ID"}
"""Options that say for whom a request is → the SDK's variables."""
OWNED = {
    "model": "the model's name after 'openai:'",
    "input": "the texts of the call",
    "dimensions": "dimensions=…",
    "encoding_format": "provider_options={'encoding_format': …}",
    "user": "provider_options={'user': …}",
}
"""Fields of a request that have an option of their own, and which."""


class OpenAIProvider(HostedProvider):
    """`openai:text-embedding-3-small`, or any model of the server at `base_url` or OPENAI_BASE_URL.

    The key is `api_key`, else OPENAI_API_KEY; without one, servers other than OpenAI's are sent a placeholder.
    """

    name = "openai"
    package = "openai"
    extra = "openai"
    key_variables = ("OPENAI_API_KEY",)
    options_type = OpenAIOptions
    official_url = "https://api.openai.com/v1"
    where_to_look = "check base_url (an OpenAI-compatible address usually ends in /v1) and model"
    batch_api: ClassVar[type[BatchApi] | None] = OpenAIBatches
    clients: ClassVar[tuple[str, str]] = ("OpenAI", "AsyncOpenAI")
    """Names of the SDK's blocking and async client."""
    own_query: ClassVar[Mapping[str, str]] = {}
    """Parameters of the address that the SDK itself adds → the option that sets them."""

    def __new__(cls, config: ProviderConfig) -> Self:
        """`openai:` with an azure_endpoint is `azure:`."""
        from .azure import AzureProvider

        azure = config.options.get("azure_endpoint") is not None
        return super().__new__(AzureProvider if azure else cls)  # type: ignore[return-value]

    def __init__(self, config: ProviderConfig) -> None:
        self._told = False
        """Whether it was said that the tokenizer is not on this machine."""
        check_ambient_headers()
        self._ambient = ambient_headers()  # once: the environment may be another when the client is made
        super().__init__(config)
        self.needs_loop = inspect.iscoroutinefunction(self.key_giver())
        self.host = find_host(self.url) if self.url else None
        """What is known of the server; None: nothing."""
        own: OpenAIOptions = self.options
        self._asker = {name: getattr(own, name) or os.environ.get(found) or None for name, found in ASKER.items()}
        self._dimensions_field = own.dimensions_field or (self.host and self.host.dimensions_field) or "dimensions"
        own.check(OWNED, self._dimensions_field, secret=self.secret(), query=self.own_query)
        fields = self.host.roles_of(self.model) if self.host and own.role_body is None else own.role_body
        self._role_body: RoleFields = fields or {}
        usual: dict[str, Any] = {
            "model": self.model,
            "input": "",
            "encoding_format": self._encoding(),
            self._dimensions_field: config.dimensions,
            "user": own.user,
        }
        self._fields = {name: value for name, value in usual.items() if value is not None} | own.body
        """Fields of every request, those of its own apart."""

    def find_url(self) -> str | None:
        """`base_url`, else what the SDK takes from the environment."""
        return self.config.base_url or os.environ.get("OPENAI_BASE_URL") or None

    def choose_key(self) -> SecretStr | None:
        """None for servers other than OpenAI's, and where a function gives keys."""
        if self.options.api_key_provider is not None:
            if self.config.api_key is not None or self._sends_user():
                other = "api_key" if self.config.api_key is not None else "the user and password in base_url"
                raise ConfigurationError(f"api_key_provider and {other} are two credentials; give one of them")
            return None
        try:
            return self.find_key()
        except ConfigurationError:
            if self.url is None or (urlsplit(self.url).hostname or "").endswith("api.openai.com"):
                raise
            return None

    def key_giver(self) -> KeyFunction | None:
        """The function that gives keys or tokens.

        Returns:
            None: a key is given, or there is none.
        """
        return cast("KeyFunction | None", self.options.api_key_provider)

    def headers(self) -> dict[str, str]:
        """Headers that the user adds, and those of the environment that the user does not give."""
        given = {name: value.get_secret_value() for name, value in self.options.default_headers.items()}
        names = {name.lower() for name in given}
        return {name: value for name, value in self._ambient.items() if name.lower() not in names} | given

    def owned_headers(self) -> Collection[str]:
        """Besides, what the SDK sets over all that it is given; a function's key is one."""
        function = {"authorization"} if self.options.api_key_provider else set()
        return SDK_HEADERS.union(super().owned_headers(), function)

    def details(self) -> dict[str, Any]:
        """Fields of the request besides model, texts and width, and the address's query."""
        own = self.options.details(encoding_format=self._encoding(), dimensions_field=self._other_field())
        return {**own, **super().details()}

    def asides(self) -> dict[str, Any]:
        """For whom a request is."""
        return {"user": self.options.user, **self._asker}

    def _other_field(self) -> str | None:
        """The field that asks for a width, where it is another than the API's."""
        return self._dimensions_field if self.config.dimensions and self._dimensions_field != "dimensions" else None

    def _encoding(self) -> str | None:
        """How vectors are asked for; None: not at all."""
        own, host = self.options, self.host
        usual = host.encoding_format if host and "encoding_format" not in own.model_fields_set else ""
        return usual or own.encoding_format

    @property
    def roles_from(self) -> str:
        """The option `role_body`, or what is known of the host."""
        return "" if not self._role_body else "option" if self.options.role_body else "host"

    def wire_type(self, input_type: InputType) -> str | None:
        """The fields of a role, as JSON."""
        fields = self._role_body.get(input_type)
        return canonical(fields) if fields else None

    def remarks(self) -> Iterator[str]:
        """What host was recognised, and what follows."""
        if self.host is not None:
            yield self.host.told(self.model)

    @property
    def limits(self) -> Limits:
        """The API's own limits for OpenAI's models, a known host's there, and smaller ones for other servers."""
        card, host, items = self.config.card, self.host, 1 if self.options.single else self.options.request_items
        text_tokens = self.options.text_tokens or (card.max_tokens if card else None)
        if self.url is None or (self._is_openai_model() and not (host and host.items)):
            guessed = self.url is not None and items is None  # a gateway, or another server, may take less
            return Limits(items=items or MOST_TEXTS, tokens=MOST_TOKENS, text_tokens=text_tokens, guessed=guessed)
        known = items or (host and host.items)
        items = known or SMALL_REQUEST
        tokens = (host and host.tokens) or items * USUAL_TEXT
        return Limits(items=items, tokens=tokens, text_tokens=text_tokens, guessed=known is None)

    def _is_openai_model(self) -> bool:
        return self.config.card is not None and self.config.card.provider == "openai"

    @classmethod
    def reduces(cls, model: str, card: ModelCard | None) -> bool:
        """True where its vendor says so; assumed for unknown models, whose first answer will show it."""
        return card is None or (card.provider in VENDORS and bool(card.reductions))

    @property
    def reduces_itself(self) -> bool:
        """Also where the user names the field for it."""
        return self.options.dimensions_field is not None or super().reduces_itself

    def full_width(self) -> tuple[Identity, int] | None:
        """Narrower vectors of OpenAI's models are their whole vectors, cut and renormalised, as OpenAI's guide says."""
        card = self.config.card
        if not (self.config.dimensions and card and card.dimensions and self._is_openai_model()):
            return None
        width = {f"dimensions={self.config.dimensions}", *told({"dimensions_field": self._other_field()})}
        return self.identity.without(width), card.dimensions

    def counter(self) -> Counter:
        """The tokenizer of OpenAI's models where this machine has it; else an estimate."""
        own = self._is_openai_model()
        exact = tiktoken_counter() if own or self.options.text_tokens else None
        if exact is not None:
            return exact
        if own and not self._told:
            self._told = True
            warn(NO_TOKENIZER, stacklevel=2)
        return rough_counter(self.config.too_long)

    def counter_name(self) -> str:
        """Known without loading OpenAI's tokenizer."""
        exact = (self._is_openai_model() or self.options.text_tokens) and vocabulary() is not None
        return TiktokenCounter.name if exact else super().counter_name()

    @property
    def server(self) -> CompatibleServer | None:
        """Of models that OpenAI does not have, at servers that may publish their limits and count tokens."""
        ours = self.url is not None and self.host is None and not self._is_openai_model()
        return CompatibleServer(self.url or "", self.model) if ours else None

    def send_inquiry(self, client: Any, inquiry: Inquiry) -> Any:
        """By the SDK, which takes a whole address too."""
        if inquiry.method == "GET":
            return client.get(inquiry.url, cast_to=object)
        return client.post(inquiry.url, cast_to=object, body=inquiry.body)

    @property
    def bound(self) -> Bound:
        """OpenAI's tokenizer works on bytes as they are, and nothing is added."""
        return Bound(added=0, normalises=False) if self._is_openai_model() else super().bound

    def billed_by(self) -> Counter | None:
        """OpenAI's tokenizer for OpenAI itself; other servers may count otherwise."""
        return tiktoken_counter() if self.url is None and self._is_openai_model() else None

    def connect(self, transport: Any, *, blocking: bool) -> Any:
        """The SDK's client."""
        import openai

        settings = {"http_client": self.http_client(transport, blocking=blocking), **self.settings()}
        if (give := self.options.api_key_provider) is not None:
            settings["api_key"] = key_function(give, SENDABLE.fullmatch, blocking=blocking)
        return settled(getattr(openai, self.clients[not blocking])(**settings))

    def settings(self) -> dict[str, Any]:
        """What both of the SDK's clients are made with, so that they take nothing from the environment of now.

        Returns:
            Keyword arguments.
        """
        missing = [f"OpenAI-{name.title()}" for name, value in self._asker.items() if value is None]
        headers = whatever_the_environment(self.headers(), self.credential(), missing)
        own = {"default_headers": headers, "default_query": self.options.query, "max_retries": 0}
        return self.place() | self._asker | own

    def credential(self) -> dict[str, str]:
        """The header that the SDK makes of the key, should the environment of now have another of that name.

        Returns:
            One header; none where a function gives keys.
        """
        if self.options.api_key_provider is not None:
            return {}
        return {"authorization": f"Bearer {self.secret() or NO_KEY}"}

    def place(self) -> dict[str, Any]:
        """The SDK's arguments for address and key.

        Returns:
            Keyword arguments.
        """
        return {"api_key": self.secret() or NO_KEY, "base_url": self.address()}

    def send(self, client: Any, batch: Batch) -> Any:
        """Send the texts as text, never as token ids, which are only right for OpenAI's own vocabulary.

        The SDK's `embeddings.create` would rewrite every text, which takes longer than the rest of a call.
        """
        return client.post("/embeddings", cast_to=object, body=self.body(batch))

    def body(self, batch: Batch) -> dict[str, Any]:
        """The JSON of a request."""
        texts = batch.texts[0] if self.options.single else [*batch.texts]
        return {**self._fields, "input": texts, **self._role_body.get(batch.route.input_type, {})}

    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """The vectors in any of the shapes that servers give them."""
        return listing(payload)
