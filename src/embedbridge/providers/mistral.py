"""Mistral's embeddings API over its documented wire: OpenAI's, with names of its own for a few fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from embedbridge._core.types import Batch, InputType, Limits

from ._mistral_batches import MistralBatches
from ._openai_wire import OpenAIShaped
from ._request_options import RequestOptions, canonical
from .hosted import NO_KEY

__all__ = ["MistralProvider"]

MOST_TEXTS = 256
MOST_TOKENS = 16_000
"""Summed over one request."""


class MistralOptions(RequestOptions):
    """What only Mistral's API knows."""

    output_dtype: Literal["float", "int8"] = "float"
    """What the vectors' numbers are: `int8` rounds them at the server, to whole numbers from -128 to 127. Its packed
    formats are not had here: `embedbridge.quantization` makes them of the vectors, which stay in the cache."""


class MistralProvider(OpenAIShaped):
    """`mistral:mistral-embed`; `base_url` is the host alone, as Mistral's SDK takes it, or an address ending in /v1.

    Its models have no roles.
    """

    name = "mistral"
    package = "httpx2"
    extra = "mistral"
    key_variables = ("MISTRAL_API_KEY",)
    options_type = MistralOptions
    official_url = "https://api.mistral.ai/v1"
    batch_api = MistralBatches
    dimensions_field = "output_dimension"
    owned: ClassVar[Mapping[str, str]] = {
        "model": "the model's name after 'mistral:'",
        "input": "the texts of the call",
        "encoding_format": "provider_options={'encoding_format': …}",
        "output_dtype": "provider_options={'output_dtype': …}",
    }

    def find_url(self) -> str | None:
        """`base_url`; /v1 is added where it is not there, as by Mistral's SDK."""
        given = (self.config.base_url or "").rstrip("/")
        whole = not given or given.endswith("/v1") or set("?#") & set(given)
        return (given if whole else f"{given}/v1") or None

    @property
    def limits(self) -> Limits:
        """256 texts, and what they may sum to."""
        card = self.config.card
        items = 1 if self.options.single else self.options.request_items or MOST_TEXTS
        return Limits(items=items, tokens=MOST_TOKENS, text_tokens=card.max_tokens if card else None)

    @property
    def unit_length(self) -> bool | None:
        """Whole numbers have none."""
        return super().unit_length if self.options.output_dtype == "float" else None

    def wire_type(self, input_type: InputType) -> str | None:
        """The fields of a role, where `role_body` names some for a server of another's."""
        fields = (self.options.role_body or {}).get(input_type)
        return canonical(fields) if fields else None

    def details(self) -> dict[str, Any]:
        """What the user changes of the request."""
        dtype = self.options.output_dtype
        return super().details() | ({} if dtype == "float" else {"output_dtype": dtype})

    def send(self, client: Any, batch: Batch) -> Any:
        """One `POST /embeddings`."""
        key = {} if self.secret() == NO_KEY else {"authorization": f"Bearer {self.secret()}"}
        query = self.options.query or None
        return client.post(f"{self.address()}/embeddings", json=self.body(batch), params=query, headers=key)

    def body(self, batch: Batch) -> dict[str, Any]:
        """The JSON of a request; only floats can be packed."""
        own: MistralOptions = self.options
        floats = own.output_dtype == "float"
        fields = {
            "model": self.model,
            "input": batch.texts[0] if own.single else [*batch.texts],
            "encoding_format": own.encoding_format if floats else None,
            "output_dtype": None if floats else own.output_dtype,
            self.asks_dimensions: self.config.dimensions,
        }
        body = {name: value for name, value in fields.items() if value is not None} | own.body
        return body | (own.role_body or {}).get(batch.route.input_type, {})
