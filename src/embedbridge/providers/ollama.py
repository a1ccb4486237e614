"""Ollama's `/api/embed` over its official SDK, without its silent truncation.

The server is asked to refuse a text that it would have to cut, and tells nothing of its length. What is too long is cut
or split here, as for every server, and long texts are sent by themselves: then the answer's tokens are theirs.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import Field, SecretStr

from embedbridge._core.kinds import Kind
from embedbridge._core.servers import Inquiry
from embedbridge._core.tokens import Counter
from embedbridge._core.types import Batch, Identity, Limits, Reply
from embedbridge.catalogue import ModelCard
from embedbridge.errors import RequestFailed

from ._headers import GatewayOptions
from ._listing import tokens_of
from ._request_options import Fields
from ._server_identity import told
from ._servers import OllamaServer
from ._transit import TO_PROXY
from ._urls import endpoint
from .base import ProviderConfig
from .hosted import HostedProvider, rough_counter

__all__ = ["OllamaOptions", "OllamaProvider"]

SDK_HEADERS = frozenset({"accept", "content-type", "user-agent"})
"""Headers that the SDK sets, whatever it is told."""
TRANSPORT_HEADERS = SDK_HEADERS | {"accept-encoding", "connection", "content-length", "host"}
FEWEST_BYTES_OF_PROSE = 3
"""Bytes of a token in most texts, at least."""
USUAL_CONTEXT = 2048
"""Tokens that a server is assumed to read of a text, of a model that is not in the catalogue."""


class OllamaOptions(GatewayOptions):
    """Options that only Ollama has."""

    aside = frozenset({"keep_alive"})

    keep_alive: int | Annotated[str, Field(pattern=r"^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$")] | None = None
    """How long the model stays loaded: seconds, or "5m"; -1: for ever."""
    num_ctx: int | None = Field(default=None, ge=1)
    """Tokens to read of a text. Long contexts cost memory: models that could read more than 2048 read 2048 unless this
    says otherwise."""
    num_batch: int | None = Field(default=None, ge=1)
    """Tokens computed at once. A text has to fit in, so it follows `num_ctx`."""
    options: Fields = Field(default_factory=dict)
    """Other parameters of a Modelfile: `num_gpu`, `num_thread` …"""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Sent with every request, for a gateway in front."""


class OllamaProvider(HostedProvider):
    """`ollama:nomic-embed-text`, at `base_url`, else OLLAMA_HOST, else on this machine."""

    name = "ollama"
    package = "ollama"
    extra = "ollama"
    where_to_look = "check base_url (the address of Ollama itself, without /api or /v1)"
    options_type = OllamaOptions
    official_url = "http://127.0.0.1:11434"
    library = "httpx"
    headers_option = "headers"

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self._parameters = self._choose_parameters()
        if self.key is None and urlsplit(self.address()).username is None:
            # The SDK would take a key from the environment of the moment at which its client is made.
            self.sent_headers = {*TRANSPORT_HEADERS, *map(str.lower, self.headers())}

    def find_url(self) -> str | None:
        """`base_url`, else OLLAMA_HOST; either may be a bare name."""
        host = self.config.base_url or os.environ.get("OLLAMA_HOST")
        return address(host) if host else None

    def choose_key(self) -> SecretStr | None:
        """Only a gateway or ollama.com asks for one. A header that is given stands before the environment's."""
        given = "authorization" in map(str.lower, self.options.headers)
        variable = None if given else os.environ.get("OLLAMA_API_KEY")
        return self.config.api_key or (SecretStr(variable) if variable else None)

    def headers(self) -> dict[str, str]:
        """Headers that the user adds to every request."""
        return {name: value.get_secret_value() for name, value in self.options.headers.items()}

    def owned_headers(self) -> Collection[str]:
        """Besides, what the SDK sets over all that it is given, and the key's."""
        return {*SDK_HEADERS, *({"authorization"} if self.key else ()), *super().owned_headers()}

    def _choose_parameters(self) -> dict[str, Any]:
        card, own = self.config.card, self.options
        parameters: dict[str, Any] = dict(own.options)
        parameters |= own.model_dump(include={"num_ctx", "num_batch"}, exclude_none=True)
        if card is not None and card.served_tokens is not None:
            # What is read by default differs between releases and machines; Ollama 0.30 crashes beyond 2048.
            parameters.setdefault("num_ctx", card.served_tokens)
        if "num_ctx" in parameters:
            parameters.setdefault("num_batch", parameters["num_ctx"])
        return parameters

    def details(self) -> dict[str, Any]:
        """The parameters: some of them change the numbers."""
        long = self._long()
        others = {name: self._parameters[name] for name in sorted(self._parameters) if name not in long}
        return others | super().details()

    def asides(self) -> dict[str, Any]:
        """How long a model stays loaded."""
        return {"keep_alive": self.options.keep_alive}

    def _long(self) -> dict[str, Any]:
        """Parameters that decide the vectors of long texts alone."""
        found = {name: self._parameters.get(name) for name in ("num_ctx", "num_batch")}
        return {name: value for name, value in found.items() if isinstance(value, int)}

    @property
    def identity(self) -> Identity:
        """As of every API; and how much of a text the server is asked to read."""
        return replace(super().identity, long_details=tuple(told(self._long())))

    def length_asked(self) -> tuple[str, ...]:
        """The parameters that the user sets."""
        own = {**self.options.options, "num_ctx": self.options.num_ctx, "num_batch": self.options.num_batch}
        return tuple(told({name: value for name, value in self._long().items() if own.get(name) == value}))

    def former_details(self, identity: Identity) -> tuple[tuple[str, ...], bool]:
        """Releases before named all parameters, whatever the text's length."""
        kept, _ = super().former_details(identity)
        named = (f"{name}={self._parameters[name]}" for name in sorted(self._parameters))
        return (*kept, *named), not super().details()

    @property
    def limits(self) -> Limits:
        """Small requests, so that a slow machine answers in time; two at once, as a server computes one by default."""
        most = self.config.card.max_tokens if self.config.card else None
        known = [bound for bound in (most, self._parameters.get("num_ctx")) if isinstance(bound, int)]
        limit = min(known, default=None)
        # A text that is refused takes its whole request with it, so what may be too long goes by itself.
        alone_from = FEWEST_BYTES_OF_PROSE * (limit or USUAL_CONTEXT)
        return Limits(items=64, tokens=16_384, text_tokens=limit, concurrency=2, alone_from=alone_from)

    @classmethod
    def reduces(cls, model: str, card: ModelCard | None) -> bool:
        """True for models not in the catalogue only: the server cuts any vector, trained for it or not."""
        return card is None

    def counter(self) -> Counter:
        """There is no tokenizer offline; the server refuses exactly what is too long."""
        return rough_counter(self.config.too_long)

    def connect(self, transport: Any, *, blocking: bool) -> Any:
        """The SDK's client, which hands what it does not know to its HTTP library."""
        import ollama

        headers = self.headers()
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.secret()}"
        place = urlsplit(self.address())
        user = (unquote(place.username), unquote(place.password or "")) if place.username else None
        kind: Any = ollama.Client if blocking else ollama.AsyncClient
        return kind(self.address(), headers=headers, auth=user, transport=transport, trust_env=False)

    @property
    def server(self) -> OllamaServer:
        """How it is asked for what the model reads."""
        return OllamaServer(endpoint(self.address()), self.model, self._long().get("num_ctx"))

    def send_inquiry(self, client: Any, inquiry: Inquiry) -> Any:
        """Ask the server for what it knows of the model."""
        return client.show(self.model)

    def explained(self, failure: RequestFailed) -> RequestFailed:
        """A model that is not there, an address that is another server's, and a server that does not run."""
        status = failure.status
        if status == 404 and failure.kind is Kind.MISSING_MODEL:
            pull = f"{self.model!r} is not on this server; run: ollama pull {self.model}"
            return RequestFailed(pull, status=status, kind=Kind.MISSING_MODEL)
        if status == 404:
            told = "no /api/embed at this address; check base_url"
            return RequestFailed(told, status=status, kind=Kind.CONFIGURATION)
        if failure.kind is Kind.CONNECTION and not failure.billed and failure.doing != TO_PROXY:
            told = f"nothing answers at {endpoint(self.address())}; start Ollama, or set base_url"
            return RequestFailed(told, kind=Kind.CONNECTION)
        return failure

    def send(self, client: Any, batch: Batch) -> Any:
        """Call the SDK's `embed`."""
        return client.embed(
            model=self.model,
            input=list(batch.texts),
            truncate=False,
            options=self._parameters or None,
            keep_alive=self.options.keep_alive,
            dimensions=self.config.dimensions,
        )

    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """Vectors come in the order of the texts, unnumbered."""
        tokens = tokens_of(payload, "prompt_eval_count")
        return Reply(payload["embeddings"], tokens=tokens, model=payload.get("model"))


def address(host: str) -> str:
    """A URL for whatever OLLAMA_HOST may hold; a bare name is http, at Ollama's own port."""
    if "://" in host:
        return host
    parts = urlsplit(f"http://{host}")
    return urlunsplit(parts if parts.port else parts._replace(netloc=f"{parts.netloc}:11434"))
