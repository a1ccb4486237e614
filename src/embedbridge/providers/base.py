"""What every provider has: its configuration, its checked options, its key, and defaults for what it may leave out."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import SecretStr, ValidationError

from embedbridge._core.servers import Inquiry, Server
from embedbridge._core.tokens import TooLong
from embedbridge._core.types import Batch, Identity, Reply
from embedbridge._core.words import short_name
from embedbridge._threads.imports import importing
from embedbridge._value_faults import faults_of
from embedbridge.catalogue import ModelCard
from embedbridge.errors import ConfigurationError, MissingExtraError
from embedbridge.events import Event

from ._credentials import refuse_credentials
from ._model_facts import ModelFacts
from ._own_options import MASK, OF_ALL, NoOptions, fault_in, refuse_empty

__all__ = ["BaseProvider", "NoOptions", "ProviderConfig", "require"]

if TYPE_CHECKING:
    from ._batch_api import BatchApi


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """What a provider is made with."""

    model: str
    card: ModelCard | None = None
    """The catalogue's row for the model, if it has one."""
    api_key: SecretStr | None = None
    base_url: str | None = field(default=None, repr=False)
    """Not in `repr`: it may hold a password."""
    dimensions: int | None = None
    """What to ask the API for; None: the model's own."""
    too_long: TooLong = "truncate"
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    notify: Callable[[Event], None] = lambda _: None


class BaseProvider(ModelFacts):
    """The base of every provider.

    Subclasses say their limits, how a batch becomes a request, and how the answer becomes a `Reply`.

    Args:
        config: what it is made with.

    Raises:
        ConfigurationError: an option is unknown or wrong.
        MissingExtraError: `package` is not installed.
    """

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
            names = {*kind.model_fields, *OF_ALL}
            told = "; ".join(f"{name}: {fault_in(name, faults, names)}" for name, faults in faults_of(error))
            known = ", ".join(sorted(kind.model_fields)) or "none"
            raise ConfigurationError(
                f"provider_options of {short_name(self.name)!r}: {told}; known are: {known}; and of every provider: "
                f"{', '.join(sorted(OF_ALL))}"
            ) from None

    def find_key(self) -> SecretStr:
        """The key that requests are sent with.

        Returns:
            `api_key`, else the first of `key_variables` that is set.

        Raises:
            ConfigurationError: there is none; the message names the variables.
        """
        if self.config.api_key is not None:
            return self.config.api_key
        for variable in self.key_variables:
            if os.environ.get(variable, "").strip():
                return SecretStr(os.environ[variable])
        names = " or ".join(self.key_variables)
        raise ConfigurationError(f"{self.name!r} needs a key: set the environment variable {names}, or pass api_key=…")

    @property
    def identity(self) -> Identity:
        """What decides the vectors besides text and route; the dimensions that were asked for are part of it."""
        asked = (f"dimensions={self.config.dimensions}",) if self.config.dimensions else ()
        return Identity(self.name, self.model, details=asked)

    def stored_options(self) -> dict[str, Any]:
        """The options that decide a vector, as plain data that this provider takes again; no secrets.

        Returns:
            Values by option, fit for JSON.
        """
        own: NoOptions = self.options
        return own.model_dump(mode="json", include=set(own.deciding()), exclude_defaults=True)

    def length_asked(self) -> tuple[str, ...]:
        """What the user sets of the identity's `long_details`; a space names no others.

        Returns:
            Details, as `identity` names them.
        """
        return ()

    def former_details(self, identity: Identity) -> tuple[tuple[str, ...], bool]:
        """How releases before 2 named the details of an identity of this provider.

        Where they left out what decides here, their cache entries may be of another identity.

        Args:
            identity: of this provider.

        Returns:
            The details as they were, and whether these were all.
        """
        return identity.details, True

    def remarks(self) -> Iterable[str]:
        """What `describe()` adds about this provider.

        Returns:
            Whole lines.
        """
        return ()

    @property
    def doing(self) -> str:
        """What a call waited for whose deadline came while it asked; "" where there is nothing special to say."""
        return ""

    def get_ready(self, seconds: float | None) -> None:
        """Wait for what is made once and is no part of a request's time.

        Args:
            seconds: the most to wait; None: no limit.

        Raises:
            RequestFailed: it could not be made in time, or at all.
        """

    async def aget_ready(self, seconds: float | None) -> None:
        """`get_ready` without blocking the event loop."""

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request.

        Args:
            batch: texts of one role, within `limits`.
            timeout: seconds that bound all of it.

        Returns:
            The answer as it came, unchecked.

        Raises:
            RequestFailed: no usable answer came; it holds the status and what else is known.
        """
        raise NotImplementedError

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """`ask` without blocking the event loop."""
        raise NotImplementedError

    @property
    def server(self) -> Server | None:
        """How the server can be asked for its limits and for the tokens of texts, if at all."""
        return None

    @property
    def learns_as(self) -> Hashable | None:
        """Names the server and model whose limits a process's embedders learn together; None: each for itself."""
        return None

    def inquire(self, inquiries: Sequence[Inquiry], *, timeout: float, at_once: int) -> list[Any]:
        """Send small requests about the server itself. Raises nothing, and ends in time.

        Args:
            inquiries: what to ask.
            timeout: seconds for all of them.
            at_once: how many may be under way together.

        Returns:
            The JSON of each one's answer, or None.
        """
        return [None] * len(inquiries)

    async def ainquire(self, inquiries: Sequence[Inquiry], *, timeout: float, at_once: int) -> list[Any]:
        """`inquire` without blocking the event loop."""
        return self.inquire(inquiries, timeout=timeout, at_once=at_once)

    def close(self) -> None:
        """Close connections; a later `ask` opens new ones."""

    async def aclose(self) -> None:
        """Close the running event loop's connections."""

    def after_fork(self) -> None:
        """In a child process: drop locks and connections, which belong to the parent."""


def require(package: str | None, extra: str) -> None:
    """Check that a package can be imported, without importing it.

    Args:
        package: its importable name; None: nothing is needed.
        extra: the extra of embedbridge that installs it.

    Raises:
        MissingExtraError: it cannot; the message has the exact command.
    """
    with importing():
        parents = accumulate(package.split("."), "{}.{}".format) if package else ()
        missing = any(find_spec(part) is None for part in parents)
    if missing:
        raise MissingExtraError(f'the package {package!r} is not installed; run: pip install "embedbridge[{extra}]"')
