"""Every option of an embedder: its meaning, its default and its check, once for all faces."""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, Unpack, cast

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FieldSerializationInfo,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from ._core.prepare import is_utf8
from ._core.words import full_name
from ._endpoint_options import EndpointOptions, read_endpoints
from ._option_faults import check_path, explain, flat, own_error, travels
from ._secrets import changed, plain, portable, shown
from ._signatures import LinedSignature
from ._value_faults import kind_of
from .catalogue import look_up
from .catalogue.known import KnownModel
from .catalogue.rows import COMPATIBLE, PROVIDERS
from .errors import EMPTY, THE_END, ConfigurationError, EmbeddingError
from .keywords import Observer, Options

__all__ = ["DEFAULT_MODEL", "EmbedderOptions", "EndpointOptions", "Observer", "explain_options"]

T = TypeVar("T", bound=type)

DEFAULT_MODEL = "local:all-MiniLM-L6-v2"
"""The model of an embedder that is given none: small, local and free."""

NUMBERS = (
    *("dimensions", "cache_ttl", "cache_size_limit", "batch_size", "concurrency", "requests_per_minute"),
    *("tokens_per_minute", "max_retries", "timeout", "deadline", "max_cost"),
)
"""Options whose value is a number."""

INSTEAD = {
    "rate_limiter": "set requests_per_minute and tokens_per_minute, which every process keeps by itself",
    "observers": "give functions of a module, or leave them out",
    "cache": "name it in words that each process can open for itself, such as a directory or 'redis://…'",
}
"""Option → what to do where its object cannot go to another process."""

LONGEST = 2_000_000
"""Seconds, or 23 days: sockets take no longer timeout."""
Seconds = Annotated[float, Field(gt=0, le=LONGEST)]
Finite = Field(allow_inf_nan=False)


class EmbedderOptions(BaseModel):
    """The options that `Embedder`, `BridgeEmbeddings` and `BridgeEmbedding` share.

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
        use_attribute_docstrings=True,
    )

    fixed: ClassVar[frozenset[str]] = frozenset()
    """Fields besides our own that cannot be set later."""

    model: str = DEFAULT_MODEL
    """`provider:model`, split at the first colon."""
    dimensions: Annotated[int, Field(ge=1)] | None = None
    """Dimensions of the vectors; None: the model's own. Where the API cannot give fewer, vectors are reduced to their
    first numbers and brought to unit length; `ConfigurationError` where the model supports neither."""
    reduction: Path | None = None
    """Path of a saved `PCA`, applied to queries and documents alike."""
    normalize: bool | None = None
    """Unit-length output; None: as the model gives it."""
    query_prefix: str | None = None
    """Put before queries; None: what the model needs, "" for nothing."""
    document_prefix: str | None = None
    """Put before documents; None: what the model needs, "" for nothing."""
    too_long: Literal["truncate", "error", "mean"] = "truncate"
    """What becomes of a text of more tokens than the model reads: it is truncated, refused, or split into parts whose
    vectors are averaged."""
    empty: Literal["error", "zero"] = "error"
    """An empty or blank text is refused before anything is sent, or gets a vector of zeros."""
    cache: Any = True
    """True (the user's directory), False, a directory, `redis://…`, a `Cache`, or a list of these, nearest first."""
    cache_ttl: Annotated[float, Field(gt=0), Finite] | None = None
    """Seconds after which a cached vector is not used any more; None: for ever."""
    cache_size_limit: Annotated[int, Field(gt=0)] | None = None
    """Bytes that a cache on disk or in memory may take; None: the cache's own limit, if any."""
    cache_dtype: Literal["float32", "float16"] = "float32"
    """How numbers are stored. float16 takes half the space; each number that is read back is then off by at most 1 part
    in 2048, and vectors of which float16 cannot hold that are stored as float32. An embedder with float32 does not use
    entries in float16."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Most texts in one request; None: the provider's own limit, which holds in any case."""
    concurrency: Annotated[int, Field(ge=1)] | None = None
    """Most requests under way at once; None: the provider's own number."""
    requests_per_minute: Annotated[float, Field(gt=0), Finite] | None = None
    """Requests per minute that this embedder may send; None: as many as the provider's headers allow."""
    tokens_per_minute: Annotated[float, Field(gt=0), Finite] | None = None
    """Tokens per minute that this embedder may send; None: as many as the provider's headers allow."""
    rate_limiter: Any = Field(default=None, exclude=True, repr=False)
    """A limiter object of LangChain or LlamaIndex, asked before every request that is sent."""
    max_retries: Annotated[int, Field(ge=0)] = 5
    """Attempts after the first, for each request. While other requests are let through, a 429 does not count, up to
    four times as often. The SDKs' own retries are off."""
    timeout: Seconds = 60.0
    """Seconds for one whole request, its answer included."""
    deadline: Seconds | None = None
    """Seconds for one whole call, its waits and retries included; None: no limit."""
    max_cost: Annotated[float, Field(ge=0), Finite] | None = None
    """Dollars that this embedder may spend in all its calls, at the catalogue's price: it stops before a request that
    could pass them. A copy of the embedder has as much again."""
    batch: Literal["pay", "wait", "skip"] = "pay"
    """Texts that were handed to a batch API and have not come back are asked for and paid at once, waited for until the
    `deadline`, or left out with a `PendingError` that names them."""
    api_key: SecretStr | None = Field(default=None, repr=False)
    """None: the provider's usual environment variable; an empty key is refused. A provider that asks no server warns
    of one."""
    base_url: str | None = None
    """The address that the official SDK would take; None: the provider's own, or its environment variable."""
    endpoints: tuple[EndpointOptions, ...] | None = None
    """Several addresses or keys of one model, over which requests are spread: a list of what each has of its own (see
    `EndpointOptions`). One serves only after its vectors of fixed texts have proved to be those of the others. In cache
    keys the pool has the name of `base_url`, else of the first entry's address."""
    show_progress: bool = False
    """Draw a progress bar on stderr."""
    observers: SkipJsonSchema[tuple[Observer, ...]] = Field(default=(), repr=False)
    """Functions, each of which is called with every event of a call (see `embedbridge.events`)."""
    provider_options: Mapping[str, Any] = Field(default_factory=dict)
    """Options that only one provider has, such as `device`; that provider checks them."""

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
        done = super().model_rebuild(**how)
        if isinstance(explained, inspect.Signature):
            cls.__signature__ = explained
        return done

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

    @field_validator(*NUMBERS, mode="before")
    @classmethod
    def _number_is_not_a_bool(cls, number: Any) -> Any:
        if isinstance(number, bool | np.bool_ | bytes):  # to pydantic, True is 1: a second, or a byte
            raise ValueError(f"write a number, not {number!r}")  # noqa: TRY004 - pydantic wants this one
        return number

    @field_validator("api_key", mode="before")
    @classmethod
    def _key_is_text(cls, key: Any) -> Any:
        if callable(key):
            raise ValueError(  # noqa: TRY004 - pydantic wants this one
                "a function cannot be called for each request, except as provider_options={'api_key_provider': …} of "
                "'openai' and {'azure_ad_token_provider': …} of 'azure'; pass the key that it gives"
            )
        return key

    @field_validator("endpoints", mode="before")
    @classmethod
    def _endpoints_are_read(cls, endpoints: Any) -> Any:
        return read_endpoints(endpoints)

    @field_validator("base_url")
    @classmethod
    def _address_is_not_empty(cls, address: str | None) -> str | None:
        if address is not None and not address.strip():  # the vendor's own server would get what is meant for another
            raise ValueError(EMPTY.format("an address"))
        return address

    @field_validator("model", "base_url", "query_prefix", "document_prefix")
    @classmethod
    def _words_are_text(cls, words: str | None) -> str | None:
        if words is not None and not is_utf8(words):
            raise ValueError("it holds a lone surrogate, which no UTF-8 text can")
        return words

    @field_validator("reduction", "cache")
    @classmethod
    def _path_can_be_one(cls, value: Any) -> Any:
        for path in flat(value):
            if isinstance(path, str | os.PathLike):
                check_path(path)
        return value

    @field_validator("reduction", mode="before")
    @classmethod
    def _reduction_is_a_file(cls, reduction: Any) -> Any:
        if reduction is not None and not isinstance(reduction, str | os.PathLike):
            raise ValueError("it is the path of a saved PCA: pca.save('pca.npz'), then reduction='pca.npz'")
        if isinstance(reduction, str) and not reduction.strip():
            raise ValueError(EMPTY.format("the path of a saved PCA"))
        return reduction

    @field_validator("observers", mode="before")
    @classmethod
    def _observers_are_functions(cls, observers: Any) -> Any:
        listed = () if observers is None else tuple(observers) if isinstance(observers, list | tuple) else (None,)
        if not all(callable(each) and not inspect.iscoroutinefunction(each) for each in listed):
            raise ValueError("it is a list of plain functions, as in [print], and not of coroutine functions")
        return listed

    @field_validator("cache", mode="before")
    @classmethod
    def _cache_is_usable(cls, cache: Any) -> Any:
        usable = isinstance(cache, bool | str | os.PathLike | list | tuple) or (
            hasattr(cache, "get_many") and not isinstance(cache, type)
        )
        if any(isinstance(part, str) and not part.strip() for part in flat(cache)):
            raise ValueError(EMPTY.format("a directory, 'redis://…' or False"))
        if not usable:
            raise ValueError("use True, False, a directory, 'redis://…', a Cache object, or a list of these")
        return cache

    @field_validator("provider_options")
    @classmethod
    def _password_is_secret(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        match options.get("cert"):
            case [file, key, str() as password]:
                return {**options, "cert": (file, key, SecretStr(password))}
        return options

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
                if not travels(part):
                    raise ConfigurationError(
                        f"{option}: this {type(part).__name__} cannot go to another process, because Python cannot "
                        f"pickle it; {INSTEAD.get(option, 'make the embedder in the other process')}"
                    )
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
    fields = EmbedderOptions.model_fields
    hints = {name: getattr(kept, "__forward_arg__", kept) for name, kept in Options.__annotations__.items()}
    usual = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
    if lacking := usual.keys() - hints.keys() - {"model"}:
        raise TypeError(f"give {', '.join(sorted(lacking))} a keyword in keywords.py too, with the same explanation")
    model = inspect.Parameter(
        "model", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=DEFAULT_MODEL, annotation="KnownModel | str"
    )
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=usual[name], annotation=hints[name])
        for name in usual
        if name != model.name
    ]
    kind.__signature__ = LinedSignature([model, *named])  # type: ignore[attr-defined]
    if kind.__doc__:  # python -OO leaves it out
        before, raises, after = inspect.cleandoc(kind.__doc__).partition("Raises:\n")
        told = [f"{name}: {fields[name].description} (Default: {usual[name]!r}.)" for name in usual]
        lines = [textwrap.fill(each, 110, initial_indent=" " * 4, subsequent_indent=" " * 8) for each in told]
        kind.__doc__ = "\n".join([f"{before.partition('Args:')[0]}Args:", *lines, "", raises + after])
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
