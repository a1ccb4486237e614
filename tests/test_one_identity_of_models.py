"""One identity of local models: what differs in weights, files or options differs in key, space, data and pickle."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import shutil
from typing import Any

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder
from support.golden import Asked, keys_of
from support.tiny_models import CHANGES, OPTIONS, write_tiny

TEXTS = ("Ravens plan ahead", "Ravens plan ahead of winter, and so do jays. " * 3)
"""One that every model reads whole, and one that is cut."""
ROLES = ("query", "document")


@pytest.fixture(scope="module")
def folders(tmp_path_factory, minilm_path):
    """A model, and a copy for each change, all in folders of one name."""
    place = tmp_path_factory.mktemp("models")
    write_tiny(place / "model", minilm_path)
    for name, change in CHANGES.items():
        change(shutil.copytree(place / "model", place / name / "model"))
    return place


def made(folders, name: str) -> tuple[Embedder, Asked]:
    asked = Asked()
    folder = folders / name if name in CHANGES else folders
    return Embedder(f"local:{folder / 'model'}", cache=asked, **OPTIONS.get(name, {})), asked


def keys(embedder: Embedder, asked: Asked) -> tuple[str, ...]:
    return tuple(keys_of(embedder, asked, text, role)[0] for role in ROLES for text in TEXTS)


def told(embedder: Embedder) -> dict[str, Any]:
    """The stored data without the folder's place."""
    return {name: value for name, value in embedder.as_llama_index().to_dict().items() if name != "model"}


def thawed(embedder: Any) -> Any:
    return pickle.loads(pickle.dumps(embedder))  # noqa: S301 - our own


def test_models_and_options_that_give_other_vectors_share_nothing(folders):
    """13.3: and a pickle has the identity of its original."""
    found = {}
    for name in ("model", *CHANGES, *OPTIONS):
        try:
            embedder, asked = made(folders, name)
        except ConfigurationError as error:
            assert name == "onnx"
            assert "pip install" in str(error)  # noqa: PT017
            continue
        twin = thawed(embedder)
        found[name] = (keys(embedder, asked), embedder.space.fingerprint, json.dumps(told(embedder), sort_keys=True))
        assert (keys(twin, twin.options.cache), twin.space.fingerprint) == found[name][:2], name
    for (one, first), (other, second) in itertools.combinations(found.items(), 2):
        if "dimensions" not in {one, other}:  # of one model, the whole vectors are stored
            assert first[0] != second[0], (one, other)
        assert first[1] != second[1], (one, other)
        assert first[2] != second[2], (one, other)


def test_the_same_model_in_another_place_shares_all(folders, tmp_path):
    (embedder, asked), its = made(folders, "model"), Asked()
    folder = shutil.copytree(folders / "model", tmp_path / "model")
    twin = Embedder(f"local:{folder}", cache=its, concurrency=1, show_progress=False)
    assert keys(twin, its) == keys(embedder, asked)
    assert twin.space.fingerprint == embedder.space.fingerprint
    assert told(twin) == told(embedder)


@pytest.mark.parametrize("name", CHANGES)
def test_a_pickle_of_a_model_that_has_changed_since_is_refused(folders, tmp_path, name):
    folder = shutil.copytree(folders / "model", tmp_path / "model")
    frozen = pickle.dumps(Embedder(f"local:{folder}", cache=False))
    CHANGES[name](folder)
    with pytest.raises(ConfigurationError, match="would not ask as its original"):
        pickle.loads(frozen)  # noqa: S301 - our own


def as_of_the_hub(folders, home, commit: str) -> None:
    """The model `org/tiny` as the hub's client keeps it."""
    cached = home / "models--org--tiny"
    shutil.copytree(folders / "model", cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text(commit)


@pytest.mark.slow
@pytest.mark.parametrize(("commit", "same"), [("a" * 40, True), ("b" * 40, False)])
def test_a_pickle_whose_model_comes_later_is_checked_when_it_is_there(folders, tmp_path, monkeypatch, commit, same):
    """C3: another home of models, into which another commit was downloaded, was asked without a word."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    as_of_the_hub(folders, tmp_path / "here", "a" * 40)
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "here"))
    original = Embedder("local:org/tiny", cache=False)
    assert original.space.revision == "a" * 40
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "there"))
    twins = [thawed(original), thawed(original.as_langchain()).embedder, copy.copy(original)]
    as_of_the_hub(folders, tmp_path / "there", commit)
    for twin in twins:
        if same:
            assert twin.embed(TEXTS).vectors.shape == (2, 16)
            continue
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=r"would not ask as its original.*revision"):
                twin.embed(TEXTS)


@pytest.mark.slow
def test_the_vectors_differ_where_the_identities_do(folders):
    """So that no change above is one that decides nothing."""
    vectors = {}
    for name in ("model", *CHANGES, *(each for each in OPTIONS if each != "onnx")):
        embedder, _ = made(folders, name)
        plain = Embedder.from_options(embedder.options.model_copy(update={"cache": False}))
        vectors[name] = np.concatenate([plain.embed(TEXTS, input_type=role).vectors for role in ROLES])
    for (one, first), (other, second) in itertools.combinations(vectors.items(), 2):
        assert first.shape != second.shape or np.abs(first - second).max() > 1e-5, (one, other)
