"""What one endpoint of a pool has of its own: address, key, limits. What decides vectors is the whole pool's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ._meanings import explain_schema, meanings
from ._option_checks import check_number
from ._value_faults import faults_of, kind_of, told_fault
from .errors import EMPTY, ConfigurationError

MASK = "**********"
"""What stands in a dump in JSON in place of a secret."""
_WORD = r"[A-Z]{1,16}[0-9]{0,3}"
_NAME = re.compile(rf"(?=.{{1,64}}$){_WORD}(_({_WORD}|[0-9]{{1,3}}))+")
"""How names of variables are written. Any other name that is not set may be a key that stands in the wrong place."""
_FIELD = re.compile(r"[a-z]{1,12}(_[a-z]{1,12}){0,3}")
"""Words that may be shown where the name of a field is expected."""
LEAST_WEIGHT, MOST_WEIGHT = 1e-6, 1e6
PerMinute = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class EndpointOptions(BaseModel):
    """One endpoint of a pool. What is left out is as the embedder's options and the environment say.

    What each field means stands in `embedbridge.keywords.EndpointDict`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, hide_input_in_errors=True)

    base_url: str | None = None
    api_key: SecretStr | None = Field(default=None, repr=False)
    key_env: str | None = None
    weight: Annotated[float, Field(ge=LEAST_WEIGHT, le=MOST_WEIGHT)] = 1.0
    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None
    max_concurrency: Annotated[int, Field(ge=1)] | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict, repr=False)
    api_version: str | None = None
    deployment: str | None = None
    region: str | None = None

    @field_validator("base_url", "key_env", "api_version", "deployment", "region")
    @classmethod
    def _words_are_not_empty(cls, words: str | None) -> str | None:
        if words is not None and not words.strip():
            raise ValueError(EMPTY.format("a value"))
        return words

    @field_validator("key_env")
    @classmethod
    def _variable_is_not_a_key(cls, name: str | None) -> str | None:
        if name is not None and not (name.isascii() and name.isidentifier()):
            raise ValueError("it is the name of an environment variable, as OPENAI_API_KEY is; a key itself is api_key")
        return name

    @field_validator("base_url")
    @classmethod
    def _address_has_no_password(cls, address: str | None) -> str | None:
        try:
            hidden = address is not None and urlsplit(address).username is not None
        except ValueError:
            raise ValueError("it is not an address that can be read; look at its port and brackets") from None
        if hidden:
            raise ValueError("it holds a user and a password, which would be shown; give the key as api_key or key_env")
        return address

    @field_validator("weight", mode="before")
    @classmethod
    def _weight_is_a_share(cls, weight: Any) -> Any:
        number = isinstance(weight, Real) and not isinstance(weight, bool)
        if not (number and LEAST_WEIGHT <= weight <= MOST_WEIGHT):
            given = repr(weight) if number else kind_of(weight)
            raise ValueError(f"write a number from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}, not {given}")
        return weight

    _numbers = field_validator("requests_per_minute", "tokens_per_minute", "max_concurrency", mode="before")(
        check_number
    )

    @model_validator(mode="after")
    def _key_is_one(self) -> EndpointOptions:
        if self.api_key is not None and self.key_env is not None:
            raise ValueError("api_key and key_env both say which key it has; leave one of them out")
        secrets = [self.api_key, *self.headers.values()]
        if any(secret is not None and secret.get_secret_value() == MASK for secret in secrets):
            raise ValueError("its secrets come from a dump that masks them; give endpoints anew")
        if self.api_key is not None and not self.api_key.get_secret_value().strip():
            raise ValueError(f"api_key: {EMPTY.format('the key')}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        explain_schema(handler.resolve_ref_schema(schema), meanings("EndpointDict"))
        return schema

    def key(self) -> SecretStr | None:
        """The key that this endpoint has of its own.

        Returns:
            None: it has that of the embedder.

        Raises:
            ConfigurationError: the variable of `key_env` is not set.
        """
        if self.key_env is None:
            return self.api_key
        found = os.environ.get(self.key_env, "")
        if not found.strip():
            if (name := _shown(self.key_env)) != MASK:
                raise ConfigurationError(f"key_env: the variable {name} is not set")
            raise ConfigurationError(
                "key_env: the variable is not set; its name is not shown, for it may be a key; a key itself is api_key"
            )
        return SecretStr(found)

    def plain(self, *, masked: bool) -> dict[str, Any]:
        """The fields that are set, fit for a dump.

        Args:
            masked: secrets are words that nobody takes for a value, and else objects that do not show themselves.

        Returns:
            Values by field, in the order of the fields.
        """
        given = [name for name in type(self).model_fields if name in self.model_fields_set]  # a set has no order
        found = {name: value for name in given if (value := getattr(self, name)) is not None}
        if self.key_env is not None:
            found["key_env"] = _shown(self.key_env)
        if masked and self.api_key is not None:
            found["api_key"] = MASK
        if masked and self.headers:
            found["headers"] = dict.fromkeys(self.headers, MASK)
        return found

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return iter(self.plain(masked=False).items())

    @field_serializer("key_env")
    def _key_env_is_shown(self, name: str | None) -> str | None:
        return name and _shown(name)


def with_placeholder_keys(endpoints: Any) -> list[EndpointOptions]:
    """Endpoints for an embedder that sends nothing: a key that `key_env` names and that is not set is made up.

    A name that may be a key in the wrong place stays, and is refused as everywhere. Raises as `read_endpoints` does.
    """
    return [
        entry.model_copy(update={"key_env": None, "api_key": SecretStr(name)})
        if (name := entry.key_env) and _NAME.fullmatch(name) and not os.environ.get(name, "").strip()
        else entry
        for entry in read_endpoints(endpoints) or ()
    ]


def _shown(variable: str) -> str:
    """The name of a variable as it may be seen; a mask in place of what may be a key."""
    return variable if _NAME.fullmatch(variable) or os.environ.get(variable) else MASK


def read_endpoints(given: Any) -> tuple[EndpointOptions, ...] | None:
    """The endpoints of a pool. Raises ValueError that says which entry is wrong and why, without its values."""
    if given is None:
        return None
    if not isinstance(given, list | tuple) or not given:
        raise ValueError("it is a list with one entry for each endpoint, as in [{'base_url': …, 'api_key': …}, …]")
    entries = tuple(_read(entry, place) for place, entry in enumerate(given))
    bare = [entry.model_copy(update={"base_url": entry.base_url and entry.base_url.rstrip("/")}) for entry in entries]
    for place, entry in enumerate(bare):
        if (first := bare.index(entry)) < place:
            raise ValueError(f"entry {place} is the same as entry {first}; leave one of them out")
    return entries


def _read(entry: Any, place: int) -> EndpointOptions:
    if isinstance(entry, EndpointOptions):
        return entry
    if not isinstance(entry, Mapping):
        raise ValueError(f"entry {place} is a {type(entry).__name__}, and must be as {{'base_url': …}}")  # noqa: TRY004
    try:
        return EndpointOptions(**{str(name): value for name, value in entry.items()})
    except ValidationError as error:
        told = "; ".join(f"entry {place}: {_told(name, faults)}" for name, faults in faults_of(error))
        raise ValueError(told) from None


def _told(name: str, faults: list[Any]) -> str:
    if faults[0]["type"] == "extra_forbidden":
        known = ", ".join(EndpointOptions.model_fields)
        field = repr(name) if _FIELD.fullmatch(name) else "a name that is not shown, for it may be a key,"
        return f"{field} is no field of an endpoint: what decides vectors is the embedder's; known are {known}"
    return f"{name}: {told_fault(faults)}".removeprefix(": ")


def share(endpoints: Any, parts: int) -> list[dict[str, Any]]:
    """Endpoints with one of so many equal parts of their limits, for embedders that share them."""
    rates = ("requests_per_minute", "tokens_per_minute")
    divided = []
    for entry in read_endpoints(endpoints) or ():
        own = entry.plain(masked=False) | ({"key_env": entry.key_env} if entry.key_env else {})
        divided.append(own | {name: own[name] / parts for name in rates if own.get(name) is not None})
    return divided
