"""Text Embeddings Inference by its own API, which says what OpenAI's path of it leaves out: who cuts, and which prompt.

A text that is too long is refused by the server, cut here by the server's own tokenizer, and told of; on OpenAI's path
a server with `--auto-truncate` cuts without a word. The server is asked once what model it has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field, SecretStr

from embedbridge._core.servers import Facts, Inquiry
from embedbridge._core.tokens import Counter
from embedbridge._core.types import Batch, Identity, InputType, Limits, Reply
from embedbridge.catalogue import ModelCard
from embedbridge.errors import ConfigurationError

from ._json_api import JsonApiOptions, JsonApiProvider
from ._listing import cut_by_usage
from ._request_options import canonical
from ._server_identity import told
from ._servers import CompatibleServer
from ._wire import Exchange
from .base import ProviderConfig
from .hosted import rough_counter

__all__ = ["TeiOptions", "TeiProvider", "TeiServer"]

SMALL_REQUEST = 32
"""Texts in a request, as a server takes by default: its `--max-client-batch-size`."""
USUAL_TEXT = 2048
"""Tokens in a request, for each text that it may hold."""
INFO_TIMEOUT = 5.0
"""Seconds to wait for what a server says of itself."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
"""What a server's name of its model is where it is no path."""


class TeiOptions(JsonApiOptions):
    """What only such a server knows."""

    aside = frozenset({"request_items"})

    normalize: bool = True
    """False: vectors arrive as the model gives them."""
    prompt_name: dict[InputType, str] | None = None
    """Names of prompts that the model has saved, by role: `{"query": "query", "document": "passage"}`. They tell the
    role in place of any prefix; a role that is not named has neither. None: by prefixes."""
    truncation_direction: Literal["Left", "Right"] | None = None
    """Have the server cut a text that is too long, without saying so, and at which end. None: it is cut here."""
    request_items: int | None = Field(default=None, ge=1)
    """Texts in one request, for a server with another `--max-client-batch-size` than 32."""


@dataclass(frozen=True, slots=True)
class TeiServer(CompatibleServer):
    """How it is asked for its limits."""

    def fact_inquiries(self) -> Sequence[Inquiry]:
        """One question."""
        return [Inquiry("GET", f"{self.url}/info")]

    def read_facts(self, answers: Sequence[Any]) -> Facts:
        """Its limits, and that it counts tokens."""
        return CompatibleServer.read_facts(self, [*answers, None, None])


class TeiProvider(JsonApiProvider):
    """`tei:BAAI/bge-small-en-v1.5`, at `base_url`, else on this machine. The model's name is that of its weights."""

    name = "tei"
    extra = "tei"
    options_type = TeiOptions
    official_url = "http://127.0.0.1:8080"
    where_to_look = "check base_url (the server's own address, without /v1 or /embed)"
    usage_header = "x-compute-tokens"

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        for path in ("/v1", "/embed", "/embeddings"):
            if (self.url or "").rstrip("/").endswith(path):
                raise ConfigurationError(f"base_url: 'tei' takes the server's own address; leave out {path!r}")
        if self.options.truncation_direction and config.too_long != "truncate":
            told = f"truncation_direction has no effect with too_long={config.too_long!r}"
            raise ConfigurationError(f"provider_options: {told}")
        self._served: str | None = None
        """The model that the server says it has; "": it does not say; None: it was not asked yet."""

    def choose_key(self) -> SecretStr | None:
        """A server asks for one only where it was started with it."""
        return self.config.api_key

    @property
    def limits(self) -> Limits:
        """Small requests. What the server is to drop at a text's beginning is not dropped here at its end."""
        card, items = self.config.card, self.options.request_items
        left = self.options.truncation_direction == "Left"
        text_tokens = card.max_tokens if card and not left else None
        most = items or SMALL_REQUEST
        tokens = max(most * USUAL_TEXT, text_tokens or 0)
        unseen = self.options.truncation_direction is not None
        return Limits(items=most, tokens=tokens, text_tokens=text_tokens, cuts_unseen=unseen, guessed=items is None)

    @classmethod
    def reduces(cls, model: str, card: ModelCard | None) -> bool:
        """True for models not in the catalogue only: the server cuts any vector, trained for it or not."""
        return card is None

    def counter(self) -> Counter:
        """The server has the tokenizer, and refuses exactly what is too long."""
        return rough_counter(self.config.too_long)

    @property
    def roles_from(self) -> str:
        """The option `prompt_name`, or as usual."""
        return "option" if self.options.prompt_name else ""

    def wire_type(self, input_type: InputType) -> str | None:
        """The prompt's name, as the request's field."""
        name = (self.options.prompt_name or {}).get(input_type)
        return canonical({"prompt_name": name}) if name else None

    def details(self) -> dict[str, Any]:
        """That vectors are not brought to unit length."""
        return ({} if self.options.normalize else {"normalize": False}) | super().details()

    @property
    def identity(self) -> Identity:
        """As of every API; and which end of a text the server reads."""
        return replace(super().identity, long_details=self.length_asked())

    def length_asked(self) -> tuple[str, ...]:
        """Which end, where it is the last one."""
        own: TeiOptions = self.options
        return tuple(told({"truncation_direction": "Left"})) if own.truncation_direction == "Left" else ()

    @property
    def unit_length(self) -> bool | None:
        """The server sees to it, unless it is told not to."""
        return True if self.options.normalize else super().unit_length

    @property
    def server(self) -> TeiServer:
        """How it is asked for limits and tokens, once it has refused something."""
        return TeiServer(self.address().rstrip("/"), self.model)

    def get_ready(self, seconds: float | None) -> None:
        """Ask once what model the server has."""
        super().get_ready(seconds)
        if self._served is None:
            self._learn_model(self.inquire(self.server.fact_inquiries(), timeout=_least(seconds), at_once=1))

    async def aget_ready(self, seconds: float | None) -> None:
        """The same, without blocking the event loop."""
        await super().aget_ready(seconds)
        if self._served is None:
            self._learn_model(await self.ainquire(self.server.fact_inquiries(), timeout=_least(seconds), at_once=1))

    def _learn_model(self, answers: Sequence[Any]) -> None:
        info = answers[0] if isinstance(answers[0], dict) else {}
        name = info.get("model_id")
        self._served = name if isinstance(name, str) and HUB_ID.fullmatch(name) else ""

    def send(self, client: Any, batch: Batch) -> Any:
        """One `/embed`."""
        own: TeiOptions = self.options
        direction = own.truncation_direction
        fields = {
            "inputs": list(batch.texts),
            "truncate": direction is not None,
            "truncation_direction": direction if direction == "Left" else None,
            "normalize": None if own.normalize else False,
            "prompt_name": (own.prompt_name or {}).get(batch.route.input_type),
            "dimensions": self.config.dimensions,
        }
        return self.post(client, "embed", fields)

    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """Vectors come in the order of the texts, unnumbered."""
        return Reply(payload["data"], model=self._served)

    def _read(self, batch: Batch, held: Exchange) -> Reply:
        reply, card = super()._read(batch, held), self.config.card
        limit = card.max_tokens if card and self.options.truncation_direction else None
        return replace(reply, cut=cut_by_usage(batch, reply.tokens, limit))


def _least(seconds: float | None) -> float:
    return INFO_TIMEOUT if seconds is None else min(seconds, INFO_TIMEOUT)
