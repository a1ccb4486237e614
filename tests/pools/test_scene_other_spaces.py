"""A replica that answers otherwise than the others gives no vector to anybody: neither returned nor stored."""

from __future__ import annotations

import warnings

import pytest

from embedbridge import EmbeddingError, ProviderUnavailableError, SpaceMismatchError
from embedbridge.testing import FaultServer
from support.scene import WIDTH, NearlyServer, corpus, scene

OTHERS = {
    "another model": lambda: NearlyServer(lambda text: f"{text} as another model reads it"),
    "a prefix of its own": lambda: NearlyServer("passage: ".__add__),
    "another dimension": lambda: FaultServer(width=WIDTH // 2),
    "lower case": lambda: NearlyServer(str.lower),
    "fewer characters": lambda: NearlyServer(lambda text: text[:200]),
    "stripped texts": lambda: NearlyServer(str.strip),
}
"""How the second server differs."""


def embed(caller, these, texts, **options):
    """The result, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = caller.embed(these.embedder(batch_size=2, **options), texts)
    these.check(texts, result.vectors)
    return result, [str(each.message) for each in caught]


def test_a_replica_of_another_space_is_asked_for_no_text_and_its_vectors_are_stored_nowhere(caller, tmp_path):
    texts, faults = corpus(40), []
    for name, make in OTHERS.items():
        folder = tmp_path / name
        with scene(FaultServer(width=WIDTH), make()) as these:
            embed(caller, these, texts[:1], cache=folder)  # by the first, which is the one to agree with
            _, told = embed(caller, these, texts, cache=folder)
            if sum("left out" in each for each in told) != 1:
                faults.append(f"{name}: warned of {len(told)} times: {told}")
            if asked := set(these.servers[1].stats.billed) & set(texts):
                faults.append(f"{name}: was asked for {len(asked)} texts")
            these.servers[1].reset()
            paid = these.servers[0].stats.calls
            result, _ = embed(caller, these, texts, cache=folder)
            if result.report.requests or these.servers[0].stats.calls != paid:
                faults.append(f"{name}: the cache lacked something")
    assert not faults


def test_where_only_a_replica_of_another_space_is_left_the_call_fails_and_the_figures_are_told(caller, tmp_path):
    texts = corpus(2, "others")
    with scene(FaultServer(width=WIDTH), NearlyServer("passage: ".__add__)) as these:
        embed(caller, these, corpus(2), cache=tmp_path)
        these.servers[0].stop()
        embedder = these.embedder(cache=tmp_path, max_retries=1, base_url=f"{these.servers[0].url}/v1")
        with pytest.warns(UserWarning, match="1 - cosine is"), pytest.raises(EmbeddingError) as caught:
            caller.embed(embedder, texts)
        assert isinstance(caught.value, (SpaceMismatchError, ProviderUnavailableError))
        assert not set(these.servers[1].stats.billed) & set(texts)


def test_a_replica_that_becomes_another_is_noticed_when_it_says_so(caller):
    """Its answers name another model from then on."""
    with scene(FaultServer(width=WIDTH), NearlyServer(str)) as these:
        embedder = these.embedder(batch_size=2)
        caller.embed(embedder, corpus(40, "before"))
        assert these.servers[1].stats.served
        these.servers[1].change = "passage: ".__add__
        these.servers[1].on(lambda _: True, "othermodel:name=another")
        texts = corpus(40)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = caller.embed(embedder, texts)
        these.check(texts, result.vectors)
