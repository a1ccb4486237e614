"""A model with weights of its own for each role is told which, by its own names for them."""

from __future__ import annotations

import json

import pytest

from embedbridge import Embedder

from .parts import variant

MODULE = '''
import torch


class Told(torch.nn.Module):
    """Stands in for Jina's adapters, whose weights no package carries: says in the last number what it was told."""

    def forward(self, features, task=None):
        features["sentence_embedding"] = torch.nn.functional.pad(features["sentence_embedding"], (0, 640))
        features["sentence_embedding"][:, -1] = len(task or "")
        return features

    @classmethod
    def load(cls, *args, **kwargs):
        return cls()
'''


@pytest.fixture
def jina(minilm_path, tmp_path):
    """MiniLM in a directory of that name, with a module behind it that takes `task` as Jina's own code does."""
    path = variant(minilm_path, tmp_path / "jina-embeddings-v3")
    modules = json.loads((path / "modules.json").read_text())
    modules.append({"idx": len(modules), "name": "told", "path": "", "type": "told.Told", "kwargs": ["task"]})
    (path / "modules.json").unlink()
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "told.py").write_text(MODULE)
    own = {"trust_remote_code": True, "revision": "here"}
    return Embedder(f"local:{path}", cache=False, provider_options=own)


def test_each_role_reaches_its_weights_beside_its_prefix(caller, jina):
    told = {
        "query": ("Represent the query for retrieving evidence documents: ", "retrieval.query"),
        "document": ("Represent the document for retrieval: ", "retrieval.passage"),
        "classification": ("", "classification"),
        "clustering": ("", "separation"),
    }
    routes = {role: jina.route(role) for role in told}
    assert {role: (route.prefix, route.wire_type) for role, route in routes.items()} == told
    last = {role: caller.embed(jina, ["text"], input_type=role).vectors[0, -1] for role in told}
    assert last == {role: len(task) for role, (_, task) in told.items()}


def test_the_description_names_them(jina):
    assert "+ text, as 'retrieval.query'" in str(jina.describe())
