"""Each original beside its stand-in, over one recording server or one local model: equal, or listed with a reason.

`pytest -s -m slow` on this file prints how many combinations were equal, for each class.
"""

from __future__ import annotations

import gc
import logging
from importlib.metadata import version

import pytest
from packaging.version import Version

import embedbridge.langchain
import embedbridge.llama_index
from embedbridge.providers._tiktoken_counter import vocabulary
from support.led import lead_originals
from support.proxy import ForwardProxy
from support.signatures import signature
from support.tiny_models import settings, write_tiny

from . import grid_of_langchain, grid_of_llama_index
from .differences import DIFFERENT, FORMER, NOT_THERE
from .grid import answer, changes, filled, kinds, reasons, shown

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # the originals' own warnings are not ours
PROMPTS = {"query": "query: ", "document": "doc: ", "other": "other: "}
CASES = [*grid_of_langchain.CASES, *grid_of_llama_index.CASES]
NO_STAND_INS = {"BridgeEmbeddings", "BridgeEmbedding", "init_embeddings"}
each_grid = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def installed(case):
    try:
        return kinds(case)
    except ModuleNotFoundError as error:
        if not case.original.startswith(str(error.name)):  # one that is installed, and lacks something
            raise
        pytest.skip(f"needs {case.original}")


def release(case):
    return Version(version(getattr(embedbridge.langchain, case.original.partition(":")[2]).package))


def listed_differences(case):
    """Of the release that is installed."""
    since, formerly = FORMER.get(case.name, ("", {}))
    older = bool(since) and release(case) < Version(since)
    return {**DIFFERENT.get(case.name, {}), **(formerly if older else {})}


@pytest.fixture(scope="module")
def models(tmp_path_factory, minilm_path):
    """Two small models: without prompts, and one with a default prompt."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny(folder / "tiny", minilm_path)
    write_tiny(folder / "prompted", minilm_path)
    settings(prompts=PROMPTS, default_prompt_name="other")(folder / "prompted")
    return {"tiny": str(folder / "tiny"), "prompted": str(folder / "prompted")}


@pytest.fixture(scope="module")
def totals():
    """Combinations, equal ones, those that both refuse, and different ones of each class, printed at the end."""
    table = {}
    yield table
    lines = [f"{name:36}" + "".join(f"{number:12}" for number in row) for name, row in table.items()]
    whole = [sum(column) for column in zip(*table.values(), strict=True)]
    print("\n" + f"{'class':36}" + "".join(f"{head:>12}" for head in ("combined", "equal", "refused", "different")))  # noqa: T201
    print("\n".join([*lines, f"{'in all':36}" + "".join(f"{number:12}" for number in whole)]))  # noqa: T201


@pytest.fixture
def places(server, models, monkeypatch):
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabulary() or ""))
    lead_originals(monkeypatch, server.url)
    logging.disable(logging.CRITICAL)  # an original logs each try
    gc.freeze()  # what all these packages have loaded need not be looked through again and again
    with ForwardProxy() as proxy:
        yield {**models, "url": server.url, "proxy": proxy.url}, proxy
    logging.disable(logging.NOTSET)
    gc.collect()  # some originals leave connections open, which is to be told of here and not in another test
    gc.unfreeze()


def test_every_stand_in_has_a_grid():
    faces = {*embedbridge.langchain.__all__, *embedbridge.llama_index.__all__}
    assert {case.original.partition(":")[2] for case in CASES} == faces - NO_STAND_INS


@each_grid
def test_the_grid_knows_each_keyword_of_the_original(case):
    """A new original may have new ones, which a stand-in has to learn."""
    installed(case)
    known = {name for each in CASES if each.original == case.original for name in (*each.grid, *each.idle, *each.base)}
    assert set(signature(case.original)) - known == set()


@each_grid
def test_public_names_of_the_original_are_there_or_listed(case):
    """Methods, properties and fields."""
    theirs, ours = ({*dir(kind), *kind.model_fields} for kind in installed(case))
    lacking = {name for name in theirs - ours if not name.startswith("_")}
    assert lacking == NOT_THERE.get(case.name.partition(" ")[0], {}).keys()


@each_grid
def test_requests_and_vectors_are_the_originals_or_the_difference_is_listed(case, places, server, totals):
    theirs, ours = installed(case)
    if case.since and release(case) < Version(case.since):
        pytest.skip(f"{case.original} of release {release(case)} has nothing of it")
    if case.about == "long texts" and vocabulary() is None:
        pytest.skip("needs OpenAI's vocabulary on this machine")
    named, proxy = places
    base, told = filled(case.base, named), filled(case.ours, named)
    listed, row = listed_differences(case), [0, 0, 0, 0]
    wrong, unused = [], set(listed)
    for change in changes(case, ours.synonyms, listed):
        replaced = {ours.synonyms.get(keyword, keyword) for keyword in change}
        given = {key: part for key, part in base.items() if ours.synonyms.get(key, key) not in replaced}
        given |= filled(change, named)
        found, through = [], []
        for kind, more, asks in ((theirs, case.theirs(), case.asks), (ours, {"cache": False, **told}, "")):
            before = len(proxy.asked)
            found.append(answer(kind, {**more, **given}, server, asks=asks, flat=case.flat))
            through.append(len(proxy.asked) > before)
        row[0] += 1
        if found[0].equals(found[1]) and through[0] == through[1]:
            row[2 if found[0].error else 1] += 1
            continue
        row[3] += 1
        rows = reasons(listed, change)
        if not rows:
            wrong.append("\n".join((shown(change), *(each.told() for each in found), f"by a proxy: {through}")))
        unused -= set(rows)
    totals[case.name] = row
    assert not wrong, "\n\n".join(wrong)
    assert unused == set(), "is listed as different, and equal"
