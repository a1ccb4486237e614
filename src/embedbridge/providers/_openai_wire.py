"""APIs of other vendors on OpenAI's wire: what their requests and answers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from embedbridge._core.tokens import Counter
from embedbridge._core.types import Batch, InputType, Reply
from embedbridge.catalogue import ModelCard

from ._json_api import JsonApiOptions, JsonApiProvider
from ._listing import cut_by_usage, listing
from ._request_options import RequestOptions, canonical
from .base import ProviderConfig
from .hosted import HostedProvider, rough_counter


class OpenAIShaped(HostedProvider):
    """What vendors on OpenAI's wire share. Subclasses name the fields, and each role as the API calls it."""

    options: Any
    role_field: ClassVar[str] = ""
    """The field that tells the role, where there is one."""
    dimensions_field: ClassVar[str] = "dimensions"
    """The field that asks for narrower vectors, unless the user names another."""
    owned: ClassVar[Mapping[str, str]]
    """Fields that have an option of their own, or cannot be had → what to use in their place."""

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        own: RequestOptions = self.options
        self.asks_dimensions = own.dimensions_field or self.dimensions_field
        own.check(self.owned, self.asks_dimensions, secret=self.secret(), roles={self.role_field})

    def role(self, input_type: InputType) -> str | None:
        """The API's own name for a role; None where it has none."""
        raise NotImplementedError

    @classmethod
    def reduces(cls, model: str, card: ModelCard | None) -> bool:
        """To the widths that a model was made for; a model that nobody has described may."""
        return card is None or bool(card.reductions)

    def counter(self) -> Counter:
        """The tokenizer is not to be had offline, and the server cuts or refuses exactly."""
        return rough_counter(self.config.too_long)

    def wire_type(self, input_type: InputType) -> str | None:
        """As `role`; a role that `role_body` names has its fields in place of it."""
        fields = (self.options.role_body or {}).get(input_type)
        return self.role(input_type) if fields is None else canonical(fields)

    def details(self) -> dict[str, Any]:
        """What the user changes of the request."""
        own: RequestOptions = self.options
        field = own.dimensions_field if self.config.dimensions else None
        return {**own.details(encoding_format=own.encoding_format, dimensions_field=field), **super().details()}

    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """The vectors, in any of the shapes that servers of OpenAI's API give them."""
        return listing(payload)


class WireOptions(JsonApiOptions, RequestOptions):
    """What a user may change of such a request."""


class WireProvider(OpenAIShaped, JsonApiProvider):
    """Those that take a role and a truncation besides. Subclasses name the fields and the limits."""

    options_type = WireOptions
    where_to_look = "check base_url (it ends in /v1) and model"
    encoding_field: ClassVar[str] = "encoding_format"
    """The field that asks for a number format."""

    def truncation(self) -> Any:
        """The value of the field `truncate`."""
        raise NotImplementedError

    def send(self, client: Any, batch: Batch) -> Any:
        """OpenAI's request with the fields of this API."""
        own, role = self.options, batch.route.input_type
        said = (own.role_body or {}).get(role)
        fields = {
            "model": self.model,
            "input": batch.texts[0] if own.single else [*batch.texts],
            self.encoding_field: own.encoding_format,
            self.role_field: self.role(role) if said is None else None,
            "truncate": self.truncation(),
            self.asks_dimensions: self.config.dimensions,
        }
        return self.post(client, "embeddings", fields, own.body, said or {}, query=own.query)

    def read(self, batch: Batch, payload: dict[str, Any]) -> Reply:
        """As OpenAI's; and what the server has cut."""
        reply, card = super().read(batch, payload), self.config.card
        limit = card.max_tokens if card and self.config.too_long == "truncate" else None
        return replace(reply, cut=cut_by_usage(batch, reply.tokens, limit))
