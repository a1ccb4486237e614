"""Every row of the catalogue has a sound form."""

import subprocess
import sys
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import get_args

import pytest

import embedbridge.catalogue
from embedbridge._core.types import INPUT_TYPES
from embedbridge.catalogue import ModelCard, cards, look_up
from embedbridge.catalogue.card import Endpoint, Status, Sure
from embedbridge.catalogue.rows import PROVIDERS

FILES = list(Path(embedbridge.catalogue.__file__).parent.glob("*.toml"))
ROWS = list(cards())
FIELDS = {field.name: field.default for field in fields(ModelCard)}
WIDENED = {"voyage", "dashscope", "mistral"}
"""Providers whose default can be widened, as they say: Voyage's and DashScope's 1024 to 2048."""
ENDINGS = (": ", "\nQuery:", "<query>", "\uff1a", "<|embed|>\n", "query:\n", "snippet:\n")
"""Where a text can begin."""


def faults_of(check):
    """What a check says of every row, as one list: name of the row, and what is wrong with it."""
    return [f"{card.provider}:{card.name}: {fault}" for card in ROWS for fault in check(card)]


def wrong(**facts):
    """The names of facts that do not hold."""
    return [name for name, holds in facts.items() if not holds]


def sizes(card):
    limit = card.max_tokens
    return wrong(
        dimensions=card.dimensions > 0,
        max_tokens=limit is None if card.pooling == "static" else limit > 0,
        served_tokens=card.served_tokens is None or 0 < card.served_tokens < limit,
        request_tokens=card.request_tokens is None or card.request_tokens >= limit,
    )


def reductions(card):
    widths = list(card.reductions)
    return wrong(
        sorted=widths == sorted(set(widths)),
        positive=all(width > 0 for width in widths),
        own=not widths or card.dimensions in widths,
        last=not widths or widths[-1] == card.dimensions or card.provider in WIDENED,
    )


def prefixes(card):
    yield from wrong(
        roles=set(card.prefixes) <= set(INPUT_TYPES),
        both=not card.prefixes or {"query", "document"} <= set(card.prefixes),
        template=bool(card.task_template) == bool(card.task),
    )
    for prefix in filter(None, card.prefixes.values()):
        if prefix != prefix.lstrip() or prefix.endswith("  ") or not prefix.endswith(ENDINGS):
            yield repr(prefix)
    if card.task_template and not (
        card.task_template.count("{task}") == 1
        and card.prefix("query") == card.prefix("query", card.task)
        and card.task in card.prefix("query")
    ):
        yield card.task_template


def price(card):
    return wrong(
        dated=(card.price is None) == (card.price_date is None),
        amount=card.price is None or 0 < card.price < 1,
        date=card.price is None or card.price_date == date(2026, 11, 23),
    )


def origin(card):
    return wrong(
        source=card.source and "{" not in card.source,
        sure=card.sure in get_args(Sure),
        status=card.status in get_args(Status),
        endpoint=card.endpoint in get_args(Endpoint),
        licence=card.licence,
    )


def retirement(card):
    """A day is one for vendors; who is retired has one; what follows is listed, and is another."""
    known = card.successor in {each.name for each in cards(card.provider)}
    return wrong(
        day=card.retires is None or card.retires.year > 2020,
        retired=card.status != "retired" or card.retires is not None,
        successor=not card.successor or (known and card.successor != card.name),
    )


def from_memory(card):
    for fact in card.from_memory:
        stated = card.prefixes.get(fact) if fact in INPUT_TYPES else getattr(card, fact)
        if stated is None or stated == FIELDS.get(fact, object()):
            yield f"{fact} is from memory, and not stated"


def names(card):
    for name in (card.name, *card.aliases):
        if look_up(card.provider, name) != card:
            yield f"is not found as {name!r}"


@pytest.mark.parametrize("check", [sizes, reductions, prefixes, price, origin, retirement, from_memory, names])
def test_every_row_is_sound(check):
    assert not faults_of(check)


def test_a_fault_of_any_row_is_seen_and_named(monkeypatch):
    bad = replace(
        look_up("ollama", "all-minilm"),
        dimensions=0,
        reductions=(9, 8),
        prefixes={"query": " q"},
        price=2.0,
        licence="",
        status="retired",
        successor="nobody",
        from_memory=("task",),
        aliases=("bge-m3",),
    )
    monkeypatch.setattr(sys.modules[__name__], "ROWS", [bad])
    for check in (sizes, reductions, prefixes, price, origin, retirement, from_memory, names):
        assert faults_of(check)[0].startswith("ollama:all-minilm:22m: ")


def test_rows_can_be_told_apart_and_kept_in_a_set():
    assert len(set(ROWS)) == len(ROWS)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_two_rows_of_a_provider_share_a_name(provider):
    names = [name.lower() for card in cards(provider) for name in (card.name, *card.aliases)]
    assert names
    assert len(names) == len(set(names))


def test_no_two_models_of_the_hub_share_a_last_name_so_it_is_enough():
    last = [card.name.rpartition("/")[2].lower() for card in cards("sentence-transformers")]
    assert len(last) == len(set(last))


def test_the_catalogue_knows_at_least_the_models_it_was_made_for():
    assert len(ROWS) >= 300
    assert not list(cards("fake"))


def test_only_models_of_one_series_share_a_space():
    spaces = {}
    for card in cards():
        if card.space:
            spaces.setdefault(card.space, set()).add(card.name)
    assert spaces == {
        "voyage-4": {"voyage-4-large", "voyage-4", "voyage-4-lite", "voyageai/voyage-4-nano"},
        "embed-v5.0": {"embed-v5.0-pro", "embed-v5.0-fast"},
    }


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("voyage-4-lite", 1_000_000), ("voyage-3.5-lite", 1_000_000), ("voyage-4", 320_000), ("voyage-3.5", 320_000)]
    + [(name, 120_000) for name in ("voyage-4-large", "voyage-3-large", "voyage-code-3", "voyage-law-2")],
)
def test_voyage_limits_the_tokens_of_a_request_by_model(model, tokens):
    assert look_up("voyage", model).request_tokens == tokens


def test_each_file_is_read():
    written = {file.stem.replace("_", "-") for file in FILES} - {"hosts"}
    assert written == set(PROVIDERS), "name each file in PROVIDERS of catalogue/rows.py"


def test_the_wrong_bge_wording_that_circulates_is_nowhere():
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert "Represent this sentence for retrieval" not in text
        assert "Represent this question for searching" not in text


def test_importing_the_catalogue_reads_no_file_and_asking_one_provider_reads_one():
    program = (
        "from embedbridge.catalogue import look_up, rows\n"
        "print(rows._read.cache_info().currsize)\n"
        "look_up('voyage', 'voyage-4'); look_up('voyage', 'voyage-3')\n"
        "print(rows._read.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1"]
