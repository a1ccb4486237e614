import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cache.parts import make_items, make_keys, make_vectors, older_half
from embedbridge.cache._codec import age, decode_many, decode_pieces, encode_many, is_sound, seal, unseal


def test_vectors_come_back_bit_for_bit_in_the_order_of_the_keys():
    keys, vectors = make_keys(300), make_vectors(300)
    found = encode_many(keys, vectors, list(range(300)), [2 * number for number in range(300)])
    hits = decode_many(keys[::-1], found)
    assert np.array_equal(hits.vectors, vectors[::-1])
    assert hits.vectors.dtype == np.float32
    assert hits.vectors.flags.c_contiguous
    assert hits.rows.tolist() == list(range(300))
    assert hits.tokens.tolist() == list(range(299, -1, -1))
    assert hits.before.tolist() == [2 * number for number in range(299, -1, -1)]


def test_only_what_was_found_is_a_hit_and_nothing_found_is_an_empty_matrix():
    keys, found = make_keys(5), make_items(5)
    del found[keys[1]], found[keys[3]]
    assert decode_many(keys, found).rows.tolist() == [0, 2, 4]
    nothing = decode_many(keys, {})
    assert nothing.vectors.shape == (0, 0)
    assert len(nothing.rows) == len(nothing.tokens) == len(nothing.before) == 0


def test_tokens_that_are_not_known_stay_unknown():
    keys = make_keys(1)
    hits = decode_many(keys, encode_many(keys, make_vectors(1), [-1], [-1]))
    assert (hits.tokens.tolist(), hits.before.tolist()) == ([-1], [-1])


@given(st.integers(0, 8 * 88 - 1))
def test_every_single_turned_bit_is_noticed(bit):
    ((key, value),) = make_items(1).items()
    assert len(value) == 88
    damaged = bytearray(value)
    damaged[bit // 8] ^= 1 << bit % 8
    assert not is_sound(key, bytes(damaged))
    assert not len(decode_many([key], {key: bytes(damaged)}).rows)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_a_miss(value):
    keys = make_keys(2)
    hits = decode_many(keys, {keys[0]: value, **dict([list(make_items(2).items())[1]])})
    assert hits.rows.tolist() == [1]


@given(st.integers(0, 88))
def test_a_value_cut_short_is_a_miss(length):
    ((key, value),) = make_items(1).items()
    assert len(decode_many([key], {key: value[:length]}).rows) == (length == 88)


def test_a_value_under_anothers_key_is_a_miss():
    first, second = make_keys(2)
    values = make_items(2)
    assert not len(decode_many([first], {first: values[second]}).rows)


def test_a_newer_version_is_a_miss_even_with_a_right_checksum():
    ((key, value),) = make_items(1).items()
    newer = seal(key, value[:2] + bytes([value[2] + 1]) + value[3:-4])
    assert unseal(key, newer) is not None
    assert not is_sound(key, newer)
    assert not len(decode_many([key], {key: newer}).rows)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_a_miss(number):
    keys, vectors = make_keys(3), make_vectors(3)
    vectors[1, 5] = number
    assert decode_many(keys, encode_many(keys, vectors, [1] * 3, [1] * 3)).rows.tolist() == [0, 2]


def test_numbers_so_large_that_their_sum_overflows_are_finite_all_the_same():
    keys, vectors = make_keys(1), np.full((1, 16), np.finfo(np.float32).max, np.float32)
    assert decode_many(keys, encode_many(keys, vectors, [1], [1])).rows.tolist() == [0]


def test_another_width_than_asked_for_is_a_miss():
    keys = make_keys(4)
    found = {**make_items(4), **dict(list(make_items(4, width=8).items())[:2])}
    assert decode_many(keys, found, 16).rows.tolist() == [2, 3]
    assert decode_many(keys, found, 8).rows.tolist() == [0, 1]
    assert decode_many(keys, found).rows.tolist() == [0, 1], "the first sound value decides"


def test_a_header_that_lies_about_its_width_is_a_miss():
    ((key, value),) = make_items(1).items()
    lying = seal(key, value[:4] + (8).to_bytes(4, "little") + value[8:-4])
    assert not len(decode_many([key], {key: lying}).rows)


def test_a_value_alone_is_read_as_it_is_in_company():
    key, other = make_keys(2)
    vectors = make_vectors(1)
    value, half = (encode_many([key], vectors, [7], [9], dtype)[key] for dtype in ("float32", "float16"))
    lying = seal(key, value[:4] + (8).to_bytes(4, "little") + value[8:-4])
    newer = seal(key, value[:2] + bytes([value[2] + 1]) + value[3:-4])
    infinite = encode_many([key], vectors * np.inf, [7], [9])[key]
    empty = encode_many([key], vectors[:, :0], [7], [9])[key]
    for width, exact in itertools.product((None, 16, 8), (True, False)):
        for case in (value, half, lying, newer, infinite, empty, value[:-1], b"", b"?" * len(value)):
            alone = decode_many([key], {key: case}, width, exact=exact)
            company = decode_many([other, key], {key: case}, width, exact=exact)
            assert alone.rows.tolist() == [row - 1 for row in company.rows]
            assert np.array_equal(alone.vectors, company.vectors)
            assert (alone.tokens.tolist(), alone.before.tolist()) == (company.tokens.tolist(), company.before.tolist())
            assert alone.vectors.dtype == np.float32


def test_both_storage_types_are_read_side_by_side():
    keys, vectors = make_keys(4), make_vectors(4)
    found = encode_many(keys[:2], vectors[:2], [1, 2], [1, 2], "float16")
    found |= encode_many(keys[2:], vectors[2:], [3, 4], [3, 4])
    hits = decode_many([keys[2], keys[0], keys[3], keys[1]], found)
    assert hits.rows.tolist() == [0, 1, 2, 3]
    assert hits.tokens.tolist() == [3, 1, 4, 2]
    assert np.array_equal(hits.vectors[[0, 2]], vectors[2:])
    assert decode_many([keys[2], keys[0], keys[3], keys[1]], found, exact=True).rows.tolist() == [0, 2]


def test_float16_takes_half_the_space_and_is_off_by_one_part_in_2048_at_most():
    keys, vectors = make_keys(200), make_vectors(200, width=512)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = encode_many(keys, vectors, [1] * 200, [1] * 200, "float16")
    assert len(found[keys[0]]) == 24 + 2 * 512
    error = np.abs(decode_many(keys, found).vectors - vectors)
    assert (error <= np.abs(vectors) / 2048).all()


@given(hnp.arrays(np.float32, (3, 6), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_no_number_of_whatever_size_is_off_by_more_in_float16(vectors):
    """Small numbers were cut or lost, and with them the direction of a vector of small numbers."""
    keys = make_keys(3)
    found = encode_many(keys, vectors, [1] * 3, [1] * 3, "float16")
    for hits in (decode_many(keys, found).vectors, np.vstack([decode_many([key], found).vectors for key in keys])):
        assert (np.abs(hits.astype(float) - vectors) <= np.abs(vectors.astype(float)) / 2048).all()


@pytest.mark.parametrize("exponent", range(-140, 120, 20))
def test_vectors_of_any_one_magnitude_are_never_zero_in_float16_and_take_half_the_space(exponent):
    """Vectors of tiny numbers are stored times a power of two."""
    keys = make_keys(1)
    vectors = np.ldexp(np.array([[1, -2, 3, 0.001]], np.float32), exponent)
    found = encode_many(keys, vectors, [1], [1], "float16")
    if -110 < exponent < 14:
        assert len(found[keys[0]]) == 24 + 2 * 4
    assert np.allclose(decode_many(keys, found).vectors, vectors, rtol=1 / 2048, atol=0)


def test_one_number_too_small_beside_the_others_is_kept_by_float32():
    """Float16 has no number that is 1e-12 of another to 1 part in 2048, whatever both are multiplied by."""
    keys, vectors = make_keys(1), np.array([[1.0, 1e-12]], np.float32)
    assert np.array_equal(decode_many(keys, encode_many(keys, vectors, [1], [1], "float16")).vectors, vectors)


def test_entries_in_float16_of_earlier_releases_are_read_unless_they_may_have_lost_their_direction():
    """What is all zero or subnormal there may have been any vector, so it is a miss; others are read."""
    rows = [[1.0, 0.25], [6.2e-5, 0.0], [6e-5, 6e-8], [1e-9, 3e-9], [0.0, 0.0]]
    keys = make_keys(len(rows))
    found = {key: older_half(key, row) for key, row in zip(keys, rows, strict=True)}
    assert decode_many(keys, found).rows.tolist() == [0, 1]
    assert decode_many(keys, found).vectors.tolist() == np.array(rows[:2], np.float16).astype(float).tolist()
    assert [len(decode_many([key], found).rows) for key in keys] == [1, 1, 0, 0, 0]


def test_a_format_of_float16_that_nobody_has_written_is_a_miss():
    keys = make_keys(2)
    for form in (0, 3, 63, 191, 255):
        found = {key: older_half(key, [1.0, 2.0], form) for key in keys}
        assert not len(decode_many(keys, found).rows)
        assert not len(decode_many(keys[:1], found).rows)


def test_numbers_that_float16_cannot_hold_are_stored_as_float32():
    keys, vectors = make_keys(2), make_vectors(2)
    vectors[0, 0] = 1e6
    found = encode_many(keys, vectors, [1, 1], [1, 1], "float16")
    assert np.array_equal(decode_many(keys, found).vectors, vectors)


def test_decoding_pieces_in_any_order_gives_what_decoding_at_once_gives():
    keys, found = make_keys(1300), make_items(1300)
    keys += keys[:5]  # two texts may share a part
    for key in keys[100:900:7]:
        del found[key]
    found[keys[3]] = b"damaged"
    at_once = decode_many(keys, found)
    stored, stranger = sorted(found), {b"?" * 32: found[keys[0]]}
    pieces = [{key: found[key] for key in stored[at : at + 300]} for at in range(0, len(stored), 300)]
    in_pieces = decode_pieces(keys, [stranger, *pieces, pieces[0]])
    order = np.argsort(in_pieces.rows)
    for name in ("rows", "vectors", "tokens", "before"):
        assert np.array_equal(getattr(at_once, name), getattr(in_pieces, name)[order])
    assert in_pieces.vectors.flags.c_contiguous


def test_age_is_counted_from_encoding_and_is_never_negative():
    (value,) = encode_many(make_keys(1), make_vectors(1), [1], [1], now=1000.5).values()
    assert age(value, 1060.0) == 60
    assert age(value, 10.0) == 0


@pytest.mark.parametrize("counts", [(2, 1, 2, 2), (1, 2, 1, 1), (2, 2, 1, 2), (2, 2, 2, 1)])
def test_lists_of_different_lengths_are_refused_rather_than_stretched(counts):
    keys, vectors, tokens, before = counts
    with pytest.raises(ValueError, match="keys"):
        encode_many(make_keys(keys), make_vectors(vectors), [1] * tokens, [1] * before)


def test_no_vectors_are_no_values():
    assert encode_many([], np.empty((0, 16), np.float32), [], []) == {}
