"""Every option of an embedder: its default and its check, once for all faces. Its meaning stands in keywords.py."""

from __future__ import annotations

import inspect
import sys
import tomllib  # noqa: F401 - the catalogue's, here because a fork may come while a thread makes an embedder
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, Unpack, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FieldSerializationInfo,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError

from . import _option_checks as checks
from ._core.words import full_name
from ._endpoint_options import EndpointOptions, read_endpoints
from ._meanings import explain_keywords, explain_schema, meanings_of_options
from ._option_faults import check_travels, explain, own_error
from ._secrets import changed, plain, portable, shown
from ._threads.imports import importing
from ._value_faults import kind_of
from .catalogue import look_up
from .catalogue.known import KnownModel
from .catalogue.rows import COMPATIBLE, DEFAULT_MODEL, PROVIDERS
from .errors import THE_END, ConfigurationError, EmbeddingError
from .keywords import Observer, Options

__all__ = ["DEFAULT_MODEL", "EmbedderOptions", "EndpointOptions", "Observer", "explain_options"]

T = TypeVar("T", bound=type)

NUMBERS = (
    *("dimensions", "cache_ttl", "cache_size_limit", "batch_size", "concurrency", "requests_per_minute"),
    *("tokens_per_minute", "max_retries", "timeout", "deadline", "max_cost"),
)
"""Options whose value is a number."""

LONGEST = 2_000_000
"""Seconds, or 23 days: sockets take no longer timeout."""
Seconds = Annotated[float, Field(gt=0, le=LONGEST)]
Finite = Field(allow_inf_nan=False)


class EmbedderOptions(BaseModel):
    """The options that `Embedder`, `BridgeEmbeddings` and `BridgeEmbedding` share: their checks and defaults.

    What each means stands in `embedbridge.keywords`, and `help()` shows it.

    Raises:
        ConfigurationError: for an unknown option, a provider that is not known, and a value that cannot be.
    """

    model_config = ConfigDict(
        extra="forbid",
        defer_build=True,  # not at import, but with the first embedder
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        protected_namespaces=(),
    )

    fixed: ClassVar[frozenset[str]] = frozenset()
    """Fields besides our own that cannot be set later."""

    model: str = DEFAULT_MODEL
    dimensions: Annotated[int, Field(ge=1)] | None = None
    reduction: Path | None = None
    normalize: bool | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None
    too_long: Literal["truncate", "error", "mean"] = "truncate"
    empty: Literal["error", "zero"] = "error"
    cache: Any = True
    cache_ttl: Annotated[float, Field(gt=0), Finite] | None = None
    cache_size_limit: Annotated[int, Field(gt=0)] | None = None
    cache_dtype: Literal["float32", "float16"] = "float32"
    batch_size: Annotated[int, Field(ge=1)] | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    requests_per_minute: Annotated[float, Field(gt=0), Finite] | None = None
    tokens_per_minute: Annotated[float, Field(gt=0), Finite] | None = None
    rate_limiter: Any = Field(default=None, exclude=True, repr=False)
    max_retries: Annotated[int, Field(ge=0)] = 5
    timeout: Seconds = 60.0
    deadline: Seconds | None = None
    max_cost: Annotated[float, Field(ge=0), Finite] | None = None
    batch: Literal["pay", "wait", "skip"] = "pay"
    api_key: SecretStr | None = Field(default=None, repr=False)
    base_url: str | None = None
    endpoints: tuple[EndpointOptions, ...] | None = None
    show_progress: bool = False
    observers: SkipJsonSchema[tuple[Observer, ...]] = Field(default=(), repr=False)
    provider_options: Mapping[str, Any] = Field(default_factory=dict)

    def __init__(self, model: KnownModel | str = DEFAULT_MODEL, **options: Unpack[Options]) -> None:
        """Check the options."""
        if sys.is_finalizing():
            raise EmbeddingError(THE_END)
        try:
            super().__init__(model=model, **options)
        except ValidationError as error:
            raise own_error(error) or ConfigurationError(
                explain(error, type(self), EmbedderOptions.model_fields)
            ) from None

    @classmethod
    def _made(cls, **options: Any) -> Self:
        """An object made of our own options, without the constructor of a subclass that takes other names."""
        made = cls.__new__(cls)
        EmbedderOptions.__init__(made, **options)
        return made

    @classmethod
    def model_rebuild(cls, **how: Any) -> bool | None:
        """The same as pydantic's, which the first object asks for, but for the signature: `explain_options` gave it.

        Args:
            **how: pydantic's own arguments.

        Returns:
            As pydantic says.
        """
        explained = vars(cls).get("__signature__")
        with importing():  # of pydantic's plugins
            done = super().model_rebuild(**how)
        if isinstance(explained, inspect.Signature):
            cls.__signature__ = explained
        return done

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        explain_schema(handler.resolve_ref_schema(schema), meanings_of_options())
        return schema

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """The same as the constructor, so that no option goes unchecked."""
        return cls(**values)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same options, some of them changed, and checked as by the constructor.

        Raises:
            ConfigurationError: also where a key, a header with a credential or an address would go to another provider,
                or a key to another address: give it in the same update. A key of the environment is found anew.
        """
        return self._made(**changed({name: getattr(self, name) for name in type(self).model_fields}, update or {}))

    def copy(self, *, update: Mapping[str, Any] | None = None, **others: Any) -> Self:
        """`model_copy`, by its former name; fields cannot be left out."""
        if any(part for name, part in others.items() if name != "deep"):
            raise ConfigurationError("a copy has all options: leave include and exclude out")
        return self.model_copy(update=update)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in EmbedderOptions.model_fields or name in self.fixed:
            raise ConfigurationError(f"{name} is fixed here; take a copy: model_copy(update={{{name!r}: …}})")
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            raise ConfigurationError(explain(error, type(self), EmbedderOptions.model_fields)) from None
        except ValueError:  # pydantic's, for what is no field
            raise ConfigurationError(
                f"{type(self).__name__} has no attribute {name!r} that can be set; give options to the constructor"
            ) from None

    def __delattr__(self, name: str) -> None:
        if name in type(self).model_fields:
            raise ConfigurationError(f"{name} cannot be deleted; take a copy: model_copy(update={{{name!r}: None}})")
        super().__delattr__(name)

    @model_validator(mode="wrap")
    @classmethod
    def _faults_are_in_our_words(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """For `model_validate`, and for a model of an app's own that has one of ours as a field."""
        if not isinstance(given, Mapping | cls):
            raise PydanticCustomError(
                "kind", cast("Any", f"write a dict of options or a {cls.__name__}, not {kind_of(given)}")
            )
        try:
            return handler(given)
        except ValidationError as error:
            if (own := own_error(error)) is None:
                raise
            raise PydanticCustomError("configuration", "{error}", {"error": own}) from None

    @field_validator("model")
    @classmethod
    def _names_a_provider(cls, model: str) -> str:
        provider, colon, name = model.partition(":")
        if not (provider.strip() and colon and name.strip()):
            meant = [full_name(known, model) for known in PROVIDERS if known not in COMPATIBLE and _lists(known, model)]
            hint = f"did you mean {' or '.join(map(repr, meant))}? " if meant else ""
            raise ValueError(f"{hint}Write it as 'provider:model', for example {DEFAULT_MODEL!r}")
        return model

    _numbers = field_validator(*NUMBERS, mode="before")(checks.check_number)
    _key = field_validator("api_key", mode="before")(checks.check_key)
    _endpoints = field_validator("endpoints", mode="before")(read_endpoints)
    _address = field_validator("base_url")(checks.check_address)
    _words = field_validator("model", "base_url", "query_prefix", "document_prefix")(checks.check_words)
    _paths = field_validator("reduction", "cache")(checks.check_paths)
    _reduction = field_validator("reduction", mode="before")(checks.check_reduction)
    _observers = field_validator("observers", mode="before")(checks.check_observers)
    _cache = field_validator("cache", mode="before")(checks.check_cache)
    _password = field_validator("provider_options")(checks.hide_password)

    @field_serializer("api_key", "base_url", "cache", "endpoints", "observers", "provider_options")
    def _without_secrets(self, value: Any, info: FieldSerializationInfo) -> Any:
        return plain(self.model, info.field_name, value, masked=info.mode == "json")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, field in EmbedderOptions.model_fields.items():
            value = getattr(self, name)
            if value != field.get_default(call_default_factory=True):
                yield name, value if name == "api_key" else shown(self.model, name, value)

    def __getstate__(self) -> dict[Any, Any]:
        return super().__getstate__() | {"__dict__": self.portable()}

    def portable(self) -> dict[str, Any]:
        """`shared` without secrets, for pickles.

        The process that reads one takes the key from its own environment.

        Returns:
            Values by option, each of which can be pickled.

        Raises:
            ConfigurationError: for headers and other secrets without which it would ask otherwise, and for objects that
                cannot travel.
        """
        found = {name: portable(self.model, name, value) for name, value in self.shared().items()}
        for name, value in found.items():
            parts = value.items() if name == "provider_options" else [(name, value)]
            for option, part in parts:
                check_travels(option, part)
        return found

    def shared(self) -> dict[str, Any]:
        """The options without the fields that a subclass adds.

        Returns:
            Keyword arguments of an `Embedder`.
        """
        return {name: getattr(self, name) for name in EmbedderOptions.model_fields}


def explain_options(kind: T) -> T:
    """Have `help()` of a class name and explain every option, those of a framework's own base class aside.

    Args:
        kind: a class that takes the options as keywords, and of which the docstring says what it raises.

    Returns:
        The same class.

    Raises:
        TypeError: an option has no keyword.
    """
    explain_keywords(kind, EmbedderOptions.model_fields, Options.__annotations__)
    return kind


def check_settable(embedder: object, name: str) -> None:
    """Raise `ConfigurationError` for an attribute of an embedder that nothing would obey once it is made."""
    if name in EmbedderOptions.model_fields or (name == "options" and name in vars(embedder)):
        told = "make another: Embedder.from_options(embedder.options.model_copy(update={…}))"
        raise ConfigurationError(f"{name} is fixed here; {told}")


def _lists(provider: str, model: str) -> bool:
    """Whether a model is one of the provider's own in the catalogue."""
    card = look_up(provider, model)
    return card is not None and card.provider == provider


explain_options(EmbedderOptions)
