"""A description says what is sent, character by character, and does not claim to know more than it does."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import re

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge._columns import columns_of
from embedbridge._core.types import INPUT_TYPES
from embedbridge._run.describe import describe_card
from embedbridge.catalogue import cards, look_up
from embedbridge.providers import BUILT_IN, placeholder_key
from embedbridge.providers.sentence_transformers import SentenceTransformersProvider
from embedbridge.reduction import PCA

from .parts import variant


def describe(model, **options):
    return Embedder(model, cache=False, **options).describe()


def line(description, name):
    """What the page says behind a name."""
    (found,) = re.findall(rf"^ *{name}  +(.*)$", str(description), re.MULTILINE)
    return found


def put_before(description, role):
    """The prefix that a reader of the page would write down."""
    said = line(description, role)
    return ast.literal_eval(said[: said.rindex(" + text")]) if " + text" in said else ""


def told_wrongly(card):
    """What the page of a row says otherwise than the row."""
    description = describe_card(card)
    page = str(description)
    for role in INPUT_TYPES:
        if put_before(description, role) != (card.prefix(role) or ""):
            yield role
        if role in card.from_memory and not line(description, role).endswith("catalogue, from memory"):
            yield f"{role} from memory"
    if ("from memory" in page) != (card.sure == "memory" or bool(card.from_memory)):
        yield "from memory"
    yield from (fact for fact in card.from_memory if fact not in line(description, "from memory"))
    if line(description, "source") != card.source or not line(description, "licence").startswith(card.licence):
        yield "source or licence"
    if card.price is not None and f"${card.price:g} per million tokens (2026-11-23)" not in page:
        yield "price"
    if card.retires is not None and str(card.retires) not in line(description, "retires"):
        yield "retires"
    if card.successor and card.successor not in line(description, "retires"):
        yield "successor"


def test_every_row_is_told_character_by_character_with_what_is_from_memory_and_where_it_comes_from():
    assert not [f"{card.provider}:{card.name}: {fault}" for card in cards() for fault in told_wrongly(card)]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_page_of_every_model_fits_the_terminal_and_says_all_that_a_wider_one_says(columns):
    """An address and a model's name stay whole; a prefix stands in literals that Python joins to the same text."""
    for card in cards():
        description = describe_card(card)
        page, wide = description.page(columns), str(description)
        assert [line for line in page.splitlines() if columns_of(line) > columns and " " in line.strip()] == []
        told = [line.split("  ")[-1].strip() for line in wide.splitlines()[6:]]
        assert [each for each in told if each not in " ".join(page.split())] == []
        for role in INPUT_TYPES:
            assert ast.literal_eval(literals_of(page, role) or "''") == (card.prefix(role) or "")


def literals_of(page, role):
    """The literals below "sent as" of a role, from its line to the next role's."""
    heading, *lines = page.splitlines()[1:]
    begin = heading.index("sent as")
    first = next(at for at, line in enumerate(lines) if line.split()[0] == role)
    more = itertools.takewhile(lambda line: line.startswith(" " * begin), lines[first + 1 :])
    cells = [re.split(r"  +", line[begin:])[0] for line in (lines[first], *more)]
    return " ".join(cells).rpartition("+ text")[0]


@pytest.mark.parametrize(
    ("model", "options", "role", "sent", "who"),
    [
        ("ollama:nomic-embed-text", {}, "query", "'search_query: ' + text", "catalogue"),
        ("ollama:nomic-embed-text", {"query_prefix": "Q\n"}, "query", r"'Q\n' + text", "your option"),
        ("ollama:nomic-embed-text", {"query_prefix": ""}, "query", "text", "your option"),
        ("voyage:voyage-4", {"api_key": "k"}, "document", "text, as 'document'", "the API's own input type"),
        (
            "jina:jina-embeddings-v3",
            {"api_key": "k"},
            "clustering",
            "text, as 'separation'",
            "the API's own input type",
        ),
        ("nvidia:nvidia/nv-embedqa-e5-v5", {"api_key": "k"}, "query", "text, as 'query'", "the API's own input type"),
        ("tei:nomic-ai/nomic-embed-text-v1.5", {}, "query", "'search_query: ' + text", "catalogue"),
        ("cohere:embed-v4.0", {"api_key": "k"}, "query", "text, as 'search_query'", "the API's own input type"),
        ("ollama:somebody/else", {}, "query", "text", "not in the catalogue"),
        ("ollama:qwen3-embedding", {}, "clustering", "text", "nothing is known of this role"),
        ("fake:8", {}, "query", "text", "as it is"),
    ],
)
def test_each_role_says_what_is_sent_and_who_says_so(model, options, role, sent, who):
    assert re.split(" {2,}", line(describe(model, **options), role)) == [sent, who]


def test_the_catalogue_says_of_each_hosted_model_whether_its_provider_tells_the_role_by_a_field(monkeypatch):
    """A machine without the provider's package has the catalogue alone."""
    for variable in ("AWS_REGION", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.setenv(variable, "a-place")
    hosted = [card for card in cards() if card.provider in BUILT_IN and not card.endpoint]
    for card in hosted:
        model = f"{card.provider}:{card.name}"
        if not placeholder_key(model):
            continue
        told = {route.input_type for route in describe(model, **placeholder_key(model)).routes if route.source == "api"}
        assert bool(told) == card.api_roles, f"{model}: set api_roles in catalogue/{card.provider}.toml"


def test_a_saved_prompt_is_named_as_such_and_no_model_is_loaded_for_it(e5_path, tmp_path, monkeypatch):
    monkeypatch.setattr(SentenceTransformersProvider, "load", None)
    saved = describe(f"local:{e5_path}")
    assert line(saved, "query").endswith("saved with the model")
    lost = describe(f"local:{variant(e5_path, tmp_path / e5_path.name, prompts={})}")
    assert line(lost, "query").endswith("catalogue")
    for description in (saved, lost):
        assert put_before(description, "query") == "query: "
        assert put_before(description, "document") == "passage: "
        assert (description.tokens, description.dimensions, description.normalized) == (512, 384, True)
        assert line(description, "counted by") == "the model's own tokenizer"
        assert line(description, "listed as") == "local:intfloat/multilingual-e5-small"


def test_a_model_that_is_not_here_is_described_from_the_catalogue_and_says_so(monkeypatch):
    monkeypatch.setattr(SentenceTransformersProvider, "load", None)
    description = describe("local:BAAI/bge-large-zh-v1.5")
    assert put_before(description, "query") == look_up("sentence-transformers", "BAAI/bge-large-zh-v1.5").prefix(
        "query"
    )
    assert (description.tokens, description.dimensions) == (512, 1024)
    assert "not on this machine yet" in line(description, "remark")


def test_a_task_is_shown_as_it_is_sent():
    description = describe("ollama:qwen3-embedding", provider_options={"task": "Find the law"})
    assert put_before(description, "query") == "Instruct: Find the law\nQuery:"
    assert put_before(description, "document") == ""
    assert "'Instruct: {task}\\nQuery:'" in line(description, "task")


def test_dimensions_are_those_that_come_out(tmp_path):
    PCA(2).fit(np.random.default_rng(0).random((20, 8))).save(tmp_path / "pca.npz")
    for options, width, unit in (
        ({}, 768, True),
        ({"dimensions": 256}, 256, True),
        ({"dimensions": 256, "normalize": False}, 256, None),
    ):
        description = describe("ollama:nomic-embed-text", **options)
        assert (description.dimensions, description.normalized) == (width, unit)
    reduced = describe("fake:8", reduction=tmp_path / "pca.npz")
    assert (reduced.dimensions, reduced.normalized) == (2, None)
    assert "PCA(n_components=2" in line(reduced, "remark")
    assert describe("fake:8", normalize=True).normalized is True


def test_limits_and_policy_are_told():
    description = describe("cohere:embed-english-v3.0", api_key="k", too_long="mean")
    assert line(description, "max tokens") == "512 per text; longer texts: mean"
    assert line(description, "per request") == "at most 96 texts"
    assert line(description, "counted by").startswith("estimate, ")


def test_what_a_description_says_of_length_is_what_a_report_says(server):
    with Embedder("cohere:embed-english-v3.0", base_url=server.url, api_key="k", cache=False) as embedder:
        report = embedder.embed(["word " * 2000]).report
    assert report.counter == line(embedder.describe(), "counted by") != ""


def test_a_description_is_a_value():
    description = describe("fake:8")
    assert description == describe("fake:8")
    with pytest.raises(dataclasses.FrozenInstanceError):
        description.model = "another"
    assert "k-secret" not in str(describe("voyage:voyage-4", api_key="k-secret"))
