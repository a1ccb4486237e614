import io
import math
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedbridge.errors import ConfigurationError, InvalidInputError
from embedbridge.reduction import PCA


def embeddings(count, width=48, seed=0):
    """Vectors that vary less and less from one dimension to the next, off the origin, turned at random."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(np.random.default_rng(99).standard_normal((width, width)))[0]
    spread = rng.standard_normal((count, width)) * 0.9 ** np.arange(width) + 0.5
    return (spread @ turn).astype(np.float32)


def scikit(sample, n_components, *, whiten=False):
    import sklearn.decomposition  # takes a second, which only the process that runs these tests shall spend

    pca = sklearn.decomposition.PCA(n_components, whiten=whiten, svd_solver="full")
    return pca.fit(sample.astype(np.float64))


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize(("count", "width", "n_components"), [(3000, 48, 20), (48, 48, 47), (30, 200, 16), (2, 5, 1)])
def test_it_equals_scikit_learn_up_to_sign(count, width, n_components, whiten):
    sample, fresh = embeddings(count, width), embeddings(100, width, seed=1)
    ours = PCA(n_components, whiten=whiten).fit(sample)
    theirs = scikit(sample, n_components, whiten=whiten)
    expected = theirs.transform(fresh.astype(np.float64))
    signs = np.sign((ours.components * theirs.components_).sum(axis=1))
    size = np.abs(expected).max()
    np.testing.assert_allclose(ours.transform(fresh) * signs, expected, rtol=1e-6, atol=1e-6 * size)
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=1e-12)
    np.testing.assert_allclose(ours.explained_variance, theirs.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(ours.explained_variance_ratio, theirs.explained_variance_ratio_, rtol=1e-9)
    back = theirs.inverse_transform(theirs.transform(sample.astype(np.float64)))
    np.testing.assert_allclose(ours.inverse_transform(ours.transform(sample)), back, atol=3e-6)


def test_a_whitened_sample_has_variance_one_and_no_correlation():
    sample = embeddings(2000)
    reduced = PCA(12, whiten=True).fit(sample).transform(sample).astype(np.float64)
    np.testing.assert_allclose(np.cov(reduced.T), np.eye(12), atol=1e-5)


def test_all_components_lose_nothing():
    sample = embeddings(100)
    pca = PCA(48).fit(sample)
    assert pca.explained_variance_ratio.sum() == pytest.approx(1)
    np.testing.assert_allclose(pca.inverse_transform(pca.transform(sample)), sample, atol=1e-6)


@settings(deadline=None)
@given(count=st.integers(2, 40), width=st.integers(1, 40), seed=st.integers(0, 100), data=st.data())
def test_components_are_orthonormal_and_variances_fall(count, width, seed, data):
    n_components = data.draw(st.integers(1, min(count, width)))
    pca = PCA(n_components).fit(np.random.default_rng(seed).standard_normal((count, width)))
    np.testing.assert_allclose(pca.components @ pca.components.T, np.eye(n_components), atol=1e-9)
    assert (np.diff(pca.explained_variance) <= 1e-12).all()
    assert pca.explained_variance_ratio.sum() <= 1 + 1e-12


def test_the_largest_number_of_each_component_is_positive():
    components = PCA(10).fit(embeddings(100)).components
    assert (components.max(axis=1) == np.abs(components).max(axis=1)).all()


def test_output_is_float32_and_follows_the_shape_of_the_input():
    sample = embeddings(100)
    pca = PCA(n_components=16).fit(sample.tolist())
    assert pca.transform(sample).shape == (100, 16)
    assert pca.transform(sample[0]).shape == (16,)
    assert pca.transform(sample[:0]).shape == (0, 16)
    assert pca.transform(sample.astype(np.float64)).dtype == np.float32
    assert pca.inverse_transform(pca.transform(sample[0])).shape == (48,)


@pytest.mark.parametrize("whiten", [False, True])
def test_a_query_alone_is_reduced_as_among_documents(whiten):
    sample = embeddings(3000)
    pca = PCA(16, whiten=whiten).fit(sample)
    together = pca.transform(sample)
    alone = np.stack([pca.transform(vector) for vector in sample[::100]])
    np.testing.assert_allclose(together[::100], alone, rtol=2e-7, atol=1e-7)


def test_zero_rows_stay_zero_and_change_no_fit():
    sample = embeddings(60)
    with_zeros = np.insert(sample, [0, 30, 60], 0, axis=0)
    pca = PCA(8).fit(with_zeros)
    np.testing.assert_allclose(pca.components, PCA(8).fit(sample).components, atol=1e-9)
    reduced = pca.transform(with_zeros)
    assert (np.flatnonzero(~reduced.any(axis=1)) == [0, 31, 62]).all()
    assert not pca.inverse_transform(reduced)[31].any()


def test_it_can_be_fitted_from_an_embedder_and_a_sample():
    class Lengths:
        def embed_documents(self, texts):
            return np.array([[len(text), text.count("a"), 1] for text in texts])

    texts = ["a", "banana", "ananas and pear", "plum"]
    pca = PCA(2).fit_embedder(Lengths(), iter(texts))
    np.testing.assert_allclose(pca.components, PCA(2).fit(Lengths().embed_documents(texts)).components)


def test_every_kind_of_embedder_will_do_for_a_fit():
    from langchain_core.embeddings import DeterministicFakeEmbedding

    from embedbridge import Embedder
    from embedbridge.langchain import BridgeEmbeddings
    from embedbridge.llama_index import BridgeEmbedding

    texts = [f"text {number}" for number in range(40)]
    with Embedder("fake:16", cache=False) as embedder:
        fits = [
            PCA(4).fit_embedder(each, texts)
            for each in (
                embedder,
                BridgeEmbeddings(model="fake:16", cache=False),
                BridgeEmbedding(model="fake:16", cache=False),
            )
        ]
        with pytest.raises(InvalidInputError, match=r"write \[text\]"):
            PCA(1).fit_embedder(embedder, "one text and not a list of its letters")
    assert len({pca.fingerprint for pca in fits}) == 1
    assert PCA(4).fit_embedder(DeterministicFakeEmbedding(size=8), texts).transform(np.ones(8)).shape == (4,)
    with pytest.raises(ConfigurationError, match="a list embeds no documents"):
        PCA(4).fit_embedder([], texts)


def test_a_component_too_large_for_float32_is_named_and_not_infinite():
    with pytest.raises(InvalidInputError, match="reduced vectors: row 1"):
        PCA(4, whiten=True).fit(embeddings(100) * 1e-3).transform(np.full((2, 48), [[1], [3e38]], np.float32))


def test_a_file_larger_than_memory_can_be_fitted(tmp_path):
    np.save(tmp_path / "sample.npy", embeddings(60_000))
    sample = np.load(tmp_path / "sample.npy", mmap_mode="r")
    tracemalloc.start()
    PCA(8).fit(sample)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < sample.nbytes / 4


@pytest.mark.parametrize("whiten", [False, True])
def test_a_saved_one_is_the_same_one(tmp_path, whiten):
    sample = embeddings(100)
    pca = PCA(8, whiten=whiten).fit(sample)
    pca.save(tmp_path / "reduction.bin")
    loaded = PCA.load(tmp_path / "reduction.bin")
    assert [file.name for file in tmp_path.iterdir()] == ["reduction.bin"]
    assert (loaded.n_components, loaded.whiten, loaded.fingerprint) == (8, whiten, pca.fingerprint)
    np.testing.assert_array_equal(loaded.transform(sample), pca.transform(sample))
    np.testing.assert_array_equal(loaded.explained_variance_ratio, pca.explained_variance_ratio)


def test_the_fingerprint_tells_what_decides_a_vector():
    sample = embeddings(100)
    fits = [PCA(8), PCA(8, whiten=True), PCA(9)]
    prints = {pca.fit(sample).fingerprint for pca in fits} | {PCA(8).fit(sample[:99]).fingerprint}
    assert len(prints) == 4
    assert all(len(text) == 16 for text in prints)
    assert PCA(8).fit(sample).fingerprint in prints


def test_fitting_again_forgets_the_first_fit():
    first, second = embeddings(100), embeddings(100, 30, seed=1)
    pca = PCA(8).fit(first)
    pca.transform(first)
    np.testing.assert_array_equal(pca.fit(second).transform(second), PCA(8).fit(second).transform(second))


def saved(**changes):
    rng = np.random.default_rng(0)
    parts = {
        "format": "embedbridge-pca-1",
        "whiten": False,
        "mean": rng.standard_normal(5),
        "components": rng.standard_normal((2, 5)),
        "variance": np.array([2.0, 1.0]),
        "ratio": np.array([0.5, 0.25]),
    }
    file = io.BytesIO()
    np.savez(file, **{name: part for name, part in (parts | changes).items() if part is not None})
    return file.getvalue()


def test_the_file_that_the_next_tests_spoil_is_sound(tmp_path):
    (tmp_path / "pca.npz").write_bytes(saved())
    assert PCA.load(tmp_path / "pca.npz").transform(np.ones(5)).shape == (2,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip",
        b"\x80\x04K\x01.",  # a pickle
        saved(format="embedbridge-pca-2"),
        saved(format=np.array([None])),
        saved(mean=None),
        saved(mean=np.zeros(4)),
        saved(mean=np.array([object()] * 5)),
        saved(components=np.zeros((2, 5), np.float32)),
        saved(components=np.zeros((0, 5)), variance=np.zeros(0), ratio=np.zeros(0)),
        saved(components=np.zeros(5)),
        saved(components=np.full((2, 5), math.nan)),
        saved(variance=np.zeros(3)),
        saved(variance=np.array([1.0, -1.0])),
        saved(variance=np.zeros(2), whiten=True),
        saved(whiten=1),
        saved()[:-30],
    ],
)
def test_a_foreign_or_damaged_file_is_named_in_the_error(tmp_path, content):
    path = tmp_path / "wrong.npz"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"wrong\.npz") as caught:
        PCA.load(path)
    assert "unsafely" not in str(caught.value)  # as NumPy would advise


def test_a_missing_file_and_a_plain_array_are_errors_of_the_same_name(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    for path in (tmp_path / "array.npy", tmp_path / "missing.npz", tmp_path):
        with pytest.raises(ConfigurationError, match="not a PCA that can be read"):
            PCA.load(path)


@settings(deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
def test_a_changed_byte_never_changes_a_vector_unnoticed(tmp_path_factory, place, value):
    content = bytearray(saved())
    content[int(place * len(content))] ^= value
    path = tmp_path_factory.mktemp("pca") / "pca.npz"
    path.write_bytes(content)
    try:
        loaded = PCA.load(path)
    except ConfigurationError:
        return
    with zipfile.ZipFile(io.BytesIO(saved())) as file:
        mean = np.lib.format.read_array(file.open("mean.npy"))
    np.testing.assert_array_equal(loaded.mean, mean)


@pytest.mark.parametrize("n_components", [0, -1, 2.5, "16", None])
def test_a_width_that_is_no_whole_number_above_zero_is_refused(n_components):
    with pytest.raises(ConfigurationError, match="whole number above 0"):
        PCA(n_components)


@pytest.mark.parametrize("use", [lambda p: p.transform([1.0]), lambda p: p.save("x"), lambda p: p.fingerprint])
def test_one_that_is_not_fitted_says_what_to_call(use):
    with pytest.raises(ConfigurationError, match="call fit"):
        use(PCA(1))


@pytest.mark.parametrize("shape", [(10, 48), (100, 12), (0, 48)])
def test_a_sample_that_is_too_small_is_refused(shape):
    with pytest.raises(InvalidInputError, match=rf"16.*{shape[0]}.*{shape[1]} dimensions"):
        PCA(16).fit(embeddings(*shape))


def test_a_sample_of_one_is_refused():
    with pytest.raises(InvalidInputError, match="at least 2"):
        PCA(1).fit(embeddings(1))


def test_a_sample_that_does_not_vary_is_refused():
    with pytest.raises(InvalidInputError, match="0 directions"):
        PCA(2).fit(np.tile(embeddings(1), (60, 1)))
    with pytest.raises(InvalidInputError, match="0 directions"):
        PCA(2).fit(np.tile(embeddings(1), (6, 1)))


def test_whitening_wants_as_many_directions_as_components():
    flat = embeddings(100)[:, :5] @ np.ones((5, 48), np.float32) * np.linspace(1, 2, 100)[:, None]
    assert PCA(4).fit(flat).explained_variance_ratio[0] == pytest.approx(1)
    with pytest.raises(InvalidInputError, match="directions"):
        PCA(4, whiten=True).fit(flat)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused_by_row(value):
    sample = embeddings(2000)
    pca = PCA(4).fit(sample)
    sample[1700, 3] = value
    for use in (PCA(4).fit, pca.transform):
        with pytest.raises(InvalidInputError, match="row 1700"):
            use(sample)


def test_vectors_of_another_width_are_refused_with_both_widths():
    pca = PCA(4).fit(embeddings(100))
    with pytest.raises(InvalidInputError, match=r"48 dimensions.*\(2, 47\)"):
        pca.transform(embeddings(2, 47))
    with pytest.raises(InvalidInputError, match=r"4 dimensions.*\(48,\)"):
        pca.inverse_transform(embeddings(2)[0])
