import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from embedbridge.errors import InvalidInputError
from embedbridge.quantization import calibrate, quantize
from embedbridge.similarity import cosine_similarity, dot_product, euclidean_distance, top_k

METRICS = ("cosine", "dot", "euclidean")
MEASURES = {"cosine": cosine_similarity, "dot": dot_product, "euclidean": euclidean_distance}


def embeddings(count, width=64, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((count, width), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def scipy_scores(metric, a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    from scipy.spatial.distance import cdist  # as slow to import as these tests are to run

    return a @ b.T if metric == "dot" else {"cosine": 1 - cdist(a, b, "cosine"), "euclidean": cdist(a, b)}[metric]


def naive(metric, queries, documents, k):
    """One pair at a time, summed without rounding, then a stable sort."""

    def score(a, b):
        if metric == "euclidean":
            return np.float32(math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))))
        product = math.fsum(x * y for x, y in zip(a, b, strict=True))
        if metric == "cosine":
            squares = math.fsum(x * x for x in a) * math.fsum(y * y for y in b)
            product = product / math.sqrt(squares) if squares else 0.0
        return np.float32(product)

    scores = np.array([[score(a, b) for b in documents.tolist()] for a in queries.tolist()], dtype=np.float32)
    scores = scores.reshape(len(queries), len(documents))
    indices = np.argsort(scores if metric == "euclidean" else -scores, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(scores, indices, axis=1)


def same(found, indices, scores):
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_array_equal(found.scores, scores)
    assert found.scores.dtype == np.float32


@pytest.mark.parametrize("metric", METRICS)
def test_every_pair_equals_scipy(metric):
    a, b = embeddings(1030, 384) * 3, embeddings(40, 384, seed=1)
    scores = MEASURES[metric](a, b)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, scipy_scores(metric, a, b), rtol=2e-7, atol=1e-7)


@pytest.mark.parametrize("metric", METRICS)
def test_shapes_follow_the_arguments(metric):
    measure, a, b = MEASURES[metric], embeddings(3), embeddings(5, seed=1)
    whole = measure(a, b)
    assert whole.shape == (3, 5)
    assert type(measure(a[0], b[0])) is float
    assert measure(a[0], b[0]) == pytest.approx(whole[0, 0])
    np.testing.assert_allclose(measure(a[0], b), whole[0], rtol=1e-6)
    np.testing.assert_allclose(measure(a, b[0]), whole[:, 0], rtol=1e-6)
    assert measure(a[:0], b).shape == (0, 5)


@pytest.mark.parametrize("metric", METRICS)
def test_paired_takes_each_row_with_its_own_partner(metric):
    measure, a, b = MEASURES[metric], embeddings(1500), embeddings(1500, seed=1)
    np.testing.assert_allclose(measure(a, b, paired=True), np.diagonal(measure(a, b)), rtol=1e-6, atol=1e-7)
    assert type(measure(a[0], b[0], paired=True)) is float


def test_lists_will_do():
    assert cosine_similarity([3, 0], [[1, 0], [0, 2], [-1, 0]]).tolist() == [1.0, 0.0, -1.0]
    assert euclidean_distance([0, 0], [3, 4]) == 5.0
    assert top_k([1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]], k=1).indices.tolist() == [[1]]


def test_a_zero_vector_has_cosine_zero_with_everything():
    vectors = np.array([[0, 0], [1, 2], [-3, 1]])
    assert cosine_similarity(vectors[0], vectors).tolist() == [0, 0, 0]
    found = top_k(vectors[1], vectors, k=3)
    assert found.indices.tolist() == [[1, 0, 2]]
    assert found.scores[0, 1] == 0
    assert top_k(vectors[0], vectors, k=3).indices.tolist() == [[0, 1, 2]]


@settings(deadline=None)
@given(
    arrays(np.float32, (2, 6), elements=st.floats(0.125, 8, width=32)),
    st.floats(1e-30, 1e30),
    st.sampled_from([-1, 1]),
)
def test_cosine_does_not_see_length(pair, factor, sign):
    scaled = pair[1].astype(np.float64) * factor * sign
    assert cosine_similarity(pair[0], scaled) == pytest.approx(sign * cosine_similarity(pair[0], pair[1]), abs=3e-7)


def test_distances_of_near_duplicates_keep_their_digits():
    a = embeddings(20, 384)
    b = a + np.float32(1e-6) * embeddings(20, 384, seed=1)
    np.testing.assert_allclose(euclidean_distance(a, b), scipy_scores("euclidean", a, b), rtol=1e-6)
    assert (np.diagonal(euclidean_distance(a, a)) == 0).all()


def test_a_product_too_large_for_float32_is_infinite():
    assert dot_product([1e30, 0], [1e30, 0]) == math.inf
    assert dot_product([1e30, 1e30], [1e30, -1e30]) == 0


@pytest.mark.parametrize("measure", MEASURES.values())
def test_shapes_that_do_not_fit_are_both_named(measure):
    with pytest.raises(InvalidInputError, match=r"\(2, 3\).*\(4,\)"):
        measure(np.ones((2, 3)), np.ones(4))
    with pytest.raises(InvalidInputError, match=r"\(2, 3\).*\(3,\)"):
        measure(np.ones((2, 3)), np.ones(3), paired=True)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1, 2], [3, math.nan]], "row 1 holds NaN"),
        ([[1, 2], [1e300, 0]], "row 1 .*infinite"),
        ([[1, 2], [3]], "same number of dimensions"),
        (["a", "b"], "real numbers"),
        (np.ones((2, 2, 2)), r"\(2, 2, 2\)"),
        (1.0, r"\(\)"),
        ([], r"\(0,\)"),
    ],
)
def test_what_is_no_vector_is_refused_by_name(value, words):
    with pytest.raises(InvalidInputError, match=f"^b.*{words}"):
        cosine_similarity([1.0, 2.0], value)
    with pytest.raises(InvalidInputError, match=f"^documents.*{words}"):
        top_k([1.0, 2.0], value)


@pytest.mark.parametrize("metric", METRICS)
def test_top_k_finds_what_a_naive_argsort_finds(metric):
    queries, documents = embeddings(7), embeddings(500, seed=1) * np.linspace(0.5, 2, 500)[:, None].astype(np.float32)
    same(top_k(queries, documents, k=12, metric=metric), *naive(metric, queries, documents, 12))


@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None)
@given(
    documents=arrays(np.float32, st.tuples(st.integers(0, 30), st.just(3)), elements=st.integers(-2, 2)),
    queries=arrays(np.float32, st.tuples(st.integers(0, 4), st.just(3)), elements=st.integers(-2, 2)),
    k=st.integers(1, 40),
    max_bytes=st.integers(1, 5000),
)
def test_ties_stand_by_rising_index_whatever_the_chunks(metric, documents, queries, k, max_bytes):
    found = top_k(queries, documents, k, metric=metric, max_bytes=max_bytes)
    same(found, *naive(metric, queries, documents, k))


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=15)
@given(data=st.data())
def test_scores_and_order_are_the_same_to_the_bit_for_every_chunk_size(metric, data):
    seed, max_bytes = data.draw(st.integers(0, 1000)), data.draw(st.integers(1, 1 << 18))
    rng = np.random.default_rng(seed)
    documents = rng.standard_normal((40, 50), dtype=np.float32)[rng.integers(0, 40, 300)]  # each several times
    queries = documents[rng.integers(0, 300, 5)] + rng.standard_normal((5, 50), dtype=np.float32) * np.float32(0.01)
    whole = top_k(queries, documents, 60, metric=metric)
    same(top_k(queries, documents, 60, metric=metric, max_bytes=max_bytes), whole.indices, whole.scores)
    alone = top_k(queries[2], documents, 60, metric=metric)
    same(alone, whole.indices[2:3], whole.scores[2:3])
    for row in range(5):
        order = np.lexsort((whole.indices[row], whole.scores[row] * (1 if metric == "euclidean" else -1)))
        assert (order == np.arange(60)).all()


@pytest.mark.parametrize("metric", METRICS)
def test_documents_closer_than_a_float32_product_can_tell_are_told_apart(metric):
    centre, size = embeddings(1, 384), np.float32(1e-3 if metric == "euclidean" else 2e-7)
    documents = centre + size * embeddings(200, 384, seed=1)
    queries = embeddings(3, 384, seed=2)
    queries = centre + size * queries if metric == "euclidean" else queries - (queries @ centre.T) * centre
    found = top_k(queries, documents, 20, metric=metric, max_bytes=100_000)
    np.testing.assert_allclose(found.scores, naive(metric, queries, documents, 20)[1], rtol=1e-6)


def test_the_nearest_wins_by_less_than_float32_can_square():
    assert top_k([0.0], [[1e-23], [0.0]], 1, metric="euclidean", max_bytes=1).indices.tolist() == [[1]]


@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None)
@given(
    vectors=arrays(np.float32, (24, 4), elements=st.floats(-1, 1, width=16)),
    powers=arrays(np.int64, (24, 1), elements=st.integers(-130, 120)),
)
def test_lengths_at_the_ends_of_float32_are_no_trouble(metric, vectors, powers):
    vectors = np.ldexp(vectors, powers).astype(np.float32)
    queries, documents = vectors[:4], vectors[4:]
    with np.errstate(over="ignore"):
        indices, scores = naive(metric, queries, documents, 6)
    found = top_k(queries, documents, 6, metric=metric, max_bytes=1500)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-6)
    if metric != "cosine":  # whose roots may round the other way here and there
        same(found, indices, scores)


def test_fewer_documents_than_k_give_fewer_columns():
    assert top_k(embeddings(2), embeddings(3), k=10).indices.shape == (2, 3)
    assert top_k(embeddings(2), embeddings(0), k=10).scores.shape == (2, 0)
    assert top_k(embeddings(0), embeddings(3), k=2).indices.shape == (0, 2)


def test_more_queries_than_one_block_are_all_answered():
    documents = embeddings(2500, 16)
    assert (top_k(documents, documents, k=1).indices[:, 0] == np.arange(2500)).all()


def test_distances_rise_and_similarities_fall():
    queries, documents = embeddings(4), embeddings(50, seed=1)
    assert (np.diff(top_k(queries, documents, metric="euclidean").scores) >= 0).all()
    assert (np.diff(top_k(queries, documents).scores) <= 0).all()


@pytest.mark.parametrize("kind", [np.float16, np.float64, ">f4", np.int8])
def test_documents_of_another_type_are_read_as_float32(kind):
    queries, documents = embeddings(3), (embeddings(200, seed=1) * 100).astype(kind)
    expected = top_k(queries, documents.astype(np.float32))
    same(top_k(queries, documents, max_bytes=20_000), expected.indices, expected.scores)


def test_a_file_larger_than_max_bytes_is_searched_within_it(tmp_path):
    np.save(tmp_path / "documents.npy", embeddings(40_000, 128))
    documents = np.load(tmp_path / "documents.npy", mmap_mode="r")
    budget = documents.nbytes // 10
    tracemalloc.start()
    top_k(documents[:50], documents, max_bytes=budget)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * budget


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 2.5}, "k=2.5 must be a whole number"),
        ({"k": "3"}, "k='3'"),
        ({"k": True}, "k=True"),
        ({"oversample": 0}, "oversample=0"),
        ({"max_bytes": 0}, "max_bytes=0"),
        ({"metric": "manhattan"}, "cosine, dot, euclidean"),
        ({"rescore": np.ones((2, 64))}, r"\(2, 64\).*\(9, 64\)"),
    ],
)
def test_bad_options_say_what_to_write(options, words):
    with pytest.raises(InvalidInputError, match=words):
        top_k(embeddings(2), embeddings(9), **options)


@pytest.mark.torch
def test_a_tensor_that_numpy_cannot_hold_is_named():
    torch = pytest.importorskip("torch")
    documents = torch.tensor(embeddings(9))
    assert top_k(embeddings(2), documents).indices.shape == (2, 9)
    for odd in (documents.to(torch.bfloat16), documents.requires_grad_()):
        with pytest.raises(InvalidInputError, match="documents cannot be read by NumPy"):
            top_k(embeddings(2), odd)


@pytest.mark.parametrize("kind", [list, lambda table: table])
def test_masked_numbers_are_refused_and_a_mask_of_nothing_is_none(kind):
    """NumPy would read what stands behind the mask."""
    documents = np.ma.MaskedArray(embeddings(9), mask=False)
    expected = top_k(embeddings(2), embeddings(9))
    same(top_k(embeddings(2), kind(documents)), expected.indices, expected.scores)
    documents[4, 3] = np.ma.masked
    for use in (top_k, cosine_similarity):
        with pytest.raises(InvalidInputError, match="masked"):
            use(embeddings(2), kind(documents))


def test_queries_of_another_width_than_the_documents_are_refused():
    with pytest.raises(InvalidInputError, match=r"\(2, 8\).*\(9, 64\)"):
        top_k(embeddings(2, 8), embeddings(9))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_document_that_is_not_finite_is_named_wherever_it_stands(metric, value):
    documents = embeddings(500)
    documents[471, 3] = value
    with pytest.raises(InvalidInputError, match="row 471") as caught:
        top_k(embeddings(2), documents, metric=metric, max_bytes=50_000)
    assert caught.value.index == 471


def test_int8_codes_are_right_to_half_a_step_within_the_limits():
    vectors = embeddings(300, 100)
    limits = calibrate(vectors)
    codes = quantize(vectors, "int8", limits=limits)
    assert codes.codes.nbytes * 4 == vectors.nbytes
    assert (np.abs(codes[0:300] - vectors) <= limits / 127 * 0.5001).all()
    assert np.abs(quantize(vectors * 9, "int8", limits=limits)[0:300]).max() <= limits.max()


def test_binary_codes_keep_signs_and_length():
    vectors = embeddings(50, 70) * 3
    codes = quantize(vectors, "binary")
    assert codes.codes.shape == (50, 9)
    assert (np.sign(codes[0:50]) == np.sign(vectors)).all()
    np.testing.assert_allclose(np.linalg.norm(codes[0:50], axis=1), 3, rtol=1e-6)


@pytest.mark.parametrize("precision", ["int8", "binary"])
def test_codes_do_not_depend_on_the_vectors_beside_them(precision):
    vectors, limits = embeddings(20), 0.5
    together = quantize(vectors, precision, limits=limits)
    alone = quantize(vectors[7:8], precision, limits=limits)
    np.testing.assert_array_equal(together[7:8], alone[0:1])


@pytest.mark.parametrize("precision", ["int8", "binary"])
def test_zero_vectors_stay_zero_in_codes(precision):
    vectors = embeddings(3)
    vectors[1] = 0
    assert not quantize(vectors, precision, limits=calibrate(vectors))[1:2].any()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("precision", ["int8", "binary"])
def test_rescored_results_are_exact_where_every_document_is_a_candidate(metric, precision):
    queries, documents = np.random.default_rng(0).integers(-2, 3, (2, 200, 8)).astype(np.float32)  # with many ties
    codes = quantize(documents, precision, limits=calibrate(documents))
    queries = queries[:60]
    found = top_k(queries, codes, metric=metric, rescore=documents, oversample=20, max_bytes=30_000)
    same(found, *naive(metric, queries, documents, 10))


@pytest.mark.parametrize(("precision", "oversample", "least"), [("int8", 2, 0.99), ("binary", 4, 0.9)])
def test_rescoring_finds_nearly_all_of_the_true_ten(precision, oversample, least):
    centres = embeddings(50, 256)
    documents = centres.repeat(40, axis=0) + 0.7 * embeddings(2000, 256, seed=1)
    queries = centres + 0.7 * embeddings(50, 256, seed=2)
    codes = quantize(documents, precision, limits=calibrate(documents[:500]))
    exact = top_k(queries, documents).indices
    found = top_k(queries, codes, rescore=documents, oversample=oversample).indices
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact.tolist(), found.tolist(), strict=True)])
    assert recall >= least


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_candidate_that_is_not_finite_is_named_when_rescored(metric, value):
    documents = embeddings(30)
    codes = quantize(documents, "binary")
    documents[4, 7] = value
    with pytest.raises(InvalidInputError, match="row 4"):
        top_k(documents[:3], codes, metric=metric, rescore=documents)


@pytest.mark.parametrize(
    ("limits", "words"),
    [(None, "calibrate"), (-1.0, "not negative"), (math.nan, "finite"), (np.ones(3), r"\(3,\).*64")],
)
def test_int8_without_sound_limits_is_refused(limits, words):
    with pytest.raises(InvalidInputError, match=words):
        quantize(embeddings(3), "int8", limits=limits)


def test_an_unknown_precision_is_refused():
    with pytest.raises(InvalidInputError, match="int8 or binary"):
        quantize(embeddings(3), "int4")
