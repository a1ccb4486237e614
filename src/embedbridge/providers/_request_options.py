"""What a user may change of a request to OpenAI's API and its copies: fields, roles by fields, the address's query."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from embedbridge._core.fields import TEXT_FIELDS
from embedbridge._core.prepare import is_utf8
from embedbridge._core.types import InputType
from embedbridge.errors import ConfigurationError

from ._credentials import everything_in
from ._transport import TransportOptions

UNSENDABLE = {
    **dict.fromkeys(TEXT_FIELDS, "the texts of the call are what is embedded"),
    "stream": "an answer is read as a whole",
}
"""Fields that would replace what a request is about, and why they are refused."""
MOST_DEPTH = 32
"""Of nested lists and objects in a field."""


def _json_object(value: Any) -> Any:
    """A copy of a JSON object. Raises ValueError that says where something else stands."""
    if not isinstance(value, Mapping):
        raise ValueError("it is a dict of fields: {'name': value}")  # noqa: TRY004 - pydantic wants this one
    return _copy(value, "")


def _copy(value: Any, where: str) -> Any:
    if where.count(".") + where.count("[") > MOST_DEPTH:
        raise ValueError(f"{where} is nested too deeply")
    match value:
        case None | bool() | int():
            return value
        case str() if is_utf8(value):
            return value
        case float() if value - value == 0:  # neither infinite nor NaN
            return value
        case list() | tuple():
            return [_copy(part, f"{where}[{at}]") for at, part in enumerate(value)]
        case Mapping() if all(isinstance(name, str) and is_utf8(name) for name in value):
            # In one order, whatever it is given in: to a server it means the same, and so it is the same request.
            return {name: _copy(part, f"{where}.{name}".removeprefix(".")) for name, part in sorted(value.items())}
    raise ValueError(f"{where or 'it'} is a {type(value).__name__} that JSON cannot carry")


def _query(value: Any) -> Any:
    """A copy of a query with its values as text, as addresses have them."""
    copied: dict[str, Any] = _json_object(value)
    for name, part in copied.items():
        if not isinstance(part, str | int | float):
            raise ValueError(f"{name} is text or a number, and a {type(part).__name__} is neither")  # noqa: TRY004
    return {name: part if isinstance(part, str) else json.dumps(part) for name, part in copied.items()}


Fields: TypeAlias = Annotated[dict[str, Any], BeforeValidator(_json_object)]
"""Fields of a request's JSON."""


class RequestOptions(TransportOptions):
    """For APIs whose servers want more, less or other fields than OpenAI's."""

    aside = frozenset({"request_items"})

    body: Fields = Field(default_factory=dict)
    """Fields that every request has besides its own: `{"truncate": "END"}`."""
    role_body: dict[InputType, Fields] | None = None
    """Fields that tell the server the role, in place of any prefix: `{"query": {"input_type": "query"}, "document":
    {"input_type": "passage"}}`. A role that is not named has neither fields nor a prefix, unless you set one. None: as
    a known host wants it, else by prefixes; {}: by prefixes."""
    dimensions_field: str | None = Field(default=None, min_length=1)
    """The field that asks for narrower vectors. None: as a known host calls it, else as the API does."""
    encoding_format: Literal["base64", "float"] | None = "base64"
    """How vectors travel; None leaves the field out. base64 is a quarter of the bytes; a server that ignores it may
    answer floats."""
    query: Annotated[dict[str, str], BeforeValidator(_query)] = Field(default_factory=dict)
    """Parameters that every request's address has: `{"version": "2"}`."""
    single: bool = False
    """Send one text per request, as a string: for servers that take no list."""
    request_items: int | None = Field(default=None, ge=1)
    """Texts in one request. None: as the API or a known host allows, else 32."""

    @model_validator(mode="after")
    def _one_text_is_one(self) -> Self:
        if self.single and (self.request_items or 1) > 1:
            raise ValueError("single sends one text per request, and request_items says more; leave one of them out")
        return self

    def details(self, *, encoding_format: str | None, dimensions_field: str | None) -> dict[str, Any]:
        """What of these options may decide a vector, roles apart, by name.

        Args:
            encoding_format: as it is asked for.
            dimensions_field: the field that asks for a width, where it is not the API's.
        """
        fields = {"body": self.body, "query": self.query}
        found: dict[str, Any] = {
            name: sha256(canonical(value).encode()).hexdigest()[:16] for name, value in fields.items() if value
        }
        if dimensions_field is not None:
            found["dimensions_field"] = dimensions_field
        if encoding_format != "base64":
            found["encoding_format"] = encoding_format
        return found | ({"single": True} if self.single else {})

    def check(
        self,
        owned: Mapping[str, str],
        dimensions_field: str,
        *,
        secret: str,
        roles: Collection[str] = (),
        query: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Refuse fields that other options own, and secrets.

        Args:
            owned: a field's name → what to use in its place.
            dimensions_field: the field that asks for narrower vectors.
            secret: the API key; "" for none.
            roles: the owned fields that `role_body` may have all the same.
            query: parameters of the address that are not the user's → what to use in their place.

        Raises:
            ConfigurationError: for any of these.
        """
        if owned.get(dimensions_field, "dimensions=…") != "dimensions=…":
            raise ConfigurationError(
                f"provider_options: dimensions_field: {dimensions_field!r} is another field already"
            )
        owned = {**owned, dimensions_field: "dimensions=…"}
        roles_named = {f"role_body.{role}": fields for role, fields in (self.role_body or {}).items()}
        for group, fields in ({"body": self.body} | roles_named).items():
            for name in fields:
                if name.lower() in UNSENDABLE and name not in owned:
                    told = f"provider_options: {group}: {name!r} is not set here, as {UNSENDABLE[name.lower()]}"
                    raise ConfigurationError(told)
                if name in owned and (group == "body" or name not in roles):
                    raise ConfigurationError(f"provider_options: {group}: {name!r} is not set here; use {owned[name]}")
        for name in self.query:
            if (instead := query.get(name.lower())) is not None:
                raise ConfigurationError(f"provider_options: query: {name!r} has an option of its own; use {instead}")
        for group, fields in ({"body": self.body, "query": self.query} | roles_named).items():
            where = place_of(secret, fields) if secret else None
            if where is not None:
                raise ConfigurationError(
                    f"provider_options: {group}: {where!r} holds the api key, and what stands there is stored and "
                    "shown; a server that wants the key elsewhere than in 'Authorization' takes it in a header"
                )


def canonical(value: Any) -> str:
    """JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def place_of(secret: str, fields: Mapping[str, Any]) -> str | None:
    """Where fields hold the secret."""
    texts = ((where, text) for where, _, text in everything_in(fields) if isinstance(text, str))
    return next((where for where, text in texts if text == secret or (secret in text and len(secret) > 3)), None)
