"""A deadline holds while a model is loaded and while tokens are counted; what was begun goes on for later calls."""

from __future__ import annotations

import time

import pytest

from embedbridge import DeadlineExceededError, Embedder
from embedbridge.providers import sentence_transformers
from embedbridge.providers._tokenizer_counter import TokenizerCounter
from embedbridge.providers.sentence_transformers import SentenceTransformersProvider

SLOW = 4.0
"""Seconds; the deadlines here are far below it."""


@pytest.fixture
def slow_load(monkeypatch):
    """Models that take long to load, each anew."""
    loads, load = [], SentenceTransformersProvider._load

    def slowly(self):
        loads.append(self.model)
        time.sleep(SLOW)
        return load(self)

    monkeypatch.setattr(sentence_transformers, "_models", {})
    monkeypatch.setattr(SentenceTransformersProvider, "_load", slowly)
    return loads


@pytest.mark.slow
def test_a_call_does_not_wait_for_a_model_beyond_its_deadline(caller, slow_load):
    """C14: the error says what the time was spent on, and the next call finds the model loaded."""
    embedder, begun = Embedder(cache=False, deadline=0.5), time.monotonic()
    with pytest.raises(DeadlineExceededError, match=r"passed while the model '.*MiniLM.*' was being loaded") as caught:
        caller.embed(embedder, ["a", "b"])
    assert time.monotonic() - begun < SLOW / 2
    assert caught.value.failed_indices == (0, 1)
    embedder._parts.provider.load()
    assert caller.embed(embedder, ["a", "b"]).vectors.shape == (2, 384)
    assert len(slow_load) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("slow_load")
def test_a_call_does_not_wait_for_a_download_beyond_its_deadline(caller):
    """C14, C17: identity, prompts and limits of a model that is not here yet are asked for in time, not on the loop."""
    embedder, begun = Embedder("local:nobody/has-this", cache=False, deadline=0.5), time.monotonic()
    with pytest.raises(DeadlineExceededError, match="passed while the model 'nobody/has-this' was being loaded"):
        caller.embed(embedder, ["a"])
    assert time.monotonic() - begun < SLOW / 2


@pytest.mark.slow
def test_counting_tokens_keeps_to_the_deadline(caller, monkeypatch):
    """C14: a long text is not tokenised to its end when nobody waits any more."""
    spans = TokenizerCounter.spans

    def slowly(self, text):
        time.sleep(SLOW)
        return spans(self, text)

    Embedder(cache=False).embed(["loaded"])
    embedder, begun = Embedder(cache=False, deadline=0.5), time.monotonic()
    monkeypatch.setattr(TokenizerCounter, "spans", slowly)
    with pytest.raises(DeadlineExceededError, match="while tokens were being counted"):
        caller.embed(embedder, ["word " * 900])
    assert time.monotonic() - begun < SLOW / 2
