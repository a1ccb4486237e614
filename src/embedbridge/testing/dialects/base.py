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

__all__ = ["Dialect", "as_list", "need_model", "need_texts", "without", "written"]


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
        """Whether embeddings are asked for at this path.

        Args:
            path: without the query.

        Returns:
            True: `parse` is called next.
        """

    @abstractmethod
    def parse(self, request: Request) -> None:
        """Fill `request.items` (and `groups`) from its JSON.

        Args:
            request: with its payload.

        Raises:
            Refusal: no text can be found in it.
        """

    @abstractmethod
    def check(self, request: Request, limits: Limits) -> None:
        """Refuse what the real service refuses, but for the size of texts.

        Args:
            request: with its items.
            limits: of the server.

        Raises:
            Refusal: as the real service words it.
        """

    @abstractmethod
    def write(self, request: Request, answer: Answer) -> dict[str, Any]:
        """Write the answer.

        Args:
            request: what was asked.
            answer: what it holds, faults included.

        Returns:
            The answer's JSON.
        """

    @abstractmethod
    def error(self, refusal: Refusal) -> Any:
        """Write a refusal.

        Args:
            refusal: what is wrong.

        Returns:
            Its JSON.
        """

    def refuse(self, refusal: Refusal) -> tuple[int, dict[str, str], Any]:
        """Write a refusal whole.

        Args:
            refusal: what is wrong.

        Returns:
            Its status, headers and JSON.
        """
        return refusal.status, refusal.headers, self.error(refusal)

    def dims(self, request: Request, width: int) -> int:
        """How many numbers each vector of the answer has.

        Args:
            request: what was asked.
            width: of the model's own vectors.

        Returns:
            Numbers per vector.
        """
        return int(request.payload.get("output_dimension") or width)

    def model_width(self, model: str) -> int:
        """How many numbers the model's own vectors have.

        Args:
            model: its name.

        Returns:
            Numbers per vector.
        """
        return self.widths.get(model, self.width)

    def truncates(self, request: Request) -> bool:
        """Whether a text that is too long is truncated silently.

        Args:
            request: as it was received.

        Returns:
            False: it is refused.
        """
        return False

    def text_limit(self, request: Request, limits: Limits) -> int | None:
        """How many tokens are read of one text.

        Args:
            request: with its items.
            limits: of the server.

        Returns:
            None: no limit.
        """
        return limits.tokens_per_item

    def read(self, request: Request, limits: Limits) -> list[Item]:
        """The items as the model reads them.

        Args:
            request: with its items.
            limits: of the server.

        Returns:
            Each item, truncated where the server does that.

        Raises:
            Refusal: a text, or all of them together, is too long.
        """
        most = self.text_limit(request, limits)
        items: list[Item] = request.items
        if most is not None and (longest := max(map(count_tokens, items), default=0)) > most:
            if not self.truncates(request):
                raise self.too_long(most, longest)
            items = [truncate(item, most, keep_end=request.payload.get("truncate") == "START") for item in items]
        total, room = sum(map(count_tokens, items)), limits.tokens_per_request
        if room is not None and total > room:
            kind = "max_tokens_per_request"
            raise Refusal(400, f"Requested {total} tokens, max {room} tokens per request", code=kind, type_=kind)
        return items

    def too_long(self, limit: int, tokens: int) -> Refusal:
        """How this API words that one text is too long.

        Args:
            limit: tokens.
            tokens: of the longest text.

        Returns:
            The refusal.
        """
        message = f"This model's maximum context length is {limit} tokens, however you requested {tokens} tokens."
        return Refusal(400, message, code="context_length_exceeded")


def as_list(raw: Any) -> list[Any] | None:
    """Items of an `input` field: a bare string or one list of token ids is one item.

    Args:
        raw: the field's value.

    Returns:
        None for anything else.
    """
    if isinstance(raw, str) or (isinstance(raw, list) and raw and all(type(part) is int for part in raw)):
        return [raw]
    return raw if isinstance(raw, list) else None


def need_model(request: Request) -> None:
    """Refuse a request that names no model.

    Args:
        request: as it was received.

    Raises:
        Refusal: it names none.
    """
    if not request.model:
        raise Refusal(400, "you must provide a model parameter")


def need_texts(items: Iterable[Any], message: str, *, empty: bool) -> None:
    """Refuse anything but strings.

    Args:
        items: of a request.
        message: of the refusal.
        empty: let empty strings through.

    Raises:
        Refusal: an item is no string, or empty.
    """
    if any(not isinstance(item, str) or (item == "" and not empty) for item in items):
        raise Refusal(400, message)


def written(vectors: list[Any], *, packed: bool) -> list[Any]:
    """Vectors as JSON holds them.

    Args:
        vectors: arrays, or what a fault has made of them.
        packed: base64 of float32 is wanted, and is given where every value is a number.

    Returns:
        Lists of numbers, or texts.
    """
    if packed and not any(isinstance(vector, list) for vector in vectors):
        return [vector if vector is None else base64.b64encode(vector.tobytes()).decode() for vector in vectors]
    return [vector.tolist() if isinstance(vector, np.ndarray) else vector for vector in vectors]


def without(reply: dict[str, Any], answer: Answer, **names: str) -> dict[str, Any]:
    """Leave out the parts of a reply that a fault names.

    Args:
        reply: the whole JSON.
        answer: with its faults.
        **names: what `usage` and `data` are called here.

    Returns:
        The rest of it.
    """
    gone = {name for part, name in names.items() if part in answer.missing}
    return {name: part for name, part in reply.items() if name not in gone}
