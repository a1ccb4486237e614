"""What every provider has: its configuration, its checked options, its key, and defaults for what it may leave out."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, ValidationInfo, field_validator

from embedbridge._core.servers import Inquiry, Server
from embedbridge._core.tokens import Bound, ByteCounter, Counter, TooLong
from embedbridge._core.types import Batch, Identity, InputType, Limits, Reply
from embedbridge._threads.imports import importing
from embedbridge.catalogue import ModelCard
from embedbridge.errors import EMPTY, ConfigurationError, MissingExtraError
from embedbridge.events import Event

from ._credentials import refuse_credentials

if TYPE_CHECKING:
    from ._batch_api import BatchApi


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """What an embedder tells its provider."""

    model: str
    card: ModelCard | None = None
    """The catalogue's row for the model, if it has one."""
    api_key: SecretStr | None = None
    base_url: str | None = field(default=None, repr=False)
    """Not in `repr`: it may hold a password."""
    dimensions: int | None = None
    """The width to ask the API for; None: the model's own."""
    too_long: TooLong = "truncate"
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    notify: Callable[[Event], None] = lambda _: None


MASK = "**********"
"""What stands in a dump in JSON in place of a secret."""


OF_ALL = frozenset({"accept_model", "accept_zeros", "force_dimensions", "task"})
"""Options beside those of a provider that it is never given: what is done before and after its requests."""


class NoOptions(BaseModel):
    """The base of a provider's own options: a field for each; any other option is refused.

    A field whose type is `SecretStr`, or is made of it, is shown nowhere and stored nowhere.
    """

    from_environment: ClassVar[frozenset[str]] = frozenset()
    """Secrets that another process, which is sent an embedder, takes from its own environment."""
    unset_if_empty: ClassVar[frozenset[str]] = frozenset()
    """Options of which an empty string says nothing. Of any other it is refused: see `refuse_empty`."""
    aside: ClassVar[frozenset[str]] = frozenset()
    """Options that decide no vector: nothing that is stored beside vectors names them."""

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True, protected_namespaces=()
    )

    @field_validator("*", mode="before")
    @classmethod
    def _number_is_not_a_bool(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool | np.bool_ | bytes):  # to pydantic, True is 1: a text in a request, or a token
            kind = cls.model_fields[str(info.field_name)].annotation
            if (_holds(kind, int) or _holds(kind, float)) and not _holds(kind, bool):
                raise ValueError(f"write a number, not {value!r}")
        return value

    @classmethod
    def deciding(cls) -> frozenset[str]:
        """The options that may decide a vector and are no secrets."""
        return frozenset(cls.model_fields) - cls.secrets() - cls.listed("aside")

    @classmethod
    def listed(cls, group: str) -> frozenset[str]:
        """The names in a class variable, those of all base classes included."""
        return frozenset(name for base in cls.__mro__ for name in vars(base).get(group, ()))

    @classmethod
    def secrets(cls) -> frozenset[str]:
        """The options that are declared as secrets."""
        return frozenset(name for name, field in cls.model_fields.items() if _holds(field.annotation, SecretStr))


def refuse_empty(options: Mapping[str, Any], unset: Collection[str]) -> None:
    """Raise `ConfigurationError` for an empty string, which comes from an environment variable that is empty.

    As a path it would be the working directory, and as an address the vendor's own.
    """
    for name, value in options.items():
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and not text.strip() and name not in unset:
            raise ConfigurationError(f"provider_options: {name}: {EMPTY.format(INSTEAD.get(name, 'a value'))}")


INSTEAD = {
    "verify": "True, or the path of a file or folder of certificates",
    "cert": "the path of a certificate",
    "proxy": "its address; False for no proxy",
    "azure_endpoint": "the resource's address, https://NAME.openai.azure.com",
}
"""Option → what to write in place of an empty string."""


def _holds(kind: Any, sought: type) -> bool:
    """Whether a type is `sought` or made of it."""
    return kind is sought or any(_holds(part, sought) for part in get_args(kind))


class BaseProvider:
    """Subclasses say their limits, how a batch becomes a request, and how the answer becomes a `Reply`."""

    name: ClassVar[str] = ""
    """As users write it before the colon, and as it stands in every cache key."""
    package: ClassVar[str | None] = None
    """The importable package it needs, if any."""
    extra: ClassVar[str] = ""
    """The extra that installs it."""
    key_variables: ClassVar[tuple[str, ...]] = ()
    """Environment variables that may hold the key, first one wins; empty: no key is needed."""
    may_bill: ClassVar[bool | None] = None
    """Whether a request may cost money; None: if there are `key_variables`."""
    prefix_with_wire_type: ClassVar[bool] = False
    """Whether a prefix may be sent together with `wire_type`, which then only chooses a method or weights."""
    obeys_timeout: ClassVar[bool] = False
    """Whether `ask` itself keeps to its timeout; else the driver stops waiting for it at the call's deadline."""
    one_at_a_time: ClassVar[bool] = False
    """Whether it calls an object that may call its own embedder, so that no request waits for long for another."""
    asks_server: ClassVar[bool] = True
    """Whether it has a use for `base_url` and `api_key`."""
    options_type: ClassVar[type[NoOptions]] = NoOptions
    batch_api: ClassVar[type[BatchApi] | None] = None
    """How texts are handed over to be embedded later, at a lower price; None: that cannot be had here."""
    no_batch_api: ClassVar[str] = "embedbridge knows no batch API of it; embed as usual"
    """Why it cannot, and what to do instead."""

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self.model = config.model
        require(self.package, self.extra)
        self.options = self._checked(config.options)

    def _checked(self, options: Mapping[str, Any]) -> Any:
        for name, value in options.items():
            if MASK in ([*value.values()] if isinstance(value, Mapping) else [value]):
                raise ConfigurationError(f"provider_options: {name} comes from a dump that masks secrets; give it anew")
        kind = self.options_type
        refuse_empty(options, kind.listed("unset_if_empty"))
        refuse_credentials(options, kind.secrets(), kind.model_fields)
        try:
            return kind(**options)
        except ValidationError as error:
            faults = [
                (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in error.errors()
            ]
            told = "; ".join(f"{name}: {fault}" for name, fault in faults)
            known = ", ".join(sorted(self.options_type.model_fields)) or "none"
            raise ConfigurationError(
                f"provider_options of {self.name!r}: {told}; known are: {known}; and of every provider: "
                f"{', '.join(sorted(OF_ALL))}"
            ) from None

    def find_key(self) -> SecretStr:
        """`api_key`, else the first of `key_variables` that is set. Raises `ConfigurationError` when there is none."""
        if self.config.api_key is not None:
            return self.config.api_key
        for variable in self.key_variables:
            if os.environ.get(variable, "").strip():
                return SecretStr(os.environ[variable])
        names = " or ".join(self.key_variables)
        raise ConfigurationError(f"{self.name!r} needs a key: set the environment variable {names}, or pass api_key=…")

    @property
    def identity(self) -> Identity:
        """What decides the vectors besides text and route; the width that was asked for is part of it."""
        asked = (f"dimensions={self.config.dimensions}",) if self.config.dimensions else ()
        return Identity(self.name, self.model, details=asked)

    def stored_options(self) -> dict[str, Any]:
        """The options that decide a vector, as plain data that this provider takes again; no secrets."""
        own: NoOptions = self.options
        return own.model_dump(mode="json", include=set(own.deciding()), exclude_defaults=True)

    def length_asked(self) -> tuple[str, ...]:
        """Those of the identity's `long_details` that the user sets: a space names no others."""
        return ()

    def former_details(self, identity: Identity) -> tuple[tuple[str, ...], bool]:
        """The details of an identity of this provider as releases before 2 named them, and whether these were all.

        Where they left out what decides here, their cache entries may be of another identity.
        """
        return identity.details, True

    @property
    def prefix_apart(self) -> bool:
        """Whether the model treats the prefix differently from the text, so that a cache key must name it."""
        return False

    @property
    def limits(self) -> Limits:
        """What one request may hold."""
        return Limits(text_tokens=self.config.card.max_tokens if self.config.card else None)

    @classmethod
    def reduces(cls, model: str, card: ModelCard | None) -> bool:  # noqa: ARG003 - for subclasses
        """Whether the API itself can give narrower vectors of this model."""
        return False

    @property
    def reduces_itself(self) -> bool:
        """`reduces`, with this provider's own options."""
        return self.reduces(self.model, self.config.card)

    @property
    def roles_from(self) -> str:
        """Who tells the server all roles by fields of the request: `option` or `host`; "" where it is as usual."""
        return ""

    def remarks(self) -> Iterable[str]:
        """Lines for `describe()`."""
        return ()

    def counter(self) -> Counter:
        """The tokenizer for texts that may be too long; an estimate by bytes where there is none."""
        return ByteCounter()

    @property
    def bound(self) -> Bound:
        """How many tokens can be billed for a text at most."""
        return Bound()

    def billed_by(self) -> Counter | None:
        """The tokenizer whose count is what is billed; None where it is not known, or not on this machine."""
        return None

    def counter_name(self) -> str:
        """The name of `counter`, known without loading a model."""
        return self.counter().name

    def width(self) -> int | None:
        """Dimensions of the vectors as the provider gives them; None where they are not known before."""
        return self.config.dimensions or (self.config.card.dimensions if self.config.card else None)

    def full_width(self) -> tuple[Identity, int] | None:
        """The identity and width of wider vectors which, cut and brought to unit length, are those of this provider.

        None where nobody has documented that.
        """
        return None

    def reductions(self) -> Collection[int]:
        """Widths that the model was trained to be cut to; asked only where the catalogue has no card of the model."""
        return ()

    def wire_type(self, input_type: InputType) -> str | None:  # noqa: ARG002 - for subclasses
        """The request's own name for a role; None where the API has none."""
        return None

    @property
    def unit_length(self) -> bool | None:
        """Whether vectors arrive with unit length; None: not known."""
        return self.config.card.normalized if self.config.card else None

    @property
    def doing(self) -> str:
        """What a call waited for whose deadline came while it asked; "" where there is nothing special to say."""
        return ""

    def resolve(self) -> None:
        """Make sure that identity, prompts and limits are known, before a call asks for them; it may take long."""

    @property
    def known_offline(self) -> bool:
        """Whether the model's own prompts, limits and width can be known without a network."""
        return True

    def prompts(self) -> Mapping[str, str]:
        """Prefixes saved with the model, by role."""
        return {}

    def get_ready(self, seconds: float | None) -> None:
        """Wait at most `seconds` for what is made once and no part of a request's time. Raises `RequestFailed`."""

    async def aget_ready(self, seconds: float | None) -> None:
        """The same, without blocking the event loop."""

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request. Raises `RequestFailed`."""
        raise NotImplementedError

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request without blocking the event loop. Raises `RequestFailed`."""
        raise NotImplementedError

    @property
    def server(self) -> Server | None:
        """How the server can be asked for its limits and for the tokens of texts, if at all."""
        return None

    @property
    def learns_as(self) -> Hashable | None:
        """Names the server and model whose limits a process's embedders learn together; None: each for itself."""
        return None

    def inquire(self, inquiries: Sequence[Inquiry], *, timeout: float, at_once: int) -> list[Any]:  # noqa: ARG002 - for subclasses
        """Send small requests, some at once; the JSON of each one's answer, or None. Raises nothing; ends in time."""
        return [None] * len(inquiries)

    async def ainquire(self, inquiries: Sequence[Inquiry], *, timeout: float, at_once: int) -> list[Any]:
        """The same, without blocking the event loop."""
        return self.inquire(inquiries, timeout=timeout, at_once=at_once)

    def close(self) -> None:
        """Close connections; a later `ask` opens new ones."""

    async def aclose(self) -> None:
        """Close the running event loop's connections."""

    def after_fork(self) -> None:
        """In a child process: drop locks and connections, which belong to the parent."""


def require(package: str | None, extra: str) -> None:
    """Raise `MissingExtraError` with the exact command unless `package` can be imported."""
    with importing():
        missing = package is not None and find_spec(package) is None
    if missing:
        raise MissingExtraError(f'the package {package!r} is not installed; run: pip install "embedbridge[{extra}]"')
