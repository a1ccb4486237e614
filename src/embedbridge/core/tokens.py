"""How long a text is, and where to cut it.

A BPE or WordPiece token is at least one byte, so a text of N bytes has at most N tokens: only longer ones are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .errors import InputTooLongError

TooLong = Literal["truncate", "error", "mean"]

BYTES_PER_TOKEN = 4
"""English prose under the usual vocabularies; other scripts come to 2-3."""


def estimate_tokens(size: int) -> int:
    """A guess from a text's UTF-8 bytes, at least 1."""
    return max(1, -(-size // BYTES_PER_TOKEN))


class Counter(Protocol):
    """A tokenizer, as far as length is concerned."""

    @property
    def exact(self) -> bool:
        """Whether it is the model's own tokenizer."""
        ...

    @property
    def overhead(self) -> int:
        """Special tokens that the model adds to every text, counted against its limit."""
        ...

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each token begins and ends in `text`, in characters; none of them cuts a character."""
        ...


@dataclass(frozen=True, slots=True)
class ByteCounter:
    """Where no tokenizer is to be had: one token for every `size` bytes of UTF-8, never cutting a character."""

    size: int = BYTES_PER_TOKEN
    overhead: int = 0
    exact: bool = False

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Runs of characters that come to `size` bytes or less."""
        if text.isascii():
            return [(at, min(at + self.size, len(text))) for at in range(0, len(text), self.size)]
        spans, begin, held = [], 0, 0
        for at, char in enumerate(text):
            width = len(char.encode())
            if held and held + width > self.size:
                spans.append((begin, at))
                begin, held = at, 0
            held += width
        spans.append((begin, len(text)))
        return spans


@dataclass(frozen=True, slots=True)
class Measured:
    """A text against its limit."""

    tokens: int
    """Of the whole text, special tokens included."""
    parts: tuple[tuple[str, int], ...]
    """What will be embedded, with its tokens: the text itself, its beginning, or all its pieces in order."""


def measure(text: str, counter: Counter, *, limit: int, policy: TooLong, prefix: str = "") -> Measured:
    """Apply a policy to one text. `limit` is in tokens, special tokens and `prefix` included.

    Raises `InputTooLongError` (without an index) under `error`.
    """
    # Beyond this no tokenizer needs to look: no vocabulary has words this long, and the time stays bounded.
    seen = text[: max(limit, 1) * 64] if policy == "truncate" else text
    spans = counter.spans(seen)
    room = max(1, limit - counter.overhead)
    tokens = len(spans) + counter.overhead
    if len(seen) < len(text):
        tokens = max(tokens, round(tokens * len(text) / len(seen)))
    if len(spans) <= room:
        return Measured(tokens, ((text, tokens),))
    if policy == "error":
        raise InputTooLongError(f"{tokens} tokens, and the model reads {limit}", tokens=tokens, limit=limit)
    if policy == "truncate":
        # The next token may begin inside the last one's character.
        return Measured(tokens, ((text[: min(spans[room - 1][1], spans[room][0])], limit),))
    return Measured(tokens, tuple(_pieces(text, spans, room, counter.overhead, prefix)))


def _pieces(
    text: str, spans: Sequence[tuple[int, int]], room: int, overhead: int, prefix: str
) -> list[tuple[str, int]]:
    """Cut at token borders into pieces of at most `room` tokens, each behind the prefix."""
    pieces = []
    head = sum(1 for begin, _ in spans if begin < len(prefix))
    step = max(1, room - head)
    starts = range(head, len(spans), step)
    for start in starts:
        end = min(start + step, len(spans))
        begin = spans[start][0] if start > head else len(prefix)
        until = spans[end][0] if end < len(spans) else len(text)
        pieces.append((prefix + text[begin:until], head + end - start + overhead))
    return pieces


def truncation_part(policy: TooLong, limit: int | None) -> str:
    """The truncation's place in a cache key."""
    return f"{policy}:{limit or 'server'}"


def tally(counted: Mapping[int, int], sizes: Sequence[int], rows: Sequence[int], billed: int | None) -> list[int]:
    """Tokens of each row: as counted, else estimated; scaled to what the provider billed for all of them."""
    tokens = [counted.get(row) or estimate_tokens(sizes[row]) for row in rows]
    if billed is None:
        return tokens
    scale = billed / (sum(tokens) or 1)
    return [max(1, round(count * scale)) for count in tokens]
