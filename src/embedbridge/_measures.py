"""How alike the rows of two arrays are by a measure: all with all, or pair by pair; summed in float64, rounded once."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ._arrays import as_float32, rounded, steps
from ._core.types import Vectors

Metric: TypeAlias = Literal["cosine", "dot", "euclidean"]
"""What makes documents near: a large cosine or inner product, or a small distance."""
Indices: TypeAlias = npt.NDArray[np.intp]
Floats: TypeAlias = npt.NDArray[Any]  # float32, or float64 where float32 would not do

PAIR_NUMBERS = 1 << 15
"""Of gathered pairs, widened to float64 at once: few enough to stay in the processor's cache."""


def block_scores(metric: Metric, a: Floats, b: Vectors) -> Vectors:
    """Every row of `a` (float64) with every row of `b`, by one matrix product."""
    wide = b.astype(np.float64)
    products = a @ wide.T
    if metric == "dot":
        return rounded(products)
    a_squares, b_squares = squared_lengths(a)[:, None], squared_lengths(wide)
    if metric == "cosine":
        return rounded(quotient(products, np.sqrt(a_squares * b_squares)))
    total = a_squares + b_squares
    squares = total - 2 * products
    distances = rounded(np.sqrt(np.maximum(squares, 0)))
    near = np.nonzero(squares <= 1e-6 * total)  # where that difference cancels, subtract before squaring
    distances[near] = pair_scores(metric, a, b, *near)
    return distances


def pair_scores(metric: Metric, a: Floats, b: Any, i: Indices, j: Indices) -> Vectors:
    """Row `a[i[p]]` (float64) with row `b[j[p]]`, one pair at a time: equal rows get exactly equal scores."""
    scores = np.empty(len(i), np.float32)
    a_squares = squared_lengths(a)
    for part in steps(len(i), max(1, PAIR_NUMBERS // a.shape[1])):
        left, right = a[i[part]], as_float32(b[j[part]], "documents").astype(np.float64)
        if metric == "euclidean":
            scores[part] = rounded(np.sqrt(squared_lengths(left - right)))
            continue
        products = np.einsum("ij,ij->i", left, right)
        if metric == "cosine":
            products = quotient(products, np.sqrt(a_squares[i[part]] * squared_lengths(right)))
        scores[part] = rounded(products)
    return scores


def squared_lengths(rows: Floats) -> Floats:
    """Each row's squared length, in the rows' own type."""
    found: Floats = np.einsum("ij,ij->i", rows, rows)
    return found


def quotient(values: Floats, lengths: Floats) -> Floats:
    """`values / lengths`, and 0 where a length is 0."""
    return np.divide(values, lengths, out=np.zeros_like(values), where=lengths != 0)
