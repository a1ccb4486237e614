"""What every API of the server has to say: its paths, its limits' wording, its answer and its error shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

from embedbridge.testing.answer import Answer
from embedbridge.testing.limits import Limits, check_key
from embedbridge.testing.published import Pages
from embedbridge.testing.request import Refusal, Request
from embedbridge.testing.vectors import Item, count_tokens, truncate

from ._alike import as_list, need_model, need_texts, without, written

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
    def write(self, request: Request, answer: Answer) -> Any:
        """Write the answer.

        Args:
            request: what was asked.
            answer: what it holds, faults included.

        Returns:
            The answer's JSON.
        """

    def headers(self, answer: Answer) -> dict[str, str]:
        """What a good answer's headers say besides.

        Args:
            answer: what it holds.

        Returns:
            Values by name.
        """
        return {}

    def pages(self, limits: Limits) -> Pages:
        """What it answers besides embeddings.

        Args:
            limits: of the server.

        Returns:
            Pages by path.
        """
        return {}

    def admit(self, request: Request, keys: AbstractSet[str] | None) -> None:
        """Refuse a key that is not among `keys`.

        Args:
            request: with its headers.
            keys: those that are known; None accepts all.

        Raises:
            Refusal: the key is unknown.
        """
        check_key(request, keys)

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
            raise self.too_much(room, total)
        return items

    def too_much(self, limit: int, tokens: int) -> Refusal:
        """How this API words that all texts together are too long.

        Args:
            limit: tokens that a request may have.
            tokens: that it has.

        Returns:
            What to raise.
        """
        kind = "max_tokens_per_request"
        return Refusal(400, f"Requested {tokens} tokens, max {limit} tokens per request", code=kind, type_=kind)

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
