"""How alike embeddings are, and which documents are nearest to a query.

Vectors are anything numpy reads as numbers; results are float32. Scores are summed in float64 and rounded once, so they
do not depend on how the work was split. A zero vector, which marks an empty text, has cosine 0 with everything.
NaN, infinity and shapes that do not fit are an `InvalidInputError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from ._arrays import as_float32, as_table, as_vectors, refuse_nonfinite, rounded, steps
from ._core.quiet import without_warnings
from ._core.types import Vectors
from ._measures import Floats, Indices, Metric, block_scores, pair_scores, quotient, squared_lengths
from .errors import InvalidInputError

__all__ = ["Metric", "TopK", "cosine_similarity", "dot_product", "euclidean_distance", "top_k"]

_ROWS = 1024  # rows of one side that are widened to float64 at once


def cosine_similarity(a: npt.ArrayLike, b: npt.ArrayLike, *, paired: bool = False) -> Any:
    """Cosine of the angle between vectors, in [-1, 1]; 0 where either vector is zero.

    Args:
        a: `(d,)` or `(m, d)`.
        b: `(d,)` or `(n, d)`.
        paired: compare row i of `a` with row i of `b` only; both have one shape.

    Returns:
        `(m, n)`, float32: every row with every row. A side of shape `(d,)` leaves its dimension out; two of them give a
        float. With `paired=True`, `(n,)`.

    Raises:
        InvalidInputError: shapes that do not fit, NaN or infinity.
    """
    return _measure("cosine", a, b, paired=paired)


def dot_product(a: npt.ArrayLike, b: npt.ArrayLike, *, paired: bool = False) -> Any:
    """Inner product, infinite where float32 cannot hold it.

    Args:
        a: `(d,)` or `(m, d)`.
        b: `(d,)` or `(n, d)`.
        paired: compare row i of `a` with row i of `b` only; both have one shape.

    Returns:
        Shapes as for `cosine_similarity`.

    Raises:
        InvalidInputError: shapes that do not fit, NaN or infinity.
    """
    return _measure("dot", a, b, paired=paired)


def euclidean_distance(a: npt.ArrayLike, b: npt.ArrayLike, *, paired: bool = False) -> Any:
    """Length of the difference, 0 for equal vectors.

    Args:
        a: `(d,)` or `(m, d)`.
        b: `(d,)` or `(n, d)`.
        paired: compare row i of `a` with row i of `b` only; both have one shape.

    Returns:
        Shapes as for `cosine_similarity`.

    Raises:
        InvalidInputError: shapes that do not fit, NaN or infinity.
    """
    return _measure("euclidean", a, b, paired=paired)


@dataclass(frozen=True, slots=True, eq=False)
class TopK:
    """The nearest documents of each query, best first; where there are fewer than k documents, k is their number."""

    indices: Indices
    """Rows of the documents, shape `(q, k)`."""
    scores: Vectors
    """Cosines or inner products, descending, or distances, ascending; shape `(q, k)`. Ties by index."""


@without_warnings
def top_k(
    queries: npt.ArrayLike,
    documents: Any,
    k: int = 10,
    *,
    metric: Metric = "cosine",
    rescore: Any = None,
    oversample: int = 4,
    max_bytes: int = 256 << 20,
) -> TopK:
    """The `k` best documents of each query: exact, and the same whatever the chunks.

    Args:
        queries: `(q, d)`; one query `(d,)` gives one row.
        documents: `(n, d)`: an array (a memory-mapped one is read by chunks), lists, or `quantization.Quantized`.
        k: at least 1.
        metric: `cosine`, `dot` or `euclidean`.
        rescore: the original vectors `(n, d)` of quantised documents. The best `k * oversample` by the codes are scored
            again with these, of which only the rows needed are read. Without it, scores are those of the codes.
        oversample: at least 1; used with `rescore` only.
        max_bytes: about the memory to use beyond the arguments and the result. Documents are read in chunks of this
            size, of one document at least.

    Returns:
        Rows of the documents, and their scores, best first.

    Raises:
        InvalidInputError: an argument of another kind, shapes that do not fit, NaN or infinity.
    """
    asked, table = np.atleast_2d(as_vectors(queries, "queries")), as_table(documents, "documents")
    if not isinstance(metric, str) or metric not in get_args(Metric):
        raise InvalidInputError(f"metric must be one of {', '.join(get_args(Metric))}, not {metric!r}")
    for name, number in (("k", k), ("oversample", oversample), ("max_bytes", max_bytes)):
        if not isinstance(number, int | np.integer) or isinstance(number, bool) or number < 1:
            raise InvalidInputError(f"{name}={number!r} must be a whole number of at least 1")
    shape = tuple(table.shape)
    if asked.shape[1] != shape[1]:
        raise InvalidInputError(
            f"queries have shape {asked.shape} and documents {shape}: their dimensions must be equal"
        )
    originals = table if rescore is None else as_table(rescore, "rescore")
    if tuple(originals.shape) != shape:
        raise InvalidInputError(f"rescore has shape {tuple(originals.shape)} and documents {shape}: they must be equal")

    count = min(k, shape[0])
    indices, values = np.empty((len(asked), count), np.intp), np.empty((len(asked), count), np.float32)
    for rows in steps(len(asked), _ROWS):
        if rescore is None:
            best = _scan(metric, asked[rows], table, count, max_bytes)
        else:
            rough = _scan(metric, asked[rows], table, min(k * oversample, shape[0]), max_bytes)
            best = _score_again(metric, asked[rows], originals, rough, count)
        indices[rows], values[rows] = best.indices, best.values
    return TopK(indices, -values if metric == "euclidean" else values)


@without_warnings
def _measure(metric: Metric, a: npt.ArrayLike, b: npt.ArrayLike, *, paired: bool) -> Any:
    left, right = as_vectors(a, "a"), as_vectors(b, "b")
    if left.shape[-1] != right.shape[-1] or (paired and left.shape != right.shape):
        rule = "with paired=True they must be equal" if paired else "their dimensions must be equal"
        raise InvalidInputError(f"a has shape {left.shape} and b has shape {right.shape}: {rule}")
    shape = left.shape[:-1] if paired else left.shape[:-1] + right.shape[:-1]
    left, right = np.atleast_2d(left), np.atleast_2d(right)
    scores = np.empty(len(left) if paired else (len(left), len(right)), np.float32)
    for rows in steps(len(left), _ROWS):
        wide = left[rows].astype(np.float64)
        if paired:
            scores[rows] = pair_scores(metric, wide, right[rows], np.arange(len(wide)), np.arange(len(wide)))
            continue
        for columns in steps(len(right), _ROWS):
            scores[rows, columns] = block_scores(metric, wide, right[columns])
    return scores.reshape(shape) if shape else float(scores.item())


@dataclass(frozen=True, slots=True, eq=False)
class _Best:
    """The best so far, shape `(q, k)`, best first. A value is a score or a negated distance: larger is better."""

    indices: Indices
    values: Vectors

    def merge(self, query: Indices, index: Indices, value: Vectors) -> _Best:
        """With more pairs of query, index and value merged in; of equal values, the lower index is better."""
        count, k = self.indices.shape
        owner = np.concatenate([np.repeat(np.arange(count), k), query])
        indices, values = np.concatenate([self.indices.ravel(), index]), np.concatenate([self.values.ravel(), value])
        order = np.lexsort((indices, -values, owner))
        chosen = order[np.searchsorted(owner[order], np.arange(count))[:, None] + np.arange(k)]
        return _Best(indices[chosen], values[chosen])


def _nothing(queries: int, k: int, total: int) -> _Best:
    """Entries that are worse than every document: value -infinity, index `total`."""
    return _Best(np.full((queries, k), total, np.intp), np.full((queries, k), -np.inf, np.float32))


def _scan(metric: Metric, queries: Vectors, table: Any, k: int, max_bytes: int) -> _Best:
    total, width = table.shape
    best, wide = _nothing(len(queries), k, total), queries.astype(np.float64)
    # What a document may take: its row in both widths, and for each query a score and a place in the short list.
    for part in steps(total, max(1, max_bytes // (12 * width + 64 * len(queries)))):
        chunk = as_float32(table[part], "documents")
        query, row = _short_list(metric, queries, chunk, best, part.start)
        value = pair_scores(metric, wide, chunk, query, row)
        best = best.merge(query, row + part.start, -value if metric == "euclidean" else value)
    return best


def _score_again(metric: Metric, queries: Vectors, originals: Any, rough: _Best, k: int) -> _Best:
    query, index = np.repeat(np.arange(len(queries)), rough.indices.shape[1]), rough.indices.ravel()
    value = pair_scores(metric, queries.astype(np.float64), originals, query, index)
    if not np.isfinite(value).all():
        row = int(index[~np.isfinite(value)][0])
        raise InvalidInputError(f"rescore: row {row} holds NaN, or numbers too large for a float32 score", index=row)
    return _nothing(len(queries), k, len(originals)).merge(query, index, -value if metric == "euclidean" else value)


def _short_list(metric: Metric, queries: Vectors, chunk: Vectors, best: _Best, first: int) -> tuple[Indices, Indices]:
    """All pairs that may be among the best k: those that a fast matrix product, within its error, keeps."""
    values, size = _rough_values(metric, queries, chunk, first)
    # Twice the bound on the rounding of a sum of d products (Higham 2002, section 3.1): the lengths are rounded too.
    slack = (chunk.shape[1] + 8) * np.finfo(values.dtype).eps * size
    worst = best.values[:, -1].astype(np.float64)
    floor = (-(worst**2) if metric == "euclidean" else worst) - slack
    bound = rounded(floor, values.dtype)
    # Rounded up: a document that only equals the worst of the best so far loses to it, because its index is higher.
    bound = np.where(bound > floor, bound, np.nextafter(bound, np.inf, dtype=values.dtype))
    bound = np.maximum(bound, rounded(_reached_by(values, best.values.shape[1]) - 2 * slack, values.dtype))
    flat = np.flatnonzero(values >= bound[:, None])  # several times faster than nonzero in two dimensions
    return flat // len(chunk), flat % len(chunk)


def _rough_values(metric: Metric, queries: Vectors, chunk: Vectors, first: int) -> tuple[Floats, Floats]:
    """Cosines, inner products or negated squared distances `(q, n)`; and `(q,)`, the sizes that bound their errors."""
    asked, rows, asked_squares, squares = queries, chunk, squared_lengths(queries), squared_lengths(chunk)
    if _leaves_float32(asked, asked_squares) or _leaves_float32(rows, squares):
        refuse_nonfinite(rows, "documents", first)
        asked, rows = asked.astype(np.float64), rows.astype(np.float64)
        asked_squares, squares = squared_lengths(asked), squared_lengths(rows)
    lengths, longest = np.sqrt(asked_squares), np.sqrt(squares.max())
    if metric == "cosine":
        values = quotient(asked, lengths[:, None]) @ rows.T
        values /= np.where(squares > 0, np.sqrt(squares), 1)
        return values, np.sign(lengths)
    if metric == "dot":
        return asked @ rows.T, lengths * longest
    values = (2 * asked) @ rows.T
    values -= squares
    values -= asked_squares[:, None]
    return values, (lengths + longest) ** 2


def _leaves_float32(rows: Vectors, squares: Floats) -> bool:
    """Whether a length's square overflows or vanishes in float32. NaN and infinity count, zero vectors do not."""
    odd = ~((squares > 1e-30) & (squares < 1e30))
    return bool(rows[odd].any())


def _reached_by(values: Floats, k: int) -> Floats:
    """A value that at least `k` of each row reach: slightly below the k-th largest, found in a tenth of the time."""
    folds = max(1, min(16, values.shape[1] // (8 * k)))
    width = values.shape[1] // folds
    if width <= k:
        return np.full(len(values), -np.inf)
    tops = values[:, : folds * width].reshape(len(values), folds, width).max(axis=1)
    return np.partition(tops, width - k, axis=1)[:, width - k]
