"""Numbers that no vector should have are named errors, whatever NumPy would warn of (W12)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from embedbridge import Embedder, InvalidInputError, InvalidResponseError
from embedbridge.cache import MemoryCache
from embedbridge.quantization import quantize
from embedbridge.reduction import PCA
from embedbridge.similarity import cosine_similarity, dot_product, euclidean_distance, top_k
from support.cases import each

SIGNALLING = np.frombuffer(bytes.fromhex("0100a07f"), "<f4")[0]
NO_NUMBERS = {"signalling NaN": SIGNALLING, "infinity": np.inf, "1e300": 1e300}
LARGE_AND_SMALL = {"largest": np.finfo(np.float32).max, "denormal": 1e-45, "1e-300": 1e-300}


@pytest.fixture(autouse=True)
def _numpy_says_nothing():
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        yield


def rows(number):
    with np.errstate(all="ignore"):
        table = np.random.default_rng(3).normal(size=(12, 4)).astype(np.float32 if number is SIGNALLING else float)
        table[5] = number
    return table


@each("number", NO_NUMBERS.values())
@each(
    "use",
    [
        lambda table: cosine_similarity(table, table),
        lambda table: dot_product(table, table, paired=True),
        lambda table: euclidean_distance(table, table),
        lambda table: top_k(table[:2], table, 3),
        lambda table: top_k(table, table[:2], 1, metric="euclidean"),
        lambda table: PCA(2).fit(table),
        lambda table: PCA(2).fit(rows(1.0)).transform(table),
        lambda table: quantize(table, "int8", limits=1.0),
        lambda table: quantize(table, "binary"),
    ],
)
def test_w12_what_is_no_number_is_an_error_with_its_row(use, number):
    """W12: on arrays that the user brings."""
    with pytest.raises(InvalidInputError) as caught:
        use(rows(number))
    assert caught.value.index == 5


@pytest.mark.parametrize("number", LARGE_AND_SMALL.values(), ids=LARGE_AND_SMALL)
def test_w12_large_and_small_numbers_are_only_numbers(number):
    """W12: products that float32 cannot hold are infinite, as documented."""
    table = rows(number)
    assert np.isfinite(cosine_similarity(table, table)).all()
    dot_product(table, table)
    euclidean_distance(table, table)
    top_k(table, table, 3)
    PCA(2).fit(table)
    assert len(quantize(table, "int8", limits=1e-38)) == len(quantize(table, "binary")) == 12


class Spoiled:
    """An object of LangChain's kind that gives one text a vector of such numbers."""

    def __init__(self, number):
        self.number, self.asked = number, []

    def embed_documents(self, texts):
        self.asked += texts
        vectors = np.random.default_rng(3).normal(size=(len(texts), 4)).astype("<f4")
        return [np.full(4, self.number, "<f4") if "3" in text else vectors[at] for at, text in enumerate(texts)]

    def embed_query(self, text):
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts):
        return self.embed_documents(texts)

    async def aembed_query(self, text):
        return self.embed_query(text)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("number", [SIGNALLING, np.inf, np.finfo(np.float32).max], ids=["NaN", "infinity", "largest"])
def test_w12_an_answer_with_such_numbers_loses_only_that_text(number, dtype, caller):
    """W12: the request is sent once more, and the other vectors are kept."""
    spoiled, texts = Spoiled(number), [f"text {i}" for i in range(8)]
    made = Embedder(
        "langchain:mine",
        cache=MemoryCache(),
        cache_dtype=dtype,
        normalize=True,
        provider_options={"embeddings": spoiled},
    )
    with pytest.raises(InvalidResponseError) as caught:
        caller.embed(made, texts)
    assert (caught.value.failed_indices, len(spoiled.asked)) == ((3,), 16)
    assert caught.value.completed == (0, 1, 2, 4, 5, 6, 7)
    caller.embed(made, texts[:3])
    assert len(spoiled.asked) == 16


@pytest.mark.parametrize("number", [1e30, 70_000.0, 1e-30])
def test_w12_numbers_that_leave_float16_are_stored_all_the_same(number, caller):
    """W12: in the cache."""
    made = Embedder(
        "langchain:mine",
        cache=MemoryCache(),
        cache_dtype="float16",
        provider_options={"embeddings": Spoiled(min(1e18, number))},
    )
    first = caller.embed(made, ["text 3"]).vectors
    assert np.allclose(caller.embed(made, ["text 3"]).vectors, first, atol=1e-7)
