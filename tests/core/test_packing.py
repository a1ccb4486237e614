"""Batches hold as much as the limits let, and never more."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core.packing import pack
from embedbridge._core.tokens import estimate_tokens
from embedbridge._core.types import Limits, Route

ROUTE = Route("document")
sizes = st.lists(st.integers(1, 40), max_size=30)
limits = st.builds(Limits, items=st.integers(1, 6), tokens=st.none() | st.integers(1, 60))
counts = st.dictionaries(st.integers(0, 29), st.integers(1, 40))


def packed(sizes, limits, counted=None, rows=None):
    texts = ["x" * size for size in sizes]
    rows = range(len(texts)) if rows is None else rows
    return pack(rows, texts, sizes, limits=limits, route=ROUTE, counted=counted or {})


def test_no_rows_make_no_batches():
    assert packed([], Limits()) == []


@given(sizes, limits, counts)
def test_every_row_travels_once_with_its_text_and_in_order_within_a_request(sizes, limits, counted):
    batches = packed(sizes, limits, counted)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(sizes)))
    assert all(batch.rows == tuple(sorted(batch.rows)) for batch in batches)
    assert all(len(text) == sizes[row] for batch in batches for text, row in zip(batch.texts, batch.rows, strict=True))


@given(sizes, limits, counts)
def test_no_batch_passes_a_limit_unless_it_is_a_single_text(sizes, limits, counted):
    for batch in packed(sizes, limits, counted):
        assert len(batch.rows) <= limits.items
        bound = sum(counted.get(row, sizes[row]) for row in batch.rows)
        assert limits.tokens is None or bound <= limits.tokens or len(batch.rows) == 1


@given(sizes, limits, counts)
def test_no_batch_had_room_for_the_next_text(sizes, limits, counted):
    for batch, following in pairwise(packed(sizes, limits, counted)):
        rows = (*batch.rows, following.rows[0])
        too_many = len(rows) > limits.items
        assert too_many or sum(counted.get(row, sizes[row]) for row in rows) > limits.tokens


@given(sizes, limits)
def test_a_batch_knows_its_tokens_by_count_or_by_estimate(sizes, limits):
    for batch in packed(sizes, limits, {0: 3}):
        assert batch.tokens == sum(3 if row == 0 else estimate_tokens(sizes[row]) for row in batch.rows)


def test_only_the_rows_that_are_asked_for_travel():
    (batch,) = packed([1, 2, 3, 4], Limits(), rows=[3, 1])
    assert batch.rows == (3, 1)
    assert batch.texts == ("xxxx", "xx")


def test_bytes_bound_tokens_so_that_no_tokenizer_is_needed():
    batches = packed([100] * 10, Limits(tokens=300))
    assert [len(batch.rows) for batch in batches] == [3, 3, 3, 1]
    counted = dict.fromkeys(range(10), 25)
    assert [len(batch.rows) for batch in packed([100] * 10, Limits(tokens=300), counted)] == [10]


@given(sizes, limits, counts)
def test_padded_batches_stay_within_longest_times_size(sizes, limits, counted):
    limits = Limits(items=limits.items, tokens=limits.tokens, padded=True)
    batches = packed(sizes, limits, counted)
    tokens = {row: counted.get(row) or estimate_tokens(size) for row, size in enumerate(sizes)}
    lengths = [[tokens[row] for row in batch.rows] for batch in batches]
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(sizes)))
    assert [length for batch in lengths for length in batch] == sorted(tokens.values(), reverse=True)
    for batch in lengths:
        assert len(batch) <= limits.items
        assert limits.tokens is None or batch[0] * len(batch) <= limits.tokens or len(batch) == 1
    for batch, _ in pairwise(lengths):
        assert len(batch) == limits.items or batch[0] * (len(batch) + 1) > limits.tokens
