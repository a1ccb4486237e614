"""Each original beside its stand-in, over one recording server or one local model: equal, or listed with a reason."""

from __future__ import annotations

import logging
from importlib.util import find_spec

import pytest

from support.signatures import signature
from support.tiny_models import settings, write_tiny

from .differential import CASES, DIFFERENT, answer, changes, filled, kinds, reason

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # the originals' own warnings are not ours
PROMPTS = {"query": "query: ", "document": "doc: ", "other": "other: "}
each_original = pytest.mark.parametrize("case", CASES, ids=lambda case: case.original.partition(":")[2])


def installed(case):
    try:
        return kinds(case)
    except ImportError:
        pytest.skip(f"needs {case.original}")


@pytest.fixture(scope="module")
def models(tmp_path_factory, minilm_path):
    """Two small models: without prompts, and one with a default prompt."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny(folder / "tiny", minilm_path)
    write_tiny(folder / "prompted", minilm_path)
    settings(prompts=PROMPTS, default_prompt_name="other")(folder / "prompted")
    return {"tiny": str(folder / "tiny"), "prompted": str(folder / "prompted")}


@pytest.fixture
def places(server, models, monkeypatch):
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
    if find_spec("voyageai"):  # it would load a tokenizer from the hub, and its address has no variable
        tokens = lambda _, texts, model: [list(range(len(text))) for text in texts]  # noqa: ARG005, E731
        monkeypatch.setattr("voyageai._base._BaseClient.tokenize", tokens)
        monkeypatch.setattr("voyageai._base.get_default_base_url", lambda _: f"{server.url}/voyage/v1")
    logging.disable(logging.CRITICAL)  # an original logs each try
    yield {**models, "url": server.url}
    logging.disable(logging.NOTSET)


@each_original
def test_the_grid_knows_each_keyword_of_the_original(case):
    """A new original may have new ones, which a stand-in has to learn."""
    installed(case)
    known = {*case.grid, *case.idle, *case.base}
    assert set(signature(case.original)) - known == set()


@each_original
def test_requests_and_vectors_are_the_originals_or_the_difference_is_listed(case, places, server):
    theirs, ours = installed(case)
    base, told = filled(case.base, places), filled(case.ours, places)
    wrong, unused, count = [], set(DIFFERENT[ours.__name__]), 0
    for change in changes(case, ours.synonyms):
        named = {ours.synonyms.get(keyword, keyword) for keyword in change}
        given = {key: part for key, part in base.items() if ours.synonyms.get(key, key) not in named}
        given |= filled(change, places)
        found = [answer(lambda: theirs(**given), server), answer(lambda: ours(cache=False, **told, **given), server)]  # noqa: B023
        count += 1
        if found[0].equals(found[1]):
            continue
        if reason(case, change) is None:
            wrong.append((change, *(one.told() for one in found)))
        unused -= {name for key, part in change.items() for name in (key, f"{key}={part!r}")}
    assert not wrong, wrong[:3]
    assert unused == set(), "is listed as different, and equal"
    assert count >= len(case.grid) // 2
