"""Leads originals to the tests' server, which have no option, and no variable, for their address."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

import pytest


def lead_originals(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Voyage's, Jina's and Mistral's, as far as they are installed; for one test.

    Args:
        monkeypatch: of the test.
        url: the server's.
    """
    if find_spec("voyageai"):  # it would load a tokenizer from the hub
        tokens = lambda _, texts, model: [list(range(len(text))) for text in texts]  # noqa: ARG005, E731
        monkeypatch.setattr("voyageai._base._BaseClient.tokenize", tokens)
        monkeypatch.setattr("voyageai._base.get_default_base_url", lambda _: f"{url}/voyage/v1")
    if find_spec("langchain_community"):
        monkeypatch.setattr("langchain_community.embeddings.jina.JINA_API_URL", f"{url}/jina/v1/embeddings")
    if find_spec("mistralai"):
        monkeypatch.setattr("mistralai.client.sdkconfiguration.SERVERS", {"global": f"{url}/mistral"})
    if find_spec("llama_index.embeddings") and find_spec("llama_index.embeddings.jinaai"):
        caller = importlib.import_module("llama_index.embeddings.jinaai.base")._JinaAPICaller
        monkeypatch.setattr(caller.__init__, "__defaults__", ("jina-embeddings-v3", f"{url}/jina/v1", None))
