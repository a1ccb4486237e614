"""What a server has taught of its limits: by refusals, by what it publishes, and by the tokens that it counts.

No cache key is made of it. The key of a long text names the policy and the limit that was known beforehand, and its
vector stands for as much of the text as the server reads; what was learnt only says how to get there in fewer requests.
"""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from embedbridge.errors import RequestFailed

from .servers import Facts
from .types import Limits, Vectors

if TYPE_CHECKING:
    from .text_sizes import Unit

FEWEST_RATE, MOST_RATE = 1 / 6, 1.0
"""Tokens per byte: of the longest words, and of letters that a vocabulary lacks. Nothing is known of other texts."""
DOUBT = 0.12
"""How far, as a share, the rate of a text may lie beyond those that were seen of its kind."""
MIXED = 0.2
"""The same between texts of which only the sum is known."""
SPARE = 0.02
"""How much smaller a request is made, as a share, than the rate of those before it would allow."""
USUAL_RATE = 0.3
"""Tokens per byte of a request, where none was answered before: of prose."""
SHORTEST = 200
"""Bytes; the rate of a shorter text says little."""
SMALL = 1 << 16
"""Bytes of a request whose texts are looked at in a moment, on the event loop."""
LARGE = 128
"""Texts; a refused request of so many or more is quartered, a smaller one halved, where nobody says how many may be."""
SAMPLE = 1 << 13
"""Characters at a text's beginning and in its middle by which its kind is told: code is half prose in some places."""
UNNAMED = 0.75
"""The share of a text that is kept when nobody names a number."""
_BLANKS = string.whitespace.encode()
_CLASSES = string.ascii_letters.encode(), string.digits.encode(), _BLANKS
_ITEMS = re.compile(r"(inputs?|texts|items|documents|instances|requests|array|batch.?size)\b", re.IGNORECASE)
_TOKENS = re.compile("token", re.IGNORECASE)


@dataclass(slots=True)
class Learnt:
    """One server's limits for one model. Shared by threads without a lock: a number that is lost is learnt again."""

    items: int | None = None
    """Texts in a request."""
    tokens: int | None = None
    """Tokens in a request."""
    rate: float | None = None
    """Tokens per byte of requests: the most that was seen of late."""
    size: int | None = None
    """Bytes of all texts in a request."""
    text_tokens: int | None = None
    """Tokens of a text, special ones included."""
    text_sizes: dict[Unit, int] = field(default_factory=dict)
    """What else a text may have at most: so many characters, or bytes."""
    fits: int | None = None
    """Tokens of a text that was accepted after longer ones were refused, where nobody names the limit."""
    proved: bool = False
    """Whether `fits` and `text_tokens` are in tokens that nobody counts: they say nothing of texts of a kind that has
    no rate."""
    longest: int = 0
    """Bytes of the longest text that was accepted."""
    contradicts: bool = False
    """Whether the server has refused a text which, by the model's own tokenizer here, it should have read."""
    tokenizer: str = ""
    """How the server is asked for the tokens of a text; "": it cannot be."""
    most_items: int = 0
    """Texts in the largest request that was accepted."""
    most_size: int = 0
    refused_whole: bool = False
    """Whether a request was once refused, though each of its texts was accepted in a smaller one."""
    guesses: dict[str, int | None] = field(default_factory=dict)
    """Which of the limits are guesses, and what they were before."""
    rates: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Kind of text → the fewest and the most tokens per byte that were seen of it."""
    asked: list[Future[Vectors | None]] = field(default_factory=list)
    """The first entry is of whoever asks the server for what it publishes; done with the answer."""
    settled: bool = False
    """Whether the server has been asked for what it publishes."""

    def apply(self, limits: Limits) -> Limits:
        """Limits known beforehand, lowered to what was learnt; of tokens, by the rate that was seen."""
        tokens, size = self.tokens, self.size
        if tokens is not None and self.rate is not None and not limits.padded:
            size, tokens = _lower(size, max(1, math.floor(tokens / self.rate * (1 - SPARE)))), None
        return replace(
            limits,
            items=_lower(limits.items, self.items) or 1,
            tokens=_lower(limits.tokens, tokens),
            size=_lower(limits.size, size),
        )

    def take(self, facts: Facts) -> None:
        """Learn what the server publishes."""
        self.items = _lower(self.items, facts.items)
        self.text_tokens = _lower(self.text_tokens, facts.text_tokens)
        self.tokenizer = facts.tokenizer

    def too_long(self, tokens: int | None, limit: int | None) -> None:
        """Learn from a text that was refused: its tokens, as the server says, and the limit, as far as it is known."""
        if limit is not None:
            # Some servers mean "fewer than".
            self.text_tokens = _lower(self.text_tokens, limit if tokens is None else min(limit, tokens - 1))

    def refused(self, sizes: Sequence[int], failure: RequestFailed, padded: int | None = None) -> None:
        """Learn from a request that was too large, also for a server's memory.

        Where the server names no number, the request's own is divided: a guess, until a text is refused by itself. A
        request that was packed before others taught the same is not divided once more.

        Args:
            sizes: bytes of the request's texts.
            failure: what the server said.
            padded: tokens of the request, where texts are padded to the longest.
        """
        count, size, said = len(sizes), sum(sizes), f"{failure.code} {failure}"
        share = 4 if count >= LARGE else 2
        if self._refused_by_number(size, failure.numbers, padded=padded is not None):
            return
        if padded is not None:
            if padded <= (self.tokens or padded):
                self._guess("tokens", -(-padded // 2))
        elif _ITEMS.search(said) and not _TOKENS.search(said):
            if self.most_items < count <= (self.items or count):
                self._guess("items", max(self.most_items, -(-count // share)))
        elif _TOKENS.search(said):
            if size <= (self.size or size):
                self._guess("size", -(-size // share))
        elif self.most_size < size <= (self.size or size):
            middle = count // 2
            self._guess("size", max(sum(sizes[:middle]), sum(sizes[middle:])))

    def _refused_by_number(self, size: int, numbers: Mapping[str, int], *, padded: bool) -> bool:
        """Learn the limit that a refusal names, if any, from a request of `size` bytes."""
        most = numbers.get("bytes") or numbers.get("characters") or size  # no text has more characters than bytes
        if "items" in numbers:
            self.items = _lower(self.items, max(1, numbers["items"]))
        elif "limit" in numbers and not padded:
            self.refused_in_total(size, numbers["limit"], numbers.get("tokens"))
        elif most < size:
            self._guess("size", math.floor(most * (1 - SPARE)))
        else:
            return False
        return True

    def accepted_apart(self, sizes: Sequence[int], said: str) -> None:
        """Learn from a request that was refused without a known reason, and whose texts all were accepted in parts.

        The limit is guessed between the largest request that was accepted and this one.

        Args:
            sizes: bytes of the request's texts.
            said: the server's words.
        """
        count, size = len(sizes), sum(sizes)
        if self.most_items < count <= (self.items or count) and not _TOKENS.search(said):
            self._guess("items", (self.most_items + count) // 2)
        elif self.most_size < size <= (self.size or size):
            self._guess("size", (self.most_size + size) // 2)

    def refused_in_total(self, size: int, limit: int, tokens: int | None) -> None:
        """Learn from a request of `size` bytes that has more tokens in all than a request may have: a guess.

        Args:
            size: bytes of all texts.
            limit: of tokens, as the server says.
            tokens: of all texts, as the server says; None: it does not say, so only that they are more than `limit`.
        """
        rate = (tokens or limit) / size
        if tokens is None:
            known = self.rate or USUAL_RATE
            rate = max(rate, known / UNNAMED if size * known <= limit else known)  # it has more than was thought
        self.rate = max(self.rate or 0.0, rate)
        self._guess("tokens", _lower(self.tokens, limit) or limit)

    def billed(self, size: int, tokens: int) -> None:
        """Learn from a request of `size` bytes that was answered, and its tokens."""
        rate = tokens / size
        if size >= SHORTEST and FEWEST_RATE <= rate <= MOST_RATE:  # else the server bills something else than tokens
            known = self.rate or rate
            self.rate = max(rate, known + (rate - known) / 4)

    def fitted(self, tokens: int) -> None:
        """Learn from a text of so many tokens that was cut until it was accepted, where nobody names the limit."""
        if self.fits is None:
            self.fits, self.text_tokens = tokens, _lower(self.text_tokens, math.ceil(tokens / UNNAMED))

    def passed(self, text: str, size: int) -> None:
        """Learn from a text that was cut until it was accepted, where nobody names a limit, nor counts tokens."""
        if self.fits is None:
            self.proved = True
            self.fitted(math.ceil(self.guess(text, size)))
        if self.proved and self.fits:
            self.counted(text, size, self.fits)

    def limits_kind(self, text: str) -> bool:
        """Whether the limit of a text that was learnt says how much of such a one is read."""
        return not self.proved or kind_of(text) in self.rates

    def _guess(self, name: str, limit: int) -> None:
        self.guesses.setdefault(name, getattr(self, name))
        setattr(self, name, limit)

    def unlearn_guesses(self) -> None:
        """Forget limits that no server has named: a text is refused by itself, so it was not how many there were."""
        guesses, self.guesses = self.guesses, {}
        for name, before in guesses.items():
            setattr(self, name, before)

    def accepted(self, count: int, sizes: int) -> None:
        """Learn from a request that was answered."""
        self.most_items, self.most_size = max(self.most_items, count), max(self.most_size, sizes)

    def counted(self, text: str, size: int, tokens: int) -> None:
        """Learn from a text whose tokens the server has named."""
        if size >= SHORTEST and tokens > 0:
            self._learn_rate(kind_of(text), tokens / size)

    def counted_in_total(self, texts: Sequence[str], size: int, tokens: int) -> None:
        """Learn from texts, of `size` bytes together, that were answered in one request, if all are of one new kind."""
        plausible = 0 < tokens <= len(texts) * (self.text_tokens or 0)
        if plausible and SHORTEST <= size <= SMALL and len(kinds := {kind_of(text) for text in texts}) == 1:
            rate = tokens / size
            self.rates.setdefault(kinds.pop(), (rate * (1 - MIXED), rate * (1 + MIXED)))

    def _learn_rate(self, kind: str, rate: float) -> None:
        low, high = self.rates.get(kind, (rate, rate))
        self.rates[kind] = min(low, rate), max(high, rate)

    def bounds(self, text: str, size: int) -> tuple[int, int]:
        """The fewest and the most tokens that a text of `size` bytes has, as far as texts of its kind show it."""
        low, high = self.rates.get(kind_of(text), (0.0, 0.0))
        if not high:
            solid = len(text.encode().translate(None, _BLANKS))  # a run of blanks may be one token, or none
            return math.floor(solid * FEWEST_RATE), math.ceil(size * MOST_RATE)
        return math.floor(size * low * (1 - DOUBT)), math.ceil(size * high * (1 + DOUBT))

    def guess(self, text: str, size: int) -> float:
        """Tokens of a text: in the middle of what texts of its kind have; English prose where none was seen."""
        low, high = self.rates.get(kind_of(text), (0.25, 0.25))
        return size * (low + high) / 2


def kind_of(text: str) -> str:
    """What sort of text it is, of those that differ in tokens per byte: by its script, digits, blanks and signs.

    How dense it is, and how sparse, is told to a factor of two.
    """
    middle = max(SAMPLE, len(text) // 2)
    sample = text[:SAMPLE] + text[middle : middle + SAMPLE]
    if sample.isascii():
        raw = sample.encode()
        letters, digits, blanks = (len(raw) - len(raw.translate(None, chars)) for chars in _CLASSES)
        solid, signs = len(raw) - blanks, len(raw) - letters - digits - blanks
        dense, sparse = (digits + signs) * 64 // max(1, solid), len(raw) // max(1, solid)
        return f"ascii {dense.bit_length()} {'digits' if digits > signs else 'signs'} {sparse.bit_length()}"
    scripts: Counter[str] = Counter()
    for char, times in Counter(sample).items():
        if not char.isascii():
            scripts[unicodedata.name(char, "?").split(" ", 1)[0]] += times
    (script, count), *_ = scripts.most_common(1)
    return f"{script} {min(3, 4 * count // len(sample))}"


def _lower(first: int | None, second: int | None) -> int | None:
    return min((limit for limit in (first, second) if limit is not None), default=None)


_known: dict[Hashable, Learnt] = {}


def learnt_of(server: Hashable | None) -> Learnt:
    """What is learnt of a server, by all of a process's embedders that ask it; None: by one embedder alone."""
    return Learnt() if server is None else _known.setdefault(server, Learnt())


def forget() -> None:
    """Forget what all servers have taught, for tests that start another server at the same address."""
    _known.clear()
