"""What a caller may hand over, and what is made of it before anything is sent."""

from __future__ import annotations

import collections
from enum import StrEnum

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core.prepare import check_input_type, check_text, check_texts, prepare
from embedbridge._core.types import Route
from embedbridge.errors import InvalidInputError
from support.cases import each

PLAIN = Route("document")
PREFIXED = Route("document", "passage: ")


class Title(str):
    __slots__ = ()

    def __str__(self):
        return "something else"


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "texts",
    [
        ("a", "b"),
        collections.deque(["a", "b"]),
        np.array(["a", "b"]),
        np.array(["a", "b"], dtype=object),
        pd.Series(["a", "b"], index=[7, 3]),
        pd.Index(["a", "b"]),
        {1: "a", 2: "b"}.values(),
        (letter for letter in "ab"),
        iter(["a", "b"]),
        map(str.lower, "AB"),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_whatever_gives_strings_one_after_another_is_a_list_of_texts(texts):
    assert check_texts(texts) == ["a", "b"]


def test_a_source_is_read_to_its_end_and_once():
    reads = []

    def source():
        for letter in "abc":
            reads.append(letter)
            yield letter

    assert check_texts(source()) == ["a", "b", "c"]
    assert reads == ["a", "b", "c"]


def test_the_callers_list_is_left_alone():
    texts = [Title("a"), "b"]
    assert check_texts(texts) is not texts
    assert type(texts[0]) is Title


@pytest.mark.parametrize("item", [Title("red"), np.str_("red"), Colour.RED])
def test_a_kind_of_string_counts_by_its_letters(item):
    assert [type(text) for text in check_texts([item])] == [str]
    assert check_texts([item]) == ["red"] == [check_text(item)]


async def _letters():
    yield "a"


@each(
    ("texts", "said"),
    [
        ("hello", r"one string.*\[text\]"),
        (Title("hello"), "one string"),
        (None, "None"),
        (b"hello", "bytes"),
        (bytearray(b"hello"), "bytearray"),
        (memoryview(b"hello"), "memoryview"),
        (7, "int"),
        (2.5, "float"),
        ({"a": 1}, "dict"),
        ({"a"}, "set"),
        (frozenset("a"), "frozenset"),
        ({"a": 1}.keys(), "dict_keys"),
        (np.array("hello"), "ndarray"),
        (np.array([["a", "b"], ["c", "d"]]), "ndarray"),
        (pd.DataFrame({"title": ["a"], "text": ["b"]}), "DataFrame"),
        (_letters(), "async_generator"),
        (["a"].__len__, "method"),
    ],
)
def test_what_is_no_list_of_strings_is_refused_by_its_kind(texts, said):
    with pytest.raises(InvalidInputError, match=said) as caught:
        check_texts(texts)
    assert caught.value.index is None
    assert caught.value.failed_indices == ()


@each(
    ("item", "kind"),
    [(None, "None"), (3, "int"), (2.5, "float"), (b"b", "bytes"), (["b"], "list"), (True, "bool"), (np.nan, "float")],
)
@each("kind_of_list", [list, tuple, iter])
def test_an_item_that_is_no_string_is_named_by_its_place_and_kind(item, kind, kind_of_list):
    with pytest.raises(InvalidInputError, match=f"text 2 is {kind}, not str") as caught:
        check_texts(kind_of_list(["a", "b", item, None]))
    assert caught.value.index == 2
    assert caught.value.failed_indices == (2,)


def test_a_gap_in_a_column_is_named():
    with pytest.raises(InvalidInputError, match="text 1 is"):
        check_texts(pd.Series(["a", None, "c"], dtype=object))


@pytest.mark.parametrize("text", [None, 3, b"q", ["q"]])
def test_a_query_that_is_no_string_is_refused(text):
    with pytest.raises(InvalidInputError, match="not str"):
        check_text(text)


@pytest.mark.parametrize("wrong", ["Query", "passage", "", None, 1, ["query"], "querry"])
def test_an_unknown_input_type_is_refused_with_the_known_ones(wrong):
    with pytest.raises(InvalidInputError, match="query, document, classification, clustering"):
        check_input_type(wrong)


def test_each_text_is_sent_once_and_every_place_finds_its_row():
    sheet = prepare(["b", "a", "b", "c", "a"], PLAIN, empty="error")
    assert sheet.texts == ["b", "a", "c"]
    assert sheet.encoded == [b"b", b"a", b"c"]
    assert sheet.where.tolist() == [0, 1, 0, 2, 1]
    assert sheet.places([0, 2]) == (0, 2, 3)


@given(st.lists(st.text("ab ", max_size=2)), st.sampled_from([PLAIN, PREFIXED]))
def test_every_place_finds_the_text_that_stood_there(texts, route):
    sheet = prepare(texts, route, empty="zero")
    assert len(set(sheet.texts)) == len(sheet.texts)
    for text, row in zip(texts, sheet.where.tolist(), strict=True):
        assert row == -1 if not text.strip() else sheet.texts[row] == route.prefix + text


def test_no_texts_make_an_empty_sheet():
    sheet = prepare([], PREFIXED, empty="error")
    assert (sheet.texts, sheet.encoded, sheet.where.tolist(), sheet.prefixed) == ([], [], [], None)
    assert sheet.places([]) == ()


def test_texts_that_differ_in_anything_are_different_texts():
    texts = ["Caf\u00e9", "Cafe\u0301", "café", " café", "café\n", "café\0"]
    assert prepare(texts, PLAIN, empty="error").texts == texts


def test_a_prefix_is_put_before_each_text_once():
    sheet = prepare(["a", "passage: b", "passage: a", "passage:c"], PREFIXED, empty="error")
    assert sheet.texts == ["passage: a", "passage: b", "passage: passage:c"]
    assert sheet.where.tolist() == [0, 1, 0, 2]
    assert sheet.prefixed == 1


def test_without_a_prefix_no_text_already_carries_it():
    assert prepare(["passage: a"], PLAIN, empty="error").prefixed is None


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u2003", "\r\n \x0b"])
def test_a_blank_text_is_an_error_that_names_every_place(blank):
    with pytest.raises(InvalidInputError, match=r"2 empty text.*1, 3;.*empty='zero'") as caught:
        prepare(["a", blank, "b", blank], PREFIXED, empty="error")
    assert caught.value.index == 1
    assert caught.value.failed_indices == (1, 3)


def test_many_blank_texts_are_all_in_the_error_and_few_in_its_message():
    with pytest.raises(InvalidInputError) as caught:
        prepare([""] * 1000, PLAIN, empty="error")
    assert len(str(caught.value)) < 200
    assert caught.value.failed_indices == tuple(range(1000))


def test_a_blank_text_can_be_no_row_at_all():
    sheet = prepare(["", "a", "  "], PREFIXED, empty="zero")
    assert sheet.texts == ["passage: a"]
    assert sheet.where.tolist() == [-1, 0, -1]


@pytest.mark.parametrize("broken", ["\ud800", "ok \udfff", "\udc80x"])
def test_a_lone_surrogate_is_named_by_its_first_place_without_the_text(broken):
    with pytest.raises(InvalidInputError, match="text 1 holds a lone surrogate") as caught:
        prepare(["fine", broken, "fine too", broken], PREFIXED, empty="error")
    assert caught.value.index == 1
    assert broken not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_pair_of_surrogates_that_was_read_as_one_character_is_fine():
    assert prepare(["😀"], PLAIN, empty="error").encoded == ["😀".encode()]


def test_a_title_before_a_text_stands_in_place_of_the_prefix():
    route, form = Route("document", "title: none | text: "), "title: {title} | text: "
    texts = ["title: A | text: a", "b", "title: | text: c", "title: none | text: d"]
    sheet = prepare(texts, route, empty="error", titled=form)
    assert sheet.texts == [texts[0], "title: none | text: b", f"title: none | text: {texts[2]}", texts[3]]
    assert sheet.prefixed == 3
    assert prepare(texts, route, empty="error").texts[0] == f"title: none | text: {texts[0]}"
