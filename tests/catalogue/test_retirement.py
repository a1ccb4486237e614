"""Models that their vendors retire: the day and what follows are told, in time."""

import warnings
from datetime import date, timedelta

import pytest

from embedbridge import Embedder, guard
from embedbridge.catalogue import cards, look_up
from embedbridge.cli import main

GEMINI = look_up("gemini", "gemini-embedding-001")
DAY = date(2028, 2, 9)
"""Azure's, for OpenAI's models."""


@pytest.fixture
def azure(monkeypatch):
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    own = {"base_url": "https://name.openai.azure.com", "api_key": "k", "cache": False}
    return Embedder("azure:text-embedding-3-small", **own)


def run(capsys, *arguments):
    assert main(["models", *arguments]) == 0
    return capsys.readouterr().out


def test_the_days_are_those_that_vendors_have_named():
    days = {card.name: (str(card.retires), card.successor) for card in cards() if card.retires}
    assert days["gemini-embedding-001"] == ("2028-05-14", "gemini-embedding-2")
    assert days["embed-english-v2.0"] == ("2026-04-04", "embed-v4.0")
    assert look_up("openai", "text-embedding-3-small").retires is None
    assert look_up("azure", "text-embedding-3-small").retires == DAY


def test_guard_warns_within_ninety_days_and_after_and_not_before(azure, tmp_path):
    for days, told in (
        (91, ""),
        (90, "will be retired on 2028-02-09"),
        (1, "will be"),
        (0, "was retired on 2028-02-09"),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            guard(tmp_path / "index", azure, today=DAY - timedelta(days=days))
        assert bool(caught) == bool(told)
        assert not told or told in str(caught[0].message)
    guard(tmp_path / "other", Embedder("fake:8", cache=False), today=date(2999, 1, 1))


def test_what_follows_is_named_with_what_that_means_for_an_index():
    told = GEMINI.retirement(date(2028, 5, 1))
    assert told == (
        "gemini-embedding-001 will be retired on 2028-05-14; gemini-embedding-2 follows it, whose vectors are others, "
        "so the index has to be embedded anew"
    )
    assert GEMINI.retirement(date(2026, 11, 29)) == ""


def test_the_command_lists_them_by_day(capsys):
    lines = run(capsys, "--retiring").splitlines()
    assert lines[0].split() == ["2026-04-04", "cohere:embed-english-v2.0", "then", "embed-v4.0"]
    assert next(line for line in lines if "gemini-embedding-001" in line).split()[0] == "2028-05-14"
    assert lines[:-1] == sorted(lines[:-1], key=lambda line: line[:10])
    assert run(capsys, "--retiring", "--provider", "ollama") == "no day is known of any of these models\n"
    assert '"retires": "2028-05-14"' in run(capsys, "--retiring", "--json")
    assert main(["models", "--retiring", "voyage-4"]) == 1
    assert "--retiring lists models" in capsys.readouterr().err


def test_the_page_of_a_model_and_a_description_have_the_day(capsys, azure):
    lines = [line.split() for line in run(capsys, "gemini-embedding-001").splitlines()]
    assert ["retires", "2028-05-14,", "followed", "by", "gemini-embedding-2"] in lines
    assert ["retires", "2028-02-09"] in [line.split()[:2] for line in str(azure.describe()).splitlines()]
