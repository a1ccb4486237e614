"""An answer passes only with one sound vector for each text, in the order of the texts."""

from __future__ import annotations

import base64
import itertools
import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core import replies
from embedbridge._core.replies import check_reply
from embedbridge._core.types import Reply
from embedbridge.errors import RequestFailed
from support.cases import each

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]
TRUTH = np.array(ROWS, dtype=np.float32)


def packed(row):
    return base64.b64encode(np.array(row, dtype="<f4").tobytes()).decode()


def refused(items, count=3, *, indices=None, width=None):
    """The kind of the failure."""
    with pytest.raises(RequestFailed) as caught:
        check_reply(Reply(items, indices), count, width=width)
    assert caught.value.billed
    return caught.value.kind


def with_fault(fault):
    """What becomes of an answer whose second vector is `fault`."""
    return check_reply(Reply([ROWS[0], fault, ROWS[2]]), 3, width=3)


@pytest.mark.parametrize(
    "items",
    [
        ROWS,
        TRUTH,
        TRUTH.astype(np.float64),
        TRUTH.astype(np.int8),
        np.asfortranarray(TRUTH),
        list(TRUTH),
        [packed(row) for row in ROWS],
        [tuple(map(int, row)) for row in ROWS],
        [ROWS[0], packed(ROWS[1]), TRUTH[2]],
    ],
    ids=["lists", "matrix", "doubles", "bytes", "columns", "arrays", "base64", "integers", "mixed"],
)
def test_vectors_are_read_however_they_come(items):
    sound = check_reply(Reply(items), 3, width=None)
    assert np.array_equal(sound.vectors, TRUTH)
    assert sound.vectors.dtype == np.float32
    assert sound.vectors.flags.c_contiguous
    assert sound.positions == (0, 1, 2)
    assert not sound.faults


@given(st.permutations(range(6)), st.sampled_from(["lists", "matrix", "base64"]))
def test_order_goes_by_the_answers_own_numbering(order, form):
    truth = np.arange(1, 19, dtype=np.float32).reshape(6, 3)
    rows = truth[order]
    items = {"lists": rows.tolist(), "matrix": rows, "base64": [packed(row) for row in rows]}[form]
    assert np.array_equal(check_reply(Reply(items, order), 6, width=3).vectors, truth)


@given(st.permutations(range(6)), st.sets(st.integers(0, 5), min_size=1, max_size=5))
def test_a_fault_is_booked_on_the_text_that_it_belongs_to(order, bad):
    truth = np.arange(1, 19, dtype=np.float32).reshape(6, 3)
    items = [None if position in bad else truth[position].tolist() for position in order]
    sound = check_reply(Reply(items, order), 6, width=3)
    assert set(sound.faults) == bad
    assert sound.positions == tuple(position for position in range(6) if position not in bad)
    assert np.array_equal(sound.vectors, truth[list(sound.positions)])


@pytest.mark.parametrize("indices", [None, [None, None, None]])
def test_without_a_numbering_wire_order_is_the_order(indices):
    assert np.array_equal(check_reply(Reply(ROWS, indices), 3, width=None).vectors, TRUTH)


@pytest.mark.parametrize(
    "indices",
    [
        [0, 0, 1],
        [2, 3, 4],
        [0, 1, 3],
        [0, 1, -1],
        [0, None, None],
        [0, 0, None],
        [None, 2, 3],
        [0, 1],
        [0, 1, 2, 3],
        [0, 1, 2.5],
        [0, 1, "x"],
        [0, 1, "-1"],
        [0, 1, "٢"],
        [0, 1, float("nan")],
        [0, 1, [2]],
        [False, True, 2],
    ],
)
def test_a_broken_numbering_is_no_numbering(indices):
    assert refused(ROWS, indices=indices) == "index"


@pytest.mark.parametrize(
    "indices",
    [
        [2, 0, None],
        [2, None, 1],
        [None, 0, 1],
        [3, 1, 2],
        [2, 0, 1.0],
        ["2", "0", "1"],
        ["3", 1, 2.0],
        ["2.0", "0.0", "1.0"],
    ],
    ids=str,
)
def test_a_numbering_that_can_only_mean_one_thing_is_one(indices):
    """W1: one number left out, numbers from one, digits as text."""
    sound = check_reply(Reply([ROWS[2], ROWS[0], ROWS[1]], indices), 3, width=3)
    assert np.array_equal(sound.vectors, TRUTH)


def test_an_answer_in_bfloat16_is_not_taken_for_half_as_many_numbers_of_float32():
    """W12: also where nobody knows the width; and float32 that was cast from less stays float32."""
    truth = np.random.default_rng(3).normal(size=(4, 64)).astype("<f4")
    halved = (truth.view("<u4") >> 16 << 16).view("<f4")
    as_two_bytes = [base64.b64encode((row.view("<u4") >> 16).astype("<u2").tobytes()).decode() for row in halved]
    for items, expected in (
        (as_two_bytes, halved),
        ([packed(row) for row in halved], halved),
        ([packed(row) for row in truth], truth),
        ([packed(row) for row in truth.astype("<f2").astype("<f4")], truth.astype("<f2")),
    ):
        assert np.array_equal(check_reply(Reply(items), 4, width=None).vectors, expected)


def test_bytes_with_sign_are_numbers_where_the_width_says_so_and_bytes_without_are_refused():
    """W12: nobody says where the zero of the latter is."""
    signed = np.clip(np.random.default_rng(3).normal(size=(3, 64)) * 40, -127, 127).astype("i1")
    items = [base64.b64encode(row.tobytes()).decode() for row in signed]
    assert np.array_equal(check_reply(Reply(items), 3, width=64).vectors, signed)
    unsigned = (signed.astype(int) + 128).astype("u1")
    assert refused([base64.b64encode(row.tobytes()).decode() for row in unsigned], width=64) == "width"


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.translate(str.maketrans("+/", "-_")),
        lambda text: text.rstrip("="),
        lambda text: "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
        lambda text: f"data:application/octet-stream;base64,{text}",
    ],
    ids=["url-safe", "no end", "lines", "data URL"],
)
def test_base64_of_any_spelling_is_read(written):
    """W12: each can only mean one thing."""
    truth = np.random.default_rng(1).normal(size=(3, 65)).astype("<f4")
    items = [written(base64.b64encode(row.tobytes()).decode()) for row in truth]
    assert np.array_equal(check_reply(Reply(items), 3, width=65).vectors, truth)


@given(st.permutations(range(5)), st.integers(0, 4), st.sampled_from([int, str, float]))
def test_any_one_number_may_be_left_out_of_any_order(order, left_out, form):
    """W1: as proto3 does with a zero."""
    truth = np.arange(1, 16, dtype=np.float32).reshape(5, 3)
    indices = [None if at == left_out else form(at) for at in order]
    assert np.array_equal(check_reply(Reply(truth[order], indices), 5, width=3).vectors, truth)


@pytest.mark.parametrize("items", [[], ROWS[:2], [*ROWS, ROWS[0]], TRUTH[:2], np.zeros((0, 3))])
def test_a_vector_too_few_or_too_many_makes_all_of_them_doubtful(items):
    assert refused(items) == "count"


@pytest.mark.parametrize(
    "items", [None, 3, np.float32(3), np.array(3.0), iter(ROWS)], ids=lambda items: type(items).__name__
)
def test_what_is_no_list_holds_no_vectors(items):
    assert refused(items) == "count"


@pytest.mark.parametrize("items", [ROWS, TRUTH, [packed(row) for row in ROWS]])
def test_another_width_than_the_known_one_is_refused_with_both(items):
    with pytest.raises(RequestFailed, match=r"3 dimensions, 1536 expected") as caught:
        check_reply(Reply(items), 3, width=1536)
    assert caught.value.kind == "width"


@pytest.mark.parametrize("short", [[], [1.0], [1.0, 2.0, 3.0, 4.0], packed([1.0, 2.0]), ""])
@pytest.mark.parametrize("width", [3, None])
def test_w12_a_vector_of_another_width_than_most_is_left_out(short, width):
    """W12: as one that is null or NaN is."""
    sound = check_reply(Reply([ROWS[0], short, ROWS[2]], [2, 1, 0]), 3, width=width)
    assert (sound.positions, list(sound.faults)) == ((0, 2), [1])
    assert re.search(r"another width than the others, \d dimensions, 3 expected", sound.faults[1])
    assert np.array_equal(sound.vectors, TRUTH[[2, 0]])


def test_w12_one_packed_vector_of_another_size_does_not_decide_the_format():
    """W12: the others are read as they are."""
    truth = np.random.default_rng(1).normal(size=(8, 64)).astype("<f2")
    items = [base64.b64encode(row.tobytes()).decode() for row in truth]
    for width, bad in itertools.product((64, None), ("", items[3][:40], "AAA=")):
        sound = check_reply(Reply([*items[:3], bad, *items[4:]]), 8, width=width)
        assert list(sound.faults) == [3]
        assert np.array_equal(sound.vectors, np.delete(truth, 3, axis=0).astype(np.float32))


@pytest.mark.parametrize(
    ("items", "width"),
    [
        ([ROWS[0], [1.0], [2.0, 3.0]], None),
        ([ROWS[0], ROWS[1], [1.0], [2.0]], None),
        ([ROWS[0], [1.0]], 3),
        ([ROWS[0], [1.0, 2.0], [3.0, 4.0]], 3),
        ([ROWS[0], [], []], None),
    ],
)
def test_where_no_width_is_that_of_most_or_it_is_not_the_known_one_all_vectors_are_doubtful(items, width):
    assert refused(items, len(items), width=width) == "width"


@pytest.mark.parametrize("items", [[[], [], []], ["", "", ""], np.zeros((3, 0))])
def test_a_vector_without_numbers_is_none(items):
    assert refused(items) in {"width", "value"}


def test_a_matrix_of_more_dimensions_is_refused():
    assert refused(np.ones((3, 1, 3))) == "width"
    assert refused(np.ones(3)) == "width"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (None, "null"),
        ([1.0, None, 3.0], "not "),
        ([1.0, float("nan"), 3.0], "not finite"),
        ([1.0, float("inf"), 3.0], "not finite"),
        ([1.0, -float("inf"), 3.0], "not finite"),
        ([1e39, 2.0, 3.0], "not finite"),
        ([1e30, 2.0, 3.0], "too long"),
        ([10**400, 2.0, 3.0], "not numbers"),
        ([0.0, 0.0, 0.0], "all zero"),
        ([0, -0.0, 0], "all zero"),
        (packed([0, 0, 0]), "all zero"),
        (packed([1, float("nan"), 3]), "not finite"),
        ("no base64!", "neither numbers nor base64"),
        ("AAA=", "neither numbers nor base64"),
        ([1.0, "2.0", 3.0], "not numbers"),
        (["1.0", "2.0", "3.0"], "not numbers"),
        ([True, False, True], "not numbers"),
        ([1.0, [2.0], 3.0], "not numbers"),
        ([[1.0, 2.0, 3.0]], "not one row"),
        (7.0, "not one row"),
        ({"values": ROWS[1]}, "not numbers"),
        ([1j, 2.0, 3.0], "not numbers"),
    ],
    ids=repr,
)
def test_a_bad_vector_is_left_out_and_the_others_are_kept(fault, said):
    sound = with_fault(fault)
    assert list(sound.faults) == [1]
    assert said in sound.faults[1]
    assert sound.positions == (0, 2)
    assert np.array_equal(sound.vectors, TRUTH[[0, 2]])


@pytest.mark.parametrize("fault", [float("nan"), float("inf"), 1e39])
def test_a_bad_row_of_a_matrix_is_left_out_too(fault):
    matrix = TRUTH.astype(np.float64)
    matrix[1, 1] = fault
    assert check_reply(Reply(matrix), 3, width=3).faults == {1: "not finite"}


def test_numbers_whose_bytes_are_in_another_order_are_found_out():
    vector = np.random.default_rng(7).normal(size=384)
    swapped, straight = ((vector / np.linalg.norm(vector)).astype(order).tobytes() for order in (">f4", "<f4"))
    sound = check_reply(Reply([base64.b64encode(each).decode() for each in (swapped, straight)]), 2, width=384)
    assert list(sound.faults) == [0]


def test_numbers_too_small_for_a_float_are_not_nothing():
    assert with_fault([1e-40, 0.0, 0.0]).positions == (0, 1, 2)


@pytest.mark.parametrize("items", [[None] * 3, ["?"] * 3, [{}] * 3])
def test_an_answer_without_one_readable_vector_is_refused(items):
    assert refused(items) == "value"


def test_an_answer_of_zeros_has_faults_only():
    sound = check_reply(Reply(np.zeros((3, 3))), 3, width=3)
    assert sound.positions == ()
    assert sound.vectors.shape == (0, 3)
    assert sorted(sound.faults) == [0, 1, 2]


def test_the_answer_is_not_written_to():
    items = [[3.0, 4.0], [5.0, 6.0]]
    check_reply(Reply(items, [1, 0]), 2, width=2)
    assert items == [[3.0, 4.0], [5.0, 6.0]]


def pack(rows, dtype):
    if dtype == "bfloat16":
        return [
            base64.b64encode((row.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()).decode() for row in rows
        ]
    return [base64.b64encode(row.astype(dtype).tobytes()).decode() for row in rows]


@pytest.mark.parametrize(
    ("dtype", "width"),
    [("<f4", None), ("<f8", None), ("<f2", None), ("<f4", 96), ("<f8", 96), ("<f2", 96), ("bfloat16", 96)],
)
@given(seed=st.integers(0, 1000))
def test_packed_numbers_of_another_format_are_found_out(dtype, width, seed):
    """W12: by their length where the width is known, else by what numbers of a vector look like."""
    truth = np.random.default_rng(seed).normal(size=(2, 96))
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    sound = check_reply(Reply(pack(truth, dtype)), 2, width=width)
    assert np.allclose(sound.vectors, truth, atol=1e-2 if dtype == "bfloat16" else 1e-3)


def test_packed_numbers_that_fit_no_format_are_of_another_width():
    truth = np.random.default_rng(7).normal(size=(2, 96))
    assert refused(pack(truth, "<f4"), 2, width=128) == "width"


@pytest.mark.parametrize("number", ["0100a07f", "0100a0ff", "0000807f", "000080ff", "ffffff7f", "01000000", "00000080"])
@pytest.mark.parametrize("width", [8, None])
def test_w12_hostile_numbers_are_faults_and_no_warnings_of_numpys(number, width):
    """W12: signalling NaN, infinity, the largest and the smallest number, and minus zero."""
    truth = np.random.default_rng(5).normal(size=(3, 8)).astype("<f4")
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    bad = np.frombuffer(bytes.fromhex(number) * 8, "<f4")
    small = number == "01000000"
    forms = [
        [*map(packed, truth[:2]), base64.b64encode(bytes.fromhex(number) * 8).decode()],
        np.stack([*truth[:2], bad]),
        [*truth[:2], bad],
        [*truth[:2].tolist(), [1e300] * 8],
    ]
    for items in forms[: 3 if small else 4]:
        with warnings.catch_warnings(), np.errstate(all="raise"):
            warnings.simplefilter("error")
            sound = check_reply(Reply(items), 3, width=width)
        assert sound.positions == ((0, 1, 2) if small else (0, 1))
        assert np.array_equal(sound.vectors[:2], truth[:2])


@each(("dtype", "exact"), [("<f4", True), ("<f2", False), ("bfloat16", False), ("<f8", True)])
@each(("count", "width"), [(8, 8), (1, 31), (3, 16), (2, 64)])
@each("scale", [None, 0.05, 1.0, 10.0])
def test_w12_few_packed_numbers_are_read_rightly(dtype, exact, count, width, scale):
    """W12: unit length proves a format; without it a few numbers are enough from 64 on."""
    for seed in range(10):
        truth = np.random.default_rng(seed).normal(size=(count, width))
        truth = truth * scale if scale else truth / np.linalg.norm(truth, axis=1, keepdims=True)
        if scale is None or count * width >= 64:
            sound = check_reply(Reply(pack(truth, dtype)), count, width=None)
            assert sound.vectors.shape == truth.shape
            assert np.allclose(sound.vectors, truth, rtol=1e-6 if exact else 1e-2, atol=1e-6)


def test_w12_two_bytes_a_number_of_unknown_length_are_refused_with_what_to_do():
    """W12: eight numbers of bfloat16 may as well be others."""
    items = pack(np.random.default_rng(7).normal(size=(1, 8)) * 10, "bfloat16")
    with pytest.raises(RequestFailed, match=r"pass dimensions=…, or .*'encoding_format': None"):
        check_reply(Reply(items), 1, width=None)
    assert check_reply(Reply(items), 1, width=8).vectors.shape == (1, 8)


WHOLE = {
    "whole numbers": lambda random, shape: random.integers(-127, 128, shape),
    "large whole numbers": lambda random, shape: random.integers(-1000, 1000, shape),
    "counts": lambda random, shape: random.poisson(1.0, shape),
    "signs": lambda random, shape: random.choice([-1.0, 1.0], shape),
    "zeros and ones": lambda random, shape: random.integers(0, 2, shape),
    "halves": lambda random, shape: random.integers(-20, 20, shape) / 2,
    "powers of two": lambda random, shape: 2.0 ** random.integers(-6, 3, shape),
    "few that are not zero": lambda random, shape: random.integers(1, 9, shape) * (random.random(shape) < 0.1),
    "cast from float32": lambda random, shape: random.normal(size=shape).astype(np.float32),
}
REFUSED_AS = {
    "<f4": {"signs"},
    "<f8": set(),
    ">f8": set(),
    ">f4": {"signs"},
    "<f2": WHOLE.keys(),
    "bfloat16": WHOLE.keys(),
}
"""What may be refused, because it is ambiguous."""


@each("dtype", REFUSED_AS)
@each("make", WHOLE)
@each(("count", "width"), [(1, 768), (2, 384), (32, 96)])
def test_packed_numbers_with_few_digits_are_read_rightly_or_refused(dtype, make, count, width):
    """Whole numbers of eight bytes are not taken for four times as many of two."""
    for seed in range(3):
        truth = WHOLE[make](np.random.default_rng(seed), (count, width)).astype(np.float64)
        sound = read_or_refused(pack(truth, dtype), count)
        if isinstance(sound, str):
            assert make in REFUSED_AS[dtype]
            assert "pass dimensions=…" in sound
        else:
            assert sound.vectors.shape == truth.shape
            assert np.allclose(sound.vectors, truth, rtol=1e-2)


def read_or_refused(items, count):
    try:
        return check_reply(Reply(items), count, width=None)
    except RequestFailed as failure:
        return str(failure)


def test_a_number_that_is_none_does_not_make_its_vector_wider():
    """Of eight bytes each, one of them not a number."""
    truth = np.random.default_rng(3).normal(size=(4, 96))
    truth[1, 7] = np.nan
    assert refused(pack(truth, "<f8"), 4, width=None) == "value"


def test_no_number_of_a_json_answer_is_looked_at_for_a_mask(monkeypatch):
    """One look takes longer than it takes NumPy to read a hundred numbers."""
    looked = []
    monkeypatch.setattr(np.ma, "is_masked", looked.append)
    assert np.array_equal(check_reply(Reply([[1.0, 2, 3.0]]), 1, width=None).vectors, [[1, 2, 3]])
    assert looked == []


@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 8, 256]), st.integers(1, 4), st.sampled_from(["<f4", ">f4", ""]))
def test_the_short_way_of_a_usual_answer_reads_what_the_thorough_way_reads(seed, width, count, dtype):
    rows = np.random.default_rng(seed).standard_normal((count, width))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    sent = [base64.b64encode(row.astype(dtype).tobytes()).decode() if dtype else row.tolist() for row in rows]
    with np.errstate(all="ignore"):
        usual = replies._usual_matrix(sent, width)
        thorough, faults = replies._matrix(sent, width)
    assert not faults
    assert (usual is None) == (dtype == ">f4")
    assert usual is None or (np.array_equal(usual, thorough) and usual.flags.writeable)


@pytest.mark.parametrize("odd", [None, "0.1", 10**400, [0.1], 1e300, float("nan")])
def test_one_odd_number_in_a_list_is_a_fault_of_its_vector_alone(odd):
    rows = [[0.6, 0.8, 0.0], [0.6, 0.8, odd], [0.6, 0.8, 0.0]]
    sound = check_reply(Reply(rows), 3, width=3)
    assert (sound.positions, [*sound.faults]) == ((0, 2), [1])
