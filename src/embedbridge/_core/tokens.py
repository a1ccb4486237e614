"""How long a text is, and where to cut it.

A token is at least one byte, so a text of N bytes has at most N tokens, but for characters that a normaliser takes
apart: only longer ones are counted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from embedbridge.errors import InputTooLongError

TooLong = Literal["truncate", "error", "mean"]

SPECIAL = 8
"""More special tokens than any model adds: a text with fewer bytes than the limit less these needs no tokenizer."""
BYTES_PER_TOKEN = 4
"""English prose under the usual vocabularies; other scripts come to 2-3."""
READ = 1 << 16
"""Characters. A text of at most so many is counted to its end; of a longer one only as much as the model reads."""
MOST_READ = 1 << 20
"""Characters, which a tokenizer reads in a second or two. What is behind them is never sent, whatever was before."""
SPARSE = 16
"""Characters per token, more than prose has: what a portion of a long text has for each token that the model reads."""
GROWTH = 4
"""How many times longer the next portion is, where the model could read more than the tokens of one."""
OVERHANG = 1024
"""Characters, more than a word has: with them behind it, a text's beginning has the tokens that it has in the text."""


def estimate_tokens(size: int) -> int:
    """A guess from a text's UTF-8 bytes, at least 1."""
    return max(1, -(-size // BYTES_PER_TOKEN))


@dataclass(frozen=True, slots=True)
class Bound:
    """How many tokens a provider can bill for a text at most."""

    added: int = 32
    """Tokens that it adds to every text: special ones, and instructions for a role."""
    normalises: bool = True
    """Its tokenizer may bring a text into another form first, which can be longer."""


EXPANSION = 11
"""The most bytes that Unicode's normal forms make of one byte of UTF-8 (UAX 15)."""


def utf8_size(text: str) -> int:
    """Bytes of a text in UTF-8. No byte-level tokenizer makes more tokens of it."""
    return len(text) if text.isascii() else len(text.encode())


class Counter(Protocol):
    """A tokenizer, used for lengths only."""

    @property
    def name(self) -> str:
        """Its name in reports; part of the cache key of texts that it may cut."""
        ...

    @property
    def exact(self) -> bool:
        """Whether it is the model's own tokenizer."""
        ...

    @property
    def overhead(self) -> int:
        """Special tokens that the model adds to every text, counted against its limit."""
        ...

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Where the tokens of a text are.

        Args:
            text: any.

        Returns:
            The first character of each token, and the one after its last; no token ends inside a character.
        """
        ...

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens texts have.

        Args:
            texts: any.

        Returns:
            Tokens of each text, special ones not included.
        """
        ...


@dataclass(frozen=True, slots=True)
class ByteCounter:
    """An estimate where there is no tokenizer: one token for every `size` bytes of UTF-8."""

    size: int = BYTES_PER_TOKEN
    overhead: int = 0
    exact: bool = False
    piece_size: int | None = None
    """Bytes for a token of a text that is split, where that is to be on the safe side; None: as `size`."""

    @property
    def name(self) -> str:
        """Says that it is an estimate, and its rate."""
        least = f"{self.piece_size} to " if self.piece_size else ""
        return f"estimate, {least}{self.size} bytes a token"

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Runs of whole characters of at most `size` bytes each."""
        if text.isascii():
            ends = [*range(self.size, len(text), self.size), len(text)] if text else []
        else:
            ends = self._ends(text)
        return list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(self.spans(text)) for text in texts]

    def _ends(self, text: str) -> list[int]:
        ends, held = [], 0
        for at, char in enumerate(text):
            width = 1 if char < "\x80" else 2 if char < "\u0800" else 3 if char < "\U00010000" else 4
            held += width
            if held > self.size and held > width:
                ends.append(at)
                held = width
        return [*ends, len(text)]


@dataclass(frozen=True, slots=True)
class Measured:
    """What `measure` found out about a text."""

    tokens: int
    """Of the whole text, special tokens included; for a very long one, estimated from its beginning."""
    parts: tuple[tuple[str, int], ...]
    """What to embed, with its tokens: the text itself, its beginning, or all its pieces in order."""
    read: int = 0
    """Tokens that a model reads of a longer text which it cuts itself, between any two of them."""


def most_tokens(text: str, size: int, *, normalised: bool) -> int:
    """The most tokens that a text of `size` bytes can have, special ones not included.

    Args:
        text: to be counted.
        size: its UTF-8 bytes.
        normalised: whether the tokenizer may take characters apart, as NFKC does: one of 3 bytes can become 18.
    """
    if not normalised or len(text) == size:
        return size
    longest = unicodedata.normalize("NFKD", text)
    # The forms of characters that are younger than this Python's tables are not known.
    young = sum(text.count(char) * utf8_size(char) for char in set(text) if unicodedata.category(char) == "Cn")
    return max(size, utf8_size(longest), utf8_size(longest.casefold())) + (EXPANSION - 1) * young


def measure(text: str, counter: Counter, *, limit: int, policy: TooLong, prefix: str = "") -> Measured:
    """Apply a policy to one text. `limit` is in tokens, special tokens and `prefix` included.

    Raises `InputTooLongError` (without an index) under `error`.
    """
    room = max(1, limit - counter.overhead)
    spans, seen = _beginning(text, counter, room)
    whole = seen == len(text)
    tokens = (len(spans) if whole else max(room + 1, len(spans) * len(text) // seen)) + counter.overhead
    if whole and len(spans) <= room:
        return Measured(tokens, ((text, tokens),))
    if policy == "error":
        raise _too_long(tokens, limit, about=not (whole and counter.exact), unread=len(spans) <= room)
    if policy == "truncate":
        end, kept = seen, len(spans)
        if kept > room:
            _, end, kept = _take(text[:seen], spans, counter, room, tokens=room)
        return Measured(tokens, ((text[:end], kept + counter.overhead),), min(room, len(spans)) + counter.overhead)
    if isinstance(counter, ByteCounter) and counter.piece_size:
        counter = replace(counter, size=counter.piece_size)
    parts = [(piece, kept + counter.overhead) for piece, kept in _pieces(text, counter, room, prefix)]
    return Measured(max(tokens, sum(kept for _, kept in parts)), tuple(parts))


def _too_long(tokens: int, limit: int, *, about: bool, unread: bool) -> InputTooLongError:
    if unread:
        said = (
            f"over {MOST_READ} characters: longer texts are not counted to their end, though they may have few tokens"
        )
        return InputTooLongError(said, limit=limit)
    said = f"{'about ' if about else ''}{tokens} tokens, and the model reads {limit}"
    return InputTooLongError(said, tokens=tokens, limit=limit)


def _beginning(text: str, counter: Counter, room: int) -> tuple[Sequence[tuple[int, int]], int]:
    """Token spans of a text's beginning, and its length in characters: the whole text, or enough to fill the model.

    A portion that is not the whole text may have more tokens at its end, where it breaks off, than the text has there.
    """
    size = SPARSE // 2 * room + OVERHANG if len(text) > READ else len(text)
    most = max(MOST_READ, SPARSE * room)
    while True:
        size = min(size, len(text))
        spans = counter.spans(text[:size])
        whole = size == len(text)
        if whole or size >= most or (len(spans) > room and spans[room][1] <= size - OVERHANG):
            return spans, size
        size = min(max(READ, size * GROWTH), most)


def _take(
    text: str,
    spans: Sequence[tuple[int, int]],
    counter: Counter,
    room: int,
    *,
    tokens: int,
    first: int = 0,
    begin: int = 0,
    prefix: str = "",
) -> tuple[int, int, int]:
    """The longest piece from token `first` on, at most `tokens` long, that has at most `room` tokens by itself.

    A piece that was cut out inside a word may have more tokens by itself than it had in the text.

    Returns:
        The next token, its first character, and how many tokens the piece has.
    """
    while True:
        last = min(first + tokens, len(spans))
        end = spans[last][0] if last < len(spans) else len(text)
        end = max(end, begin + 1)
        alone = len(counter.spans(prefix + text[begin:end]))
        if alone <= room or tokens == 1:
            return last, end, alone
        tokens = max(1, tokens - (alone - room))


def _pieces(text: str, counter: Counter, room: int, prefix: str) -> Iterator[tuple[str, int]]:
    """Cut a text between tokens into pieces of at most `room` tokens, each with the prefix; tokenise it in portions."""
    size, step = max(READ, SPARSE * room), max(1, room - len(counter.spans(prefix)))
    at = len(prefix)
    while at < len(text):
        seen, final = text[at : at + size], at + size >= len(text)
        spans, first, begin = counter.spans(seen), 0, 0
        # The last piece of a portion may continue in the next one, which therefore begins with it.
        while first < len(spans) and (final or not first or len(spans) - first > step):
            first, end, kept = _take(seen, spans, counter, room, tokens=step, first=first, begin=begin, prefix=prefix)
            yield prefix + seen[begin:end], kept
            begin = end
        at += begin or len(seen)


def tally(counted: Mapping[int, int], sizes: Sequence[int], rows: Sequence[int], billed: int | None) -> list[int]:
    """Tokens of each row: counted, else estimated; scaled so that their sum is what the provider billed, if it says."""
    tokens = [counted.get(row) or estimate_tokens(sizes[row]) for row in rows]
    if billed is None:
        return tokens
    scale = billed / (sum(tokens) or 1)
    return [max(1, round(count * scale)) for count in tokens]
