"""One embedding layer for LangChain and LlamaIndex: the right prefixes, one retry layer, each text paid for once."""

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
    "ProviderUnavailableError",
    "QuotaExceededError",
    "RateLimitTimeoutError",
    "Report",
    "SpaceMismatchError",
    "VectorSpace",
    "guard",
]
