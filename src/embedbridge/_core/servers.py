"""What a server can be asked besides vectors: its limits, and the tokens of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server publishes of itself; None, "": it does not."""

    items: int | None = None
    """Texts that a request may hold."""
    text_tokens: int | None = None
    """Tokens that are read of a text."""
    tokenizer: str = ""
    """Which way of counting tokens the server has."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A small request for something else than vectors."""

    method: Literal["GET", "POST"]
    url: str
    body: Mapping[str, Any] | None = None


class Server(Protocol):
    """What a server of a known make can be asked besides vectors: how to ask, and what the answers mean."""

    def fact_inquiries(self) -> Sequence[Inquiry]:
        """How to ask for what the server publishes of itself.

        Returns:
            Small requests.
        """
        ...

    def read_facts(self, answers: Sequence[Any]) -> Facts:
        """What the answers say.

        Args:
            answers: JSON, or None, in the order of `fact_inquiries`.

        Returns:
            What is known then.
        """
        ...

    def count_inquiries(self, tokenizer: str, texts: Sequence[str]) -> Sequence[Inquiry]:
        """How to ask for the tokens of texts.

        Args:
            tokenizer: as `Facts.tokenizer` names it.
            texts: to be counted.

        Returns:
            Small requests.
        """
        ...

    def read_counts(self, tokenizer: str, answers: Sequence[Any]) -> list[int] | None:
        """What the answers say of the tokens of texts.

        Args:
            tokenizer: as `Facts.tokenizer` names it.
            answers: JSON, or None, in the order of `count_inquiries`.

        Returns:
            Tokens of each text, special ones included; None where an answer does not say it.
        """
        ...
