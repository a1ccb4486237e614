"""One embedding core for LangChain and LlamaIndex: the right prefixes, one retry layer, a cache that never lies."""

from .core.errors import (
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
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitTimeoutError,
    SpaceMismatchError,
)
from .core.space import VectorSpace
from .core.types import Cut, EmbeddingResult, Estimate, InputType, Report
from .embedder import Embedder
from .index_guard import guard
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
    "ProviderUnavailableError",
    "QuotaExceededError",
    "RateLimitTimeoutError",
    "Report",
    "SpaceMismatchError",
    "VectorSpace",
    "guard",
]
