"""One embedding layer for LangChain and LlamaIndex: the right prefixes, one retry layer, each text paid for once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._threads import background, endings, imports, telling  # noqa: F401 - at exit they act after the program

if TYPE_CHECKING:
    from ._core.space import VectorSpace
    from ._core.types import Cut, EmbeddingResult, Estimate, InputType, Report
    from ._frameworks.index_guard import guard
    from .embedder import Embedder
    from .errors import (
        AuthenticationError,
        BudgetExceededError,
        CacheWarning,
        ConfigurationError,
        DeadlineExceededError,
        EmbeddingError,
        InputTooLongError,
        InvalidInputError,
        InvalidResponseError,
        MissingExtraError,
        PendingError,
        ProviderUnavailableError,
        QuotaExceededError,
        RateLimitTimeoutError,
        SpaceMismatchError,
    )
    from .options import EmbedderOptions

__version__ = "0.1.0"

__all__ = [
    "AuthenticationError",
    "BudgetExceededError",
    "CacheWarning",
    "ConfigurationError",
    "Cut",
    "DeadlineExceededError",
    "Embedder",
    "EmbedderOptions",
    "EmbeddingError",
    "EmbeddingResult",
    "Estimate",
    "InputTooLongError",
    "InputType",
    "InvalidInputError",
    "InvalidResponseError",
    "MissingExtraError",
    "PendingError",
    "ProviderUnavailableError",
    "QuotaExceededError",
    "RateLimitTimeoutError",
    "Report",
    "SpaceMismatchError",
    "VectorSpace",
    "guard",
]

_HOMES = {
    **dict.fromkeys(("Cut", "EmbeddingResult", "Estimate", "InputType", "Report"), "_core.types"),
    "VectorSpace": "_core.space",
    "guard": "_frameworks.index_guard",
    "Embedder": "embedder",
    "EmbedderOptions": "options",
}
"""Name → its module; all others are errors."""


_ROOMS = frozenset({"cache", "catalogue", "embedder", "errors", "events", "observers", "options", "providers"})
"""Modules that are there without an import of their own."""


def __getattr__(name: str) -> Any:
    """A name when it is first asked for: NumPy, pydantic and all that embeds load with it, and not with the package."""
    if name not in _ROOMS and name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with imports.importing():
        if name in _ROOMS:
            return import_module(f"{__name__}.{name}")
        found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    return found


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
