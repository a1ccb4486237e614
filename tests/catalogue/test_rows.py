"""Every row of the catalogue has a sound form."""

import subprocess
import sys
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import get_args

import pytest

import embedbridge.catalogue
from embedbridge._core.types import INPUT_TYPES
from embedbridge.catalogue import ModelCard, cards, look_up
from embedbridge.catalogue.card import Endpoint, Status, Sure
from embedbridge.catalogue.rows import PROVIDERS

ROWS = [pytest.param(card, id=f"{card.provider}:{card.name}") for card in cards()]
FIELDS = {field.name: field.default for field in fields(ModelCard)}


@pytest.mark.parametrize("card", ROWS)
class TestEveryRow:
    def test_has_sizes_that_make_sense(self, card):
        assert card.dimensions > 0
        assert card.max_tokens is None if card.pooling == "static" else card.max_tokens > 0
        assert card.served_tokens is None or 0 < card.served_tokens < card.max_tokens
        assert card.request_tokens is None or card.request_tokens >= card.max_tokens

    def test_is_cut_to_widths_that_end_with_its_own_or_more(self, card):
        widths = list(card.reductions)
        assert widths == sorted(set(widths))
        assert all(width > 0 for width in widths)
        # APIs that widen their default say so: Voyage's and DashScope's 1024 can become 2048
        assert not widths or card.dimensions in widths
        assert not widths or widths[-1] == card.dimensions or card.provider in {"voyage", "dashscope", "mistral"}

    def test_has_prefixes_of_known_roles_that_end_where_a_text_can_begin(self, card):
        assert set(card.prefixes) <= set(INPUT_TYPES)
        for prefix in filter(None, card.prefixes.values()):
            assert prefix == prefix.lstrip()
            assert not prefix.endswith("  ")
            assert prefix.endswith((": ", "\nQuery:", "<query>", "\uff1a")), prefix

    def test_has_a_query_and_a_document_prefix_or_none_at_all(self, card):
        assert not card.prefixes or {"query", "document"} <= set(card.prefixes)

    def test_makes_its_query_prefix_of_its_template_and_its_task(self, card):
        assert bool(card.task_template) == bool(card.task)
        if card.task_template:
            assert card.task_template.count("{task}") == 1
            assert card.prefix("query") == card.prefix("query", card.task)
            assert card.task in card.prefix("query")

    def test_has_a_price_with_its_date_or_neither(self, card):
        assert (card.price is None) == (card.price_date is None)
        if card.price is not None:
            assert 0 < card.price < 1
            assert card.price_date == date(2026, 11, 23)

    def test_says_where_it_comes_from_and_how_sure_that_is(self, card):
        assert card.source
        assert "{" not in card.source
        assert card.sure in get_args(Sure)
        assert card.status in get_args(Status)
        assert card.endpoint in get_args(Endpoint)
        assert card.licence

    def test_names_from_memory_only_facts_that_it_states(self, card):
        for fact in card.from_memory:
            stated = card.prefixes.get(fact) if fact in INPUT_TYPES else getattr(card, fact)
            assert stated is not None
            assert stated != FIELDS.get(fact, object()), fact

    def test_is_found_by_its_name_and_all_its_aliases(self, card):
        assert [look_up(card.provider, name) for name in (card.name, *card.aliases)] == [card] * (1 + len(card.aliases))

    def test_can_be_told_apart_and_kept_in_a_set(self, card):
        assert len({card, card}) == 1


@pytest.mark.parametrize("provider", ["openai", "voyage", "cohere", "ollama", "sentence-transformers"])
def test_no_two_rows_of_a_provider_share_a_name(provider):
    names = [name.lower() for card in cards(provider) for name in (card.name, *card.aliases)]
    assert names
    assert len(names) == len(set(names))


def test_no_two_models_of_the_hub_share_a_last_name_so_it_is_enough():
    last = [card.name.rpartition("/")[2].lower() for card in cards("sentence-transformers")]
    assert len(last) == len(set(last))


def test_the_catalogue_knows_at_least_the_models_it_was_made_for():
    assert len(list(cards())) >= 170
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


def test_the_wrong_bge_wording_that_circulates_is_nowhere():
    files = list(Path(embedbridge.catalogue.__file__).parent.glob("*.toml"))
    assert len(files) == len(PROVIDERS) + 1  # and the hosts
    for file in files:
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
