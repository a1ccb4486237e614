"""Rankings are judged as trec_eval judges them, and differences by the queries that made them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from embedbridge import InvalidInputError
from embedbridge.evaluation import ndcg, paired_bootstrap, recall, reciprocal_rank

RANKED = [["a", "b", "c", "d"], ["x", "y"], ["m"]]
GRADES = [{"b": 1, "d": 1, "z": 1}, {"x": 2, "y": 3}, {"n": 1}]


def test_ndcg_is_the_discounted_gain_over_the_best_there_could_be():
    second, fourth, best = 1 / math.log2(3), 1 / math.log2(5), 1 + 1 / math.log2(3) + 1 / math.log2(4)
    graded = (2 + 3 / math.log2(3)) / (3 + 2 / math.log2(3))
    np.testing.assert_allclose(ndcg(RANKED, GRADES), [(second + fourth) / best, graded, 0])


def test_ndcg_looks_at_the_first_k_and_the_best_k():
    np.testing.assert_allclose(ndcg(RANKED, GRADES, k=1), [0, 2 / 3, 0])
    np.testing.assert_allclose(ndcg(RANKED, GRADES, k=2)[0], (1 / math.log2(3)) / (1 + 1 / math.log2(3)))


def test_ndcg_equals_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    grades, scores = random.integers(0, 4, (20, 50)), random.permuted(np.tile(np.arange(50.0), (20, 1)), axis=1)
    ranked = np.argsort(-scores, axis=1).tolist()
    ours = ndcg(ranked, [dict(enumerate(row.tolist())) for row in grades]).mean()
    assert ours == pytest.approx(metrics.ndcg_score(grades, scores, k=10))


def test_recall_is_the_part_that_was_found():
    np.testing.assert_allclose(recall(RANKED, GRADES), [2 / 3, 1, 0])
    np.testing.assert_allclose(recall(RANKED, GRADES, k=2), [1 / 3, 1, 0])


def test_the_reciprocal_rank_is_that_of_the_first_hit():
    np.testing.assert_allclose(reciprocal_rank(RANKED, GRADES), [1 / 2, 1, 0])
    np.testing.assert_allclose(reciprocal_rank(RANKED, GRADES, k=1), [0, 1, 0])


def test_documents_that_were_judged_to_be_beside_the_point_count_nothing():
    for metric in (ndcg, recall, reciprocal_rank):
        np.testing.assert_array_equal(
            metric([["n", "a"]], [{"n": 0, "a": 1, "o": -1}]), metric([["?", "a"]], [{"a": 1}])
        )


@pytest.mark.parametrize("metric", [ndcg, recall, reciprocal_rank])
def test_queries_without_a_relevant_document_and_lists_that_do_not_match_are_named(metric):
    with pytest.raises(InvalidInputError, match="query 1") as caught:
        metric([["a"], ["b"]], [{"a": 1}, {"b": 0}])
    assert caught.value.index == 1
    with pytest.raises(InvalidInputError, match="2 rankings"):
        metric([["a"], ["b"]], [{"a": 1}])


def test_equal_scores_do_not_differ():
    scores = np.random.default_rng(0).random(50)
    assert paired_bootstrap(scores, scores) == paired_bootstrap(scores, scores, seed=1)
    assert (paired_bootstrap(scores, scores).low, paired_bootstrap(scores, scores).high) == (0, 0)


def test_the_interval_is_that_of_the_normal_approximation_where_queries_are_many():
    random = np.random.default_rng(0)
    first, second = random.random(2000), random.random(2000)
    found = paired_bootstrap(first, second)
    width = 1.96 * (first - second).std() / math.sqrt(2000)
    assert found.mean == pytest.approx((first - second).mean())
    assert found.low == pytest.approx(found.mean - width, abs=0.1 * width)
    assert found.high == pytest.approx(found.mean + width, abs=0.1 * width)


def test_pairs_say_more_than_the_same_scores_in_another_order():
    hard = np.random.default_rng(0).random(300)
    paired = paired_bootstrap(hard + 0.01, hard)
    assert paired.low > 0
    assert paired_bootstrap(hard + 0.01, hard[::-1]).low < 0


def test_the_same_seed_gives_the_same_interval():
    first, second = np.random.default_rng(0).random((2, 40))
    assert paired_bootstrap(first, second, seed=3) == paired_bootstrap(first, second, seed=3)
    assert paired_bootstrap(first, second, seed=3) != paired_bootstrap(first, second, seed=4)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1], [1, 2]), ([[1]], [[1]])])
def test_scores_that_cannot_be_paired_are_refused(first, second):
    with pytest.raises(InvalidInputError, match="cannot be paired"):
        paired_bootstrap(first, second)


def test_a_difference_is_written_with_its_interval():
    assert str(paired_bootstrap([1.0, 1.0], [0.5, 0.5])) == "+0.500 [+0.500, +0.500]"
