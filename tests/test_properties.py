"""However a text is embedded, its vector is the same: in any company, order and batch, through any cache and call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedbridge import Embedder
from embedbridge._core.finish import unit_length
from embedbridge.cache import MemoryCache
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.providers.fake import fake_vectors
from embedbridge.reduction import PCA
from embedbridge.testing import FaultServer

WIDTH = 24
words = st.text(st.sampled_from("ab ü月\n"), min_size=1, max_size=4).filter(str.strip)
texts = st.lists(words, max_size=40)
"""Short, of few letters: many of them are equal."""
ways = st.fixed_dictionaries(
    {},
    optional={
        "batch_size": st.integers(1, 10),
        "concurrency": st.integers(1, 4),
        "document_prefix": st.sampled_from(["", "a", "passage: "]),
        "dimensions": st.integers(1, WIDTH),
        "normalize": st.booleans(),
    },
)
caches = st.sampled_from(["none", "memory", "disk", "both"])


def truth(listed, way):
    """What the options say, worked out by hand for all texts at once."""
    prefix = way.get("document_prefix", "")
    sent = [text if text.startswith(prefix) else prefix + text for text in listed]
    vectors = fake_vectors(sent, WIDTH)
    if way.get("dimensions", WIDTH) < WIDTH:
        vectors = vectors[:, : way["dimensions"]]
        vectors = vectors if way.get("normalize") is False else unit_length(vectors)
    return vectors


async def awaited(embedder, listed):
    """On an event loop, which is left in order."""
    async with embedder:
        return await embedder.aembed_documents(listed)


def embed_somehow(embedder, listed, how):
    """The vectors by one of the public ways."""
    if how == "sync":
        return embedder.embed_documents(listed)
    if how == "async":
        return asyncio.run(awaited(embedder, listed))
    if how == "stream":
        parts = [result.vectors for result in embedder.stream(iter(listed), chunk_size=7)]
        return np.concatenate([embedder.embed_documents([]), *parts])
    if how == "one by one":
        return np.array([embedder.embed_documents([text])[0] for text in listed], np.float32)
    if how == "langchain":
        return np.array(BridgeEmbeddings.of(embedder).embed_documents(listed), np.float32)
    return np.array(BridgeEmbedding.of(embedder).get_text_embedding_batch(listed), np.float32)


hows = st.sampled_from(["sync", "async", "stream", "one by one", "langchain", "llama-index"])


@pytest.mark.filterwarnings("ignore:text .* already begins with")
@settings(deadline=None, max_examples=150)
@given(listed=texts, way=ways, cache=caches, calls=st.lists(st.tuples(hows, st.randoms()), min_size=1, max_size=3))
def test_no_batch_no_order_no_duplicate_no_cache_and_no_call_changes_a_vector(listed, way, cache, calls):
    with TemporaryDirectory() as folder:
        memory = MemoryCache()
        chosen = {"none": False, "memory": memory, "disk": folder, "both": [memory, folder]}[cache]
        for how, chance in calls:
            chance.shuffle(listed)
            with Embedder(f"fake:{WIDTH}", cache=chosen, **way) as embedder:
                vectors = embed_somehow(embedder, listed, how)
            if listed:
                np.testing.assert_allclose(vectors, truth(listed, way), atol=1e-6)


@pytest.fixture(scope="module")
def reductions(tmp_path_factory):
    """Fitted ones, by the width of what they take."""
    folder, fitted = tmp_path_factory.mktemp("reductions"), {}
    sample = fake_vectors([f"text {number}" for number in range(200)], WIDTH)
    for width in (8, WIDTH):
        cut = sample if width == WIDTH else unit_length(sample[:, :width])
        fitted[width] = folder / f"{width}.npz"
        PCA(5).fit(cut).save(fitted[width])
    return fitted


@settings(deadline=None, max_examples=60)
@given(
    listed=texts.filter(bool),
    width=st.sampled_from([8, WIDTH]),
    normalize=st.sampled_from([None, True, False]),
    how=hows,
    size=st.integers(1, 9),
)
def test_a_reduction_comes_to_the_same_before_and_after_batches_and_caches(
    reductions, listed, width, normalize, how, size
):
    memory, pca = MemoryCache(), PCA.load(reductions[width])
    with Embedder(f"fake:{WIDTH}", cache=memory) as plain:
        raw = plain.embed_documents(listed)
    options = {"dimensions": width, "reduction": reductions[width], "normalize": normalize, "batch_size": size}
    with (
        Embedder(f"fake:{WIDTH}", cache=memory, **options) as warm,
        Embedder(f"fake:{WIDTH}", cache=False, **options) as cold,
    ):
        found, again = embed_somehow(warm, listed, how), embed_somehow(cold, listed, "sync")
        assert warm.usage.requests == 0
    cut = raw[:, :width] if width == WIDTH or normalize is False else unit_length(raw[:, :width])
    by_hand = pca.transform(cut)
    by_hand = unit_length(by_hand) if normalize else by_hand
    np.testing.assert_allclose(found, by_hand, atol=1e-6)
    np.testing.assert_allclose(again, by_hand, atol=1e-6)


@pytest.fixture(scope="module")
def shuffling():
    """A server that answers in any order, and says in which."""
    with FaultServer() as server:
        server.on(lambda _: True, "shuffle")
        yield server


@settings(deadline=None, max_examples=25)
@given(listed=texts.filter(bool), how=hows, size=st.integers(1, 9), dimensions=st.sampled_from([None, 12]))
def test_nor_does_a_server_that_answers_in_another_order(shuffling, listed, how, size, dimensions):
    own = {"base_url": f"{shuffling.url}/v1", "api_key": "sk-test", "cache": False, "batch_size": size}
    with Embedder("openai:text-embedding-3-small", dimensions=dimensions, **own) as embedder:
        vectors = embed_somehow(embedder, listed, how)
    expected = np.stack([shuffling.vector(text, dims=dimensions) for text in listed])
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


@pytest.mark.slow
def test_nor_do_a_real_models_batches_and_their_padding(minilm_path: Path, tmp_path: Path):
    some = ["ravens", "plan", "ahead", "while", "rye", "needs", "cold", "winters", "and", "tides", "follow", "the moon"]
    random = np.random.default_rng(0)
    listed = [" ".join(random.choice(some, size)) for size in random.integers(1, 120, 60)]
    model = f"local:{minilm_path}"
    with Embedder(model, cache=False, batch_size=1) as alone:
        expected = alone.embed_documents(listed)
    for number, size in enumerate((2, 7, 60)):
        order = random.permutation(len(listed))
        with Embedder(model, cache=tmp_path / str(number), batch_size=size) as embedder:
            shuffled = [listed[place] for place in order] + listed[:10]
            for how in ("async", "stream"):
                vectors = embed_somehow(embedder, shuffled, how)
                np.testing.assert_allclose(vectors, expected[[*order, *range(10)]], atol=1e-6)
