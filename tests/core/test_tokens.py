"""How long a text is, and where it is cut."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core.tokens import ByteCounter, estimate_tokens, measure, most_tokens, tally
from embedbridge.errors import InputTooLongError


@dataclass
class WholeWords:
    """One token a word however long, none for blanks: as WordPiece treats words that it does not know."""

    name: str = "words"
    overhead: int = 2
    exact: bool = True
    handed: list[int] = field(default_factory=list)
    """Characters of each text that was to be counted."""

    def spans(self, text):
        self.handed.append(len(text))
        return [match.span() for match in re.finditer(r"\S+", text)]


class SingleBytes:
    """One token a byte, as byte-level BPE treats letters that it has not seen: four of them can share a character."""

    name = "bytes"
    overhead = 0
    exact = True

    def spans(self, text):
        return [(at, at + 1) for at, char in enumerate(text) for _ in char.encode()]


COUNTERS = [ByteCounter(), ByteCounter(2), ByteCounter(4, overhead=2), WholeWords(), SingleBytes()]
counters = pytest.mark.parametrize("counter", COUNTERS, ids=lambda counter: type(counter).__name__)
# Letters of one to four bytes, a character of two code points, and blanks.
texts = st.text(st.sampled_from("aé€😀e\u0301 \n"), min_size=1, max_size=60)
rooms = st.integers(8, 20)


def tokens_of(counter, text):
    return len(counter.spans(text)) + counter.overhead


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(4, 9))
def test_without_a_tokenizer_a_token_is_a_run_of_whole_characters_of_so_many_bytes(text, size):
    spans = ByteCounter(size).spans(text)
    assert "".join(text[begin:end] for begin, end in spans) == text
    assert all(len(text[begin:end].encode()) <= size for begin, end in spans)
    assert len(spans) >= -(-len(text.encode()) // size)


@given(st.integers(0, 10_000))
def test_an_estimate_is_a_quarter_of_the_bytes_and_never_nothing(size):
    assert estimate_tokens(size) == max(1, (size + 3) // 4)


@counters
@given(texts, rooms)
def test_a_text_within_the_limit_is_left_as_it_is(counter, text, limit):
    tokens = tokens_of(counter, text)
    for policy in ("truncate", "error", "mean"):
        if tokens <= limit:
            assert measure(text, counter, limit=limit, policy=policy).parts == ((text, tokens),)


@counters
@given(texts, rooms)
def test_a_truncated_text_is_a_beginning_within_the_limit(counter, text, limit):
    found = measure(text, counter, limit=limit, policy="truncate")
    ((kept, tokens),) = found.parts
    assert text.startswith(kept)
    assert kept.encode().decode() == kept
    assert tokens_of(counter, kept) <= limit
    assert tokens <= limit
    assert found.tokens == tokens_of(counter, text)


@counters
@given(texts, rooms)
def test_a_truncated_text_is_not_cut_again(counter, text, limit):
    ((once, _),) = measure(text, counter, limit=limit, policy="truncate").parts
    ((twice, _),) = measure(once, counter, limit=limit, policy="truncate").parts
    assert once == twice


@given(texts, rooms)
def test_no_more_than_one_character_is_given_away(text, limit):
    ((kept, _),) = measure(text, SingleBytes(), limit=limit, policy="truncate").parts
    assert kept == text or len((kept + text[len(kept)]).encode()) > limit


@counters
@given(texts, rooms)
def test_a_text_over_the_limit_can_be_an_error_that_knows_both_numbers(counter, text, limit):
    tokens = tokens_of(counter, text)
    if tokens > limit:
        with pytest.raises(InputTooLongError, match=f"{tokens} tokens.*{limit}") as caught:
            measure(text, counter, limit=limit, policy="error")
        assert (caught.value.tokens, caught.value.limit) == (tokens, limit)


@counters
@given(texts, rooms, st.sampled_from(["", "q: "]))
def test_pieces_cover_the_text_each_behind_the_prefix_and_within_the_limit(counter, text, limit, prefix):
    found = measure(prefix + text, counter, limit=limit, policy="mean", prefix=prefix)
    pieces = [piece for piece, _ in found.parts]
    assert all(piece.startswith(prefix) for piece in pieces)
    assert "".join(piece.removeprefix(prefix) for piece in pieces) == text
    assert len(pieces) == 1 or all(piece != prefix for piece in pieces)
    assert all(tokens_of(counter, piece) <= limit for piece in pieces)
    assert all(tokens <= limit for _, tokens in found.parts)


def test_pieces_weigh_what_they_hold():
    found = measure("abcdefghij", SingleBytes(), limit=4, policy="mean")
    assert found.parts == (("abcd", 4), ("efgh", 4), ("ij", 2))


LONG = {
    "one letter": "x" * 2_000_000,
    "prose": "word " * 700_000,
    "unknown words": ("x" * 200 + " ") * 50_000,
    "blanks, then prose": " " * 100_000 + "word " * 700_000,
}
long_texts = pytest.mark.parametrize("text", LONG.values(), ids=LONG)


@long_texts
@pytest.mark.parametrize("policy", ["truncate", "error"])
def test_of_a_very_long_text_no_tokenizer_sees_more_than_a_beginning(text, policy):
    counter = WholeWords()
    if policy == "error":
        with pytest.raises(InputTooLongError) as caught:
            measure(text, counter, limit=512, policy=policy)
        assert (caught.value.tokens is None) == (text == LONG["one letter"])
    else:
        ((kept, tokens),) = measure(text, counter, limit=512, policy=policy).parts
        assert text.startswith(kept)
        assert tokens_of(counter, kept) == tokens <= 512
        assert len(kept) < len(text)
    assert sum(counter.handed) < 3_000_000


@pytest.mark.parametrize("policy", ["truncate", "error", "mean"])
@pytest.mark.parametrize(
    "text",
    [" " * 70_000 + "A sentence.", "one" + " " * 500_000 + "two", "x" * 1_000_000, "cell " + " " * 400 * 509 + "end"],
    ids=["blanks before", "blanks between", "one word", "a table"],
)
def test_a_long_text_of_few_tokens_is_left_as_it_is(text, policy):
    """L1: what fits is neither cut nor refused nor split, however many characters it has."""
    counter = WholeWords()
    assert measure(text, counter, limit=512, policy=policy).parts == ((text, tokens_of(counter, text)),)


def test_an_error_says_nothing_of_tokens_that_were_not_counted():
    """L1: of a text that is not read to its end, nobody says how many tokens it has."""
    with pytest.raises(InputTooLongError, match="not counted to their end") as caught:
        measure(" " * 3_000_000 + "x", WholeWords(), limit=512, policy="error")
    assert (caught.value.tokens, caught.value.limit) == (None, 512)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_normal_form_of_a_text_has_more_characters_than_its_most_tokens(text):
    """L6: a token is at least a character of the text as its tokenizer reads it."""
    most = most_tokens(text, len(text.encode()), normalised=True)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert len(unicodedata.normalize(form, text.lower())) <= most


@long_texts
def test_pieces_of_a_very_long_text_are_found_by_reading_it_three_times_at_most(text):
    counter = WholeWords()
    found = measure(text, counter, limit=512, policy="mean")
    assert sum(counter.handed) <= 3 * len(text)
    assert "".join(piece for piece, _ in found.parts).split() == text.split()


def test_a_million_letters_are_cut_in_the_right_place_without_a_tokenizer():
    ((kept, tokens),) = measure("x" * 1_000_000, ByteCounter(), limit=8191, policy="truncate").parts
    assert (kept, tokens) == ("x" * 4 * 8191, 8191)


def test_tokens_of_rows_are_as_counted_or_estimated_and_add_up_to_what_was_billed():
    assert tally({1: 7}, [40, 40, 40], [0, 1, 2], None) == [10, 7, 10]
    assert tally({}, [40, 80], [0, 1], 60) == [20, 40]
    assert tally({}, [40, 80], [0, 1], 0) == [1, 1]
