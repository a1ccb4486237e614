"""Every option of an embedder: its meaning, its default and its check, once for all faces."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from .core.errors import ConfigurationError
from .core.events import Event

DEFAULT_MODEL = "sentence-transformers:all-MiniLM-L6-v2"

Observer = Callable[[Event], object]
"""Called with each event of `embedbridge.core.events`, from whichever thread it happens in."""


class EmbedderOptions(BaseModel):
    """The options that `Embedder`, `BridgeEmbeddings` and `BridgeEmbedding` share."""

    model_config = ConfigDict(
        extra="forbid",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        protected_namespaces=(),
    )

    model: str = DEFAULT_MODEL
    """`provider:model`, split at the first colon."""
    dimensions: Annotated[int, Field(ge=1)] | None = None
    """Width of the vectors; None: the model's own. Reduced by the API where it can, else cut and renormalised."""
    reduction: Path | None = None
    """A fitted `PCA`, applied to queries and documents alike."""
    normalize: bool | None = None
    """Unit-length output; None: as the model gives it."""
    query_prefix: str | None = None
    """Put before queries; None: what the model needs, "" for nothing."""
    document_prefix: str | None = None
    """Put before documents; None: what the model needs, "" for nothing."""
    too_long: Literal["truncate", "error", "mean"] = "truncate"
    """What to do with a text of more tokens than the model reads."""
    empty: Literal["error", "zero"] = "error"
    """What to do with an empty or blank text."""
    cache: Any = True
    """True (the user's cache directory), False, a directory, `redis://…`, a `Cache`, or a list of these, nearest first."""
    cache_ttl: Annotated[float, Field(gt=0)] | None = None
    """Seconds after which an entry is forgotten."""
    cache_size_limit: Annotated[int, Field(gt=0)] | None = None
    """Bytes."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Most texts a request; the provider's own limits hold anyway."""
    concurrency: Annotated[int, Field(ge=1)] | None = None
    """Most requests under way at once; None: the provider's."""
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[float, Field(gt=0)] | None = None
    max_retries: Annotated[int, Field(ge=0)] = 5
    """Attempts after the first. The only retry layer: the SDKs' own is off."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds for one whole request."""
    deadline: Annotated[float, Field(gt=0)] | None = None
    """Seconds for a whole call."""
    max_cost: Annotated[float, Field(ge=0)] | None = None
    """Dollars that this embedder may spend."""
    api_key: SecretStr | None = Field(default=None, repr=False)
    """None: the provider's usual environment variable."""
    base_url: str | None = None
    """What the official SDK would take."""
    show_progress: bool = False
    """Draw a bar that moves."""
    observers: tuple[Observer, ...] = Field(default=(), repr=False)
    """Called on events."""
    provider_options: Mapping[str, Any] = Field(default_factory=dict)
    """What only one provider knows, checked by it."""

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise ConfigurationError(_explain(error, type(self))) from None

    @field_validator("model")
    @classmethod
    def _names_a_provider(cls, model: str) -> str:
        provider, colon, name = model.partition(":")
        if not (provider and colon and name):
            raise ValueError(f"write it as 'provider:model', for example {DEFAULT_MODEL!r}")
        return model

    @field_validator("observers", mode="before")
    @classmethod
    def _listed(cls, observers: Any) -> Any:
        return () if observers is None else tuple(observers) if isinstance(observers, list) else observers

    @field_validator("cache", mode="before")
    @classmethod
    def _cache_is_usable(cls, cache: Any) -> Any:
        usable = isinstance(cache, bool | str | os.PathLike | list | tuple) or hasattr(cache, "get_many")
        if not usable or cache == "":
            raise ValueError("use True, False, a directory, 'redis://…', a Cache object, or a list of these")
        return cache

    def shared(self) -> dict[str, Any]:
        """The options as keyword arguments, whichever subclass they stand in."""
        return {name: getattr(self, name) for name in EmbedderOptions.model_fields}


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One line a wrong option, without its value: that may be a key."""
    lines = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        name = ".".join(map(str, fault["loc"][:1])) or "options"
        if fault["type"] == "extra_forbidden":
            known = ", ".join(sorted(model.model_fields))
            lines.append(f"unknown option {name!r}; the options are {known}")
        else:
            lines.append(f"{name}: {fault['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)
