"""Measures of rankings, query by query, and whether the difference between two rankings is more than chance."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt

from .errors import InvalidInputError

__all__ = [
    "Difference",
    "Scores",
    "ndcg",
    "overlap",
    "paired_bootstrap",
    "rank_biased_overlap",
    "recall",
    "reciprocal_rank",
]

Id = TypeVar("Id", bound=Hashable)
Scores = npt.NDArray[np.float64]
"""One score for each query, 0 to 1, shape `(q,)`; papers report their mean."""

DRAWS_AT_ONCE = 256
"""Samples of the bootstrap that are held in memory together."""


def ndcg(ranked: Sequence[Sequence[Id]], grades: Sequence[Mapping[Id, float]], k: int = 10) -> Scores:
    """nDCG@k: the discounted cumulative gain of the first `k`, divided by that of the best possible ranking.

    A document's gain is its grade, as in trec_eval, and its discount the binary logarithm of its rank + 1.

    Args:
        ranked: for each query, the ids of the documents found, best first.
        grades: for each query, the grades of relevant documents by id; all others count 0.
        k: how many of the documents found count.

    Returns:
        One score per query, shape `(q,)`, 0 to 1.

    Raises:
        InvalidInputError: the lists differ in length, or a query has no document of a grade above 0.
    """
    gains, ideal = _gains(ranked, grades, k), np.zeros((len(ranked), k))
    for query, known in enumerate(grades):
        best = sorted(known.values(), reverse=True)[:k]
        ideal[query, : len(best)] = best
    discount = 1 / np.log2(np.arange(k) + 2)
    scores: Scores = (gains @ discount) / (np.maximum(ideal, 0) @ discount)
    return scores


def recall(ranked: Sequence[Sequence[Id]], grades: Sequence[Mapping[Id, float]], k: int = 100) -> Scores:
    """Recall@k: the share of a query's relevant documents among the first `k`.

    Args:
        ranked: for each query, the ids of the documents found, best first.
        grades: for each query, the grades of relevant documents by id; all others count 0.
        k: how many of the documents found count.

    Returns:
        One score per query, shape `(q,)`, 0 to 1.

    Raises:
        InvalidInputError: the lists differ in length, or a query has no document of a grade above 0.
    """
    found = (_gains(ranked, grades, k) > 0).sum(axis=1)
    scores: Scores = found / [sum(grade > 0 for grade in known.values()) for known in grades]
    return scores


def reciprocal_rank(ranked: Sequence[Sequence[Id]], grades: Sequence[Mapping[Id, float]], k: int = 10) -> Scores:
    """One over the rank of the first relevant document, 0 when there is none among the first `k`.

    Its mean is MRR@k.

    Args:
        ranked: for each query, the ids of the documents found, best first.
        grades: for each query, the grades of relevant documents by id; all others count 0.
        k: how many of the documents found count.

    Returns:
        One score per query, shape `(q,)`, 0 to 1.

    Raises:
        InvalidInputError: the lists differ in length, or a query has no document of a grade above 0.
    """
    hits = _gains(ranked, grades, k) > 0
    scores: Scores = np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)
    return scores


def overlap(first: Sequence[Sequence[Id]], second: Sequence[Sequence[Id]], k: int = 10) -> Scores:
    """overlap@k: the share of the first `k` documents that two rankings have in common, whatever their order.

    Args:
        first: for each query, the ids of the documents found, best first.
        second: those of another ranking, for the same queries.
        k: how many of the documents found count.

    Returns:
        One score per query, shape `(q,)`, 0 to 1.

    Raises:
        InvalidInputError: the lists differ in length.
    """
    return _agreement(first, second, k)[:, -1]


def rank_biased_overlap(
    first: Sequence[Sequence[Id]], second: Sequence[Sequence[Id]], k: int = 10, *, persistence: float = 0.9
) -> Scores:
    """Rank-biased overlap: how far two rankings agree, where the first ranks weigh most (Webber et al. 2010).

    It is extrapolated: what the first `k` agree on is taken to go on.

    Args:
        first: for each query, the ids of the documents found, best first.
        second: those of another ranking, for the same queries.
        k: how many of the documents found count.
        persistence: how likely a reader goes on to the next rank, between 0 and 1.

    Returns:
        One score per query, shape `(q,)`, 0 to 1; 1 for equal rankings.

    Raises:
        InvalidInputError: the lists differ in length.
    """
    if not isinstance(persistence, int | float) or not 0 <= persistence <= 1:
        raise InvalidInputError(f"persistence: write a number between 0 and 1, not {persistence!r}")
    agreement = _agreement(first, second, k)
    weights = (1 - persistence) * persistence ** np.arange(agreement.shape[1])
    scores: Scores = agreement @ weights + agreement[:, -1] * persistence ** agreement.shape[1]
    return scores


def _agreement(first: Sequence[Sequence[Id]], second: Sequence[Sequence[Id]], k: int) -> Scores:
    """The share that two rankings have in common at each depth up to `k`, or up to the longest, shape `(q, k)`."""
    _check(k, first, second)
    if len(first) != len(second):
        raise InvalidInputError(f"{len(first)} rankings and {len(second)} do not belong together")
    depth = min(k, max((len(each) for each in (*first, *second)), default=k))
    shares = np.zeros((len(first), max(depth, 1)))
    for query, (ours, theirs) in enumerate(zip(first, second, strict=True)):
        for place in range(depth):
            shares[query, place] = len({*ours[: place + 1]} & {*theirs[: place + 1]}) / (place + 1)
    return shares


def _gains(ranked: Sequence[Sequence[Id]], grades: Sequence[Mapping[Id, float]], k: int) -> Scores:
    """Grades of the first `k` found, negative ones as 0, shape `(q, k)`."""
    _check(k, ranked)
    mappings = isinstance(grades, list | tuple) and all(isinstance(known, Mapping) for known in grades)
    if not mappings or not all(isinstance(grade, Real) for known in grades for grade in known.values()):
        raise InvalidInputError("grades: give a list with a mapping of grades by id for each query")
    if len(ranked) != len(grades):
        raise InvalidInputError(
            f"{len(ranked)} rankings and judgements of {len(grades)} queries do not belong together"
        )
    gains = np.zeros((len(ranked), k))
    for query, (found, known) in enumerate(zip(ranked, grades, strict=True)):
        if not any(grade > 0 for grade in known.values()):
            raise InvalidInputError(f"query {query} has no document that bears on it; leave it out", index=query)
        first = [known.get(document, 0) for document in found[:k]]
        gains[query, : len(first)] = first
    return np.maximum(gains, 0)


def _check(k: object, *rankings: object) -> None:
    """Raise `InvalidInputError` for what is no list of rankings, and for a number of documents that is none."""
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise InvalidInputError(f"k: write a whole number above 0, not {k!r}")
    for ranking in rankings:
        if not _is_list(ranking) or not all(map(_is_list, ranking)):
            raise InvalidInputError("a ranking is a list of the ids of documents, and there is one for each query")


def _is_list(found: Any) -> TypeGuard[Sequence[Any]]:
    listed = isinstance(found, Sequence) and not isinstance(found, str | bytes | bytearray)
    return listed or (isinstance(found, np.ndarray) and found.ndim > 0)


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of one ranking's scores minus another's, and its confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired_bootstrap(
    first: npt.ArrayLike, second: npt.ArrayLike, *, draws: int = 5000, level: float = 0.95, seed: int = 0
) -> Difference:
    """The difference `first - second` of two rankings, with an interval from drawing the queries with replacement.

    Args:
        first: scores `(q,)`.
        second: scores `(q,)` of the same queries, in the same order.
        draws: how many samples of q queries are drawn.
        level: the share of samples whose difference lies within the interval.
        seed: of the random numbers; the same seed gives the same interval.

    Returns:
        The mean of the differences, and the ends of its interval.

    Raises:
        InvalidInputError: not the same number of scores, or none.
    """
    for name, value in (("draws", draws), ("seed", seed)):
        if not isinstance(value, int) or value < (name == "draws"):
            raise InvalidInputError(f"{name}: write a whole number, not {value!r}")
    if not isinstance(level, int | float) or not 0 < level < 1:
        raise InvalidInputError(f"level: write a number between 0 and 1, not {level!r}")
    try:
        ours, theirs = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInputError("scores are numbers, one for each query") from None
    if ours.ndim != 1 or ours.shape != theirs.shape or not len(ours):
        raise InvalidInputError(f"scores of shapes {ours.shape} and {theirs.shape} cannot be paired")
    gaps, random = ours - theirs, np.random.default_rng(seed)
    sizes = [min(DRAWS_AT_ONCE, draws - begun) for begun in range(0, draws, DRAWS_AT_ONCE)]
    means = np.concatenate([gaps[random.integers(len(gaps), size=(size, len(gaps)))].mean(axis=1) for size in sizes])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Difference(float(gaps.mean()), float(low), float(high))
