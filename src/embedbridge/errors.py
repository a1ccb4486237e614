"""Every error that a caller can get, and `RequestFailed`, which providers raise and callers never see.

EmbeddingError
 ├─ ConfigurationError (also a ValueError)        an option, a model or an installation is wrong
 │   └─ MissingExtraError (also an ImportError)   a package is not installed
 ├─ InvalidInputError (also a ValueError)         `.index`
 │   └─ InputTooLongError                         `.tokens`, `.limit`
 ├─ AuthenticationError
 ├─ QuotaExceededError
 ├─ RateLimitTimeoutError
 ├─ ProviderUnavailableError
 ├─ InvalidResponseError                          `.kind`
 ├─ DeadlineExceededError
 ├─ BudgetExceededError
 ├─ PendingError
 └─ SpaceMismatchError
CacheWarning (a UserWarning)                      the cache has a fault; the vectors are right
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._core.kinds import Kind

__all__ = [
    "AuthenticationError",
    "BudgetExceededError",
    "CacheWarning",
    "ConfigurationError",
    "DeadlineExceededError",
    "EmbeddingError",
    "InputTooLongError",
    "InvalidInputError",
    "InvalidResponseError",
    "MissingExtraError",
    "ProviderUnavailableError",
    "QuotaExceededError",
    "RateLimitTimeoutError",
    "RequestFailed",
    "SpaceMismatchError",
]

EMPTY = (
    "it is an empty string, as of an environment variable that is not set; leave it out for its default, or write {}"
)
"""What is wrong with an option; the gap is for what to write."""


THE_END = "the interpreter ends, and nothing can be embedded any more: do it earlier, as in a function of atexit"
"""What is wrong in finalizers that run at the very end, where threads and imports do nothing any more."""


class EmbeddingError(Exception):
    """A call failed for at least one text. Vectors that were finished are in the cache, if there is one.

    Attributes:
        failed_indices: indices in the caller's list of texts that have no vector because of this error.
        completed: indices in the caller's list of texts whose vectors were finished, ascending.
        provider: the provider's name, or "".
        model: the model's name, or "".
    """

    # Set for each error and not on the class: a proxy of another process finds them by `__getattr__`.
    failed_indices: tuple[int, ...]
    completed: tuple[int, ...]
    provider: str
    model: str

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.failed_indices = ()
        self.completed = ()
        self.provider = ""
        self.model = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[EmbeddingError], args: tuple[Any, ...], state: dict[str, Any]) -> EmbeddingError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(EmbeddingError, ValueError):
    """An option, a model name or the installation is wrong. Retrying cannot help."""


class MissingExtraError(ConfigurationError, ImportError):
    """A package that this provider or adapter needs is not installed."""


class InvalidInputError(EmbeddingError, ValueError):
    """A text cannot be embedded, or an argument is of the wrong kind.

    Args:
        message: what is wrong, and what to do.
        index: the text's index in the caller's list; None: the list itself, or another argument, is wrong.
    """

    def __init__(self, message: str, *, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index
        if index is not None:
            self.failed_indices = (index,)


class InputTooLongError(InvalidInputError):
    """A text has more tokens than the model reads.

    Args:
        message: what is wrong, and what to do.
        index: the text's index in the caller's list.
        tokens: of the text, where they are known.
        limit: tokens that the model reads, where they are known.
    """

    def __init__(
        self, message: str, *, index: int | None = None, tokens: int | None = None, limit: int | None = None
    ) -> None:
        super().__init__(message, index=index)
        self.tokens = tokens
        self.limit = limit


class AuthenticationError(EmbeddingError):
    """The provider does not accept the key."""


class QuotaExceededError(EmbeddingError):
    """The account has no credit left. Waiting does not help."""


class RateLimitTimeoutError(EmbeddingError):
    """The provider, or the user's own rate limiter, refused requests for longer than the retries allow."""


class ProviderUnavailableError(EmbeddingError):
    """The provider could not be reached, or kept failing."""


class InvalidResponseError(EmbeddingError):
    """The provider's answer is not what was asked for.

    Args:
        message: what is wrong with it.
        kind: the same in a word, for programs.
    """

    def __init__(self, message: str, *, kind: str = "unknown") -> None:
        super().__init__(message)
        self.kind = kind


class DeadlineExceededError(EmbeddingError):
    """The call's `deadline` passed, or would have passed before the next attempt."""


class BudgetExceededError(EmbeddingError):
    """The next request would have passed `max_cost`."""


class PendingError(EmbeddingError):
    """With `batch="skip"`: texts are in a batch that has not come back. `.failed_indices` says which."""


class SpaceMismatchError(EmbeddingError):
    """Two sets of vectors are not of the same space, so they cannot be compared.

    Args:
        message: what differs.
        parts: the names of the parts of the spaces that differ.
    """

    def __init__(self, message: str, *, parts: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.parts = tuple(parts)


class CacheWarning(UserWarning):
    """The cache has a fault. Vectors are right all the same, but some may be paid for again."""


class RequestFailed(Exception):  # noqa: N818 - raised by providers, judged by _core/retry.py, never seen as itself
    """One request got no usable answer. The message holds no key and no text.

    Args:
        message: what happened, at most 200 characters.
        status: the HTTP status; None where no answer came.
        code: the provider's own error code and type, where it gives them.
        retry_after: seconds the provider asks us to wait.
        headers: the answer's headers, lower-cased.
        kind: a `Kind`, or the word for one, where a provider knows more than the status says.
        billed: the provider probably did the work, though its answer was lost or is wrong.
        param: the request's field that is at fault, where it is one.
        numbers: what the provider said of the `tokens` of a text, the `limit` of tokens, or the `items` of a request.
        doing: what a timeout was spent on: `receiving the answer`.
        understood: the provider has read the answer's words, and `kind` is all that they mean.
        credentials: what to check where the provider refuses who asks; empty: the key.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
        kind: str = Kind.NONE,
        billed: bool = False,
        param: str = "",
        numbers: Mapping[str, int] | None = None,
        doing: str = "",
        understood: bool = False,
        credentials: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.doing = doing
        self.understood = understood
        self.credentials = credentials
        self.code = code
        self.retry_after = retry_after
        self.headers = headers or {}
        self.kind = Kind(kind)
        self.billed = billed
        self.param = param
        self.numbers = dict(numbers or {})
