"""What happens to a provider's vectors before a caller sees them, and who makes them narrower."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from embedbridge._core.finish import Finish, Width, plan_width, unit_length
from embedbridge.errors import ConfigurationError

# Wider than any model's numbers, and within the squares that a float can hold.
numbers = st.just(0.0) | st.floats(2**-20, 2**20, width=32) | st.floats(-(2**20), -(2**-20), width=32)
tables = arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(1, 8)), elements=numbers)


class Doubling:
    """A reduction to two numbers that do not have unit length."""

    fingerprint = "doubling"

    def transform(self, vectors):
        return np.ascontiguousarray(2 * vectors[:, :2])


def lengths(vectors):
    return np.linalg.norm(vectors.astype(np.float64), axis=1)


@given(tables)
def test_unit_length_is_one_and_zero_stays_zero(vectors):
    before = vectors.copy()
    unit = unit_length(vectors)
    assert unit.dtype == np.float32
    assert np.array_equal(vectors, before)
    zero = ~vectors.any(axis=1)
    assert np.allclose(lengths(unit)[~zero], 1.0, atol=1e-6)
    assert not unit[zero].any()


@given(tables)
def test_unit_length_keeps_the_direction(vectors):
    assert np.allclose(unit_length(vectors) * lengths(vectors)[:, None], vectors, rtol=1e-5)


@given(tables)
def test_nothing_to_do_changes_nothing(vectors):
    assert Finish()(vectors) is vectors


@given(tables, st.integers(1, 8))
def test_a_cut_keeps_the_beginning_at_unit_length(vectors, cut):
    finished = Finish(cut=cut)(vectors)
    if cut >= vectors.shape[1]:
        assert finished is vectors
    else:
        assert np.array_equal(finished, unit_length(vectors[:, :cut]))
        assert finished.flags.c_contiguous
    assert finished.dtype == np.float32


def test_a_cut_can_be_left_as_long_as_it_is():
    vectors = np.array([[3.0, 4.0, 5.0]], dtype=np.float32)
    assert np.array_equal(Finish(cut=2, normalize=False)(vectors), [[3.0, 4.0]])


def test_steps_come_in_order_and_unit_length_last():
    vectors = np.array([[3.0, 4.0, 5.0], [0.0, 0.0, 1.0]], dtype=np.float32)
    assert np.allclose(Finish(cut=2, reduction=Doubling())(vectors), [[1.2, 1.6], [0.0, 0.0]])
    assert np.allclose(Finish(cut=2, reduction=Doubling(), normalize=True)(vectors), [[0.6, 0.8], [0.0, 0.0]])


def test_no_vectors_of_an_unknown_width_are_left_alone():
    assert Finish(cut=2, reduction=Doubling(), normalize=True)(np.zeros((0, 0), dtype=np.float32)).shape == (0, 0)


def plan(dimensions, *, native=768, by_api=False, trained=(), force=False):
    return plan_width(dimensions, native=native, by_api=by_api, trained=trained, model="local:some-model", force=force)


@pytest.mark.parametrize(
    ("how", "width"),
    [
        ({"dimensions": None}, Width()),
        ({"dimensions": None, "native": None}, Width()),
        ({"dimensions": 768}, Width()),
        ({"dimensions": 768, "by_api": True}, Width()),
        ({"dimensions": 256, "by_api": True}, Width(asked=256)),
        ({"dimensions": 256, "by_api": True, "native": None}, Width(asked=256)),
        ({"dimensions": 256, "trained": (768, 512, 256)}, Width(cut=256)),
        ({"dimensions": 256, "trained": range(64, 769)}, Width(cut=256)),
        ({"dimensions": 256, "trained": (768, 512, 256), "native": None}, Width(cut=256)),
        ({"dimensions": 100, "force": True}, Width(cut=100)),
    ],
)
def test_who_makes_vectors_narrower(how, width):
    assert plan(**how) == width


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"dimensions": 1024}, "768 dimensions; dimensions=1024 is more"),
        ({"dimensions": 1024, "by_api": True}, "more than it has"),
        ({"dimensions": 1024, "force": True}, "more than it has"),
        ({"dimensions": 100}, "not trained to be cut.*reduction=.*force_dimensions"),
        ({"dimensions": 100, "native": None}, "not trained to be cut"),
        ({"dimensions": 100, "trained": (256, 512, 768)}, "256, 512, 768"),
        ({"dimensions": 32, "trained": range(64, 769)}, "64 … 768"),
        ({"dimensions": 100, "trained": range(64, 769, 64)}, "64 … 768 in steps of 64"),
    ],
)
def test_a_width_that_a_model_does_not_have_is_refused_with_those_it_has(how, said):
    with pytest.raises(ConfigurationError, match=f"local:some-model.*{said}"):
        plan(**how)
