"""Voyage's embeddings API over OpenAI's official SDK: the wire is the same, and Voyage's own SDK ignores half of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from embedbridge._core.types import Batch, InputType, Limits
from embedbridge.errors import ConfigurationError

from ._openai_batches import VoyageBatches
from ._openai_sdk import settled, whatever_the_environment
from ._openai_wire import OpenAIShaped
from ._request_options import RequestOptions
from .base import ProviderConfig

__all__ = ["VoyageProvider"]

ATLAS_URL = "https://ai.mongodb.com/v1"
"""For keys that MongoDB Atlas gave out."""
ATLAS_KEY = "al-"
MOST_TEXTS = 1000
LEAST_TOKENS = 120_000
"""Summed over one request, for the models with the smallest limit."""
HEADERS = {
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-stainless-raw-response",  # the SDK asks itself by it how to read the answer
}
"""All that is sent. The SDK takes others from OPENAI_… variables, and those are none of Voyage's business."""
ELSEWHERE = {
    "voyage-context": "embeds the chunks of one document together, by a call of its own; use voyage-4 or voyage-3.5",
    "voyage-multimodal": "takes images too, by a call of its own; for text use voyage-4 or voyage-3.5",
}
"""Models that are not for this API."""


class VoyageProvider(OpenAIShaped):
    """`voyage:voyage-4`. The server puts its own instruction before a text by its role."""

    name = "voyage"
    package = "openai"
    extra = "voyage"
    key_variables = ("VOYAGE_API_KEY",)
    options_type = RequestOptions
    official_url = "https://api.voyageai.com/v1"
    where_to_look = "check base_url (it ends in /v1) and model"
    sent_headers = HEADERS
    batch_api = VoyageBatches
    role_field = "input_type"
    dimensions_field = "output_dimension"
    owned: ClassVar[Mapping[str, str]] = {
        "model": "the model's name after 'voyage:'",
        "input": "the texts of the call",
        "encoding_format": "provider_options={'encoding_format': …}",
        "input_type": "input_type=… of a call, or role_body",
        "truncation": "too_long=…",
    }

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        for family, why in ELSEWHERE.items():
            if self.model.startswith(family):
                raise ConfigurationError(f"{self.model} {why}")

    @property
    def limits(self) -> Limits:
        """1000 texts; what they may sum to differs by model."""
        card = self.config.card
        tokens = (card.request_tokens if card else None) or LEAST_TOKENS
        items = 1 if self.options.single else self.options.request_items or MOST_TEXTS
        text_tokens = card.max_tokens if card else None
        return Limits(items=items, tokens=tokens, text_tokens=text_tokens, cuts_unseen=True)

    def role(self, input_type: InputType) -> str | None:
        """Queries and documents have one."""
        return input_type if input_type in {"query", "document"} else None

    def address(self) -> str:
        """The server that gave out the key, unless there is a `base_url`."""
        return self.url or (ATLAS_URL if self.secret().startswith(ATLAS_KEY) else self.official_url)

    def connect(self, transport: Any, *, blocking: bool) -> Any:
        """OpenAI's client at Voyage's address."""
        import openai

        client = (openai.OpenAI if blocking else openai.AsyncOpenAI)(
            http_client=self.http_client(transport, blocking=blocking),
            api_key=self.secret(),
            base_url=self.address(),
            default_headers=whatever_the_environment({}, {"authorization": f"Bearer {self.secret()}"}),
            default_query=self.options.query,
            max_retries=0,
        )
        return settled(client)

    def send(self, client: Any, batch: Batch) -> Any:
        """OpenAI's request with Voyage's fields."""
        return client.post("/embeddings", cast_to=object, body=self.body(batch))

    def body(self, batch: Batch) -> dict[str, Any]:
        """The JSON of a request."""
        own, role = self.options, batch.route.input_type
        fields = {
            "model": self.model,
            "input": batch.texts[0] if own.single else [*batch.texts],
            "encoding_format": own.encoding_format,
            "truncation": self.config.too_long == "truncate",
            self.asks_dimensions: self.config.dimensions,
        }
        told = (own.role_body or {}).get(role, {"input_type": batch.route.wire_type})
        return {**{name: value for name, value in fields.items() if value is not None}, **own.body, **told}
