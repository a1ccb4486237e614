"""What every API of the server has to say: its paths, its limits' wording, its answer and its error shape."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits
from embedbridge.testing.request import Refusal, Request
from embedbridge.testing.vectors import Item, count_tokens, truncate


class Dialect(ABC):
    """One API. It understands a request, refuses what the real service refuses, and writes the answer."""

    name: ClassVar[str]
    width: ClassVar[int]
    """Numbers in a vector, for a model that is not known by name."""
    widths: ClassVar[Mapping[str, int]] = {}
    """The same for models whose vectors are otherwise."""
    limits: ClassVar[Limits]

    @abstractmethod
    def speaks(self, path: str) -> bool:
        """Whether embeddings are asked for at this path."""

    @abstractmethod
    def parse(self, request: Request) -> None:
        """Fill `request.items` (and `groups`) from its JSON. Raises `Refusal` for what no text can be found in."""

    @abstractmethod
    def check(self, request: Request, limits: Limits) -> None:
        """Raise `Refusal` for what the real service refuses, but for the size of texts."""

    @abstractmethod
    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        """The answer's JSON."""

    @abstractmethod
    def error(self, refusal: Refusal) -> Any:
        """A refusal's JSON."""

    def refuse(self, refusal: Refusal) -> tuple[int, dict[str, str], Any]:
        """A refusal's status, headers and JSON."""
        return refusal.status, refusal.headers, self.error(refusal)

    def dims(self, request: Request, width: int) -> int:
        """Numbers in each vector of the answer, for a model `width` wide."""
        return int(request.payload.get("output_dimension") or width)

    def model_width(self, model: str) -> int:
        """Numbers in a vector of this model."""
        return self.widths.get(model, self.width)

    def truncates(self, request: Request) -> bool:  # noqa: ARG002 - the default
        """Whether a text that is too long is cut without a word."""
        return False

    def text_limit(self, request: Request, limits: Limits) -> int | None:  # noqa: ARG002 - the default
        """Tokens that are read of one text."""
        return limits.tokens_per_item

    def read(self, request: Request, limits: Limits) -> list[Item]:
        """The items as the model reads them: cut, or refused with a `Refusal` when too long."""
        most = self.text_limit(request, limits)
        items: list[Item] = request.items
        if most is not None and (longest := max(map(count_tokens, items), default=0)) > most:
            if not self.truncates(request):
                raise self.too_long(most, longest)
            items = [truncate(item, most, keep_end=request.payload.get("truncate") == "START") for item in items]
        total, room = sum(map(count_tokens, items)), limits.tokens_per_request
        if room is not None and total > room:
            raise self.too_much(room, total)
        return items

    def too_much(self, limit: int, tokens: int) -> Refusal:
        """How this API words that all texts together are too long."""
        kind = "max_tokens_per_request"
        return Refusal(400, f"Requested {tokens} tokens, max {limit} tokens per request", code=kind, type_=kind)

    def too_long(self, limit: int, tokens: int) -> Refusal:
        """How this API words that one text is too long."""
        message = f"This model's maximum context length is {limit} tokens, however you requested {tokens} tokens."
        return Refusal(400, message, code="context_length_exceeded")


def as_list(raw: Any) -> list[Any] | None:
    """Items of an `input` field: a bare string or one list of token ids is one item; None for anything else."""
    if isinstance(raw, str) or (isinstance(raw, list) and raw and all(type(part) is int for part in raw)):
        return [raw]
    return raw if isinstance(raw, list) else None


def need_model(request: Request) -> None:
    """Refuse a request that names no model."""
    if not request.model:
        raise Refusal(400, "you must provide a model parameter")


def need_texts(items: Iterable[Any], message: str, *, empty: bool) -> None:
    """Refuse anything but strings, and empty ones too unless `empty`."""
    if any(not isinstance(item, str) or (item == "" and not empty) for item in items):
        raise Refusal(400, message)


def written(vectors: list[Any], *, packed: bool) -> list[Any]:
    """Vectors as JSON holds them: lists of numbers, or base64 of float32 if `packed` and every value is a number."""
    if packed and not any(isinstance(vector, list) for vector in vectors):
        return [vector if vector is None else base64.b64encode(vector.tobytes()).decode() for vector in vectors]
    return [vector.tolist() if isinstance(vector, np.ndarray) else vector for vector in vectors]


def without(reply: dict[str, Any], answer: Answer, **names: str) -> dict[str, Any]:
    """The reply less the parts that a fault leaves out; `names` say what `usage` and `data` are called here."""
    gone = {name for part, name in names.items() if part in answer.missing}
    return {name: part for name, part in reply.items() if name not in gone}
