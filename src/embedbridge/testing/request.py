"""One request as the server received it, and the refusal it may meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .vectors import BYTES_PER_TOKEN, Item, count_tokens

__all__ = ["Refusal", "Request", "contains"]


@dataclass(slots=True)
class Request:
    """What a client sent, and what came of it.

    Attributes:
        path: as sent, without the query and without a fault prefix.
        headers: names in lower case.
        payload: the body's JSON.
        dialect: `openai`, `voyage`, `cohere` or `ollama`; "" for anything but a request for embeddings.
        items: the texts (or lists of token ids) to embed, in order; of all documents where `groups` is used.
        read: the items as the model read them: cut where the server truncates; empty when nothing was worked out.
        dims: numbers in each vector.
        groups: the chunks of each document, for contextualized embeddings.
        fault: names of the faults that were put in, joined by `+`.
        status: the status that was sent; 0: none was.
        at: when it came, in seconds on `time.monotonic()`.
        took: seconds until it was done with.
        bytes_per_token: how many bytes of a text are billed as one token.
        target: path and query, byte for byte as sent.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    payload: dict[str, Any] = field(default_factory=dict)
    dialect: str = ""
    items: list[Any] = field(default_factory=list)
    read: list[Item] = field(default_factory=list)
    dims: int = 0
    groups: list[list[str]] = field(default_factory=list)
    fault: str = ""
    status: int = 0
    at: float = 0.0
    took: float = 0.0
    bytes_per_token: int = BYTES_PER_TOKEN
    target: str = ""

    @property
    def model(self) -> str:
        """The model's name; "" when the request has none."""
        return str(self.payload.get("model") or "")

    @property
    def input_type(self) -> str:
        """The request's own input type, or `task`; "" when it has none."""
        return str(self.payload.get("input_type") or self.payload.get("task") or "")

    @property
    def tokens(self) -> int:
        """Tokens of all items, as read and billed."""
        return sum(count_tokens(item, self.bytes_per_token) for item in self.read)


def contains(needle: str) -> Callable[[Request], bool]:
    """A rule's condition, for `FaultServer.on`.

    Args:
        needle: part of a text.

    Returns:
        A function that is true of requests with a text that contains it.
    """
    return lambda request: any(isinstance(item, str) and needle in item for item in request.items)


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the server
    """The request is answered with an error in the API's own shape.

    Args:
        status: of HTTP.
        message: for a person.
        code: for a program, where the API has one.
        type_: where the API has one.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        type_: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.type = status, message, code, type_
        self.headers = headers or {}
