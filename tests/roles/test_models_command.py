"""`embedbridge models`: a table to read, a page for one model, and help with a name that is slightly wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from embedbridge.catalogue import cards
from embedbridge.catalogue.rows import PROVIDERS
from embedbridge.cli import main
from embedbridge.providers import canonical_name


@pytest.fixture
def run(capsys):
    """Runs the command; its status, what it printed, and what it complained of."""

    def run(*arguments):
        status = main(["models", *arguments])
        return status, *capsys.readouterr()

    return run


def rows_in(table):
    """Each card of the catalogue with its one line in the table of its provider."""
    parts = {canonical_name(part.split()[0]): part.splitlines() for part in table.split("\n\n")}
    for provider in PROVIDERS:
        lines = parts[provider]
        for card in cards(provider):
            (row,) = [line for line in lines if line.split()[:1] == [card.name.removeprefix(f"{provider}/")]]
            yield card, row


def test_the_table_has_a_line_for_every_model_and_fits_a_wide_terminal(run):
    status, table, _ = run()
    assert status == 0
    for card, row in rows_in(table):
        assert str(card.dimensions) in row
    assert max(map(len, table.splitlines())) <= 160


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_the_table_fits_an_ordinary_terminal_and_keeps_whole_names(run, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    _, table, _ = run()
    lines = table.splitlines()
    assert max(map(len, lines)) <= columns
    names = {line.split()[0] for line in lines if line.startswith("  ")}
    assert {card.name.removeprefix(f"{card.provider}/") for card in cards()} <= names
    assert "How sure: verified" in table


@pytest.mark.parametrize("columns", [40, 60])
def test_on_a_narrow_terminal_a_long_name_is_shortened_with_a_mark(run, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    table = run()[1]
    assert max(map(len, table.splitlines())) <= columns
    names = {line.split()[0] for line in table.splitlines() if line.startswith("  ")}
    known = {card.name.removeprefix(f"{card.provider}/") for card in cards()}
    whole, cut = known & names, {name for name in names if name.startswith("…")}
    assert cut
    assert all(any(name.endswith(each[1:]) for each in cut) for name in known - whole)
    retiring = run("--retiring")[1]
    assert all(len(line) <= columns or len(line.split()) <= 2 for line in retiring.splitlines())
    assert "vertex:text-multilingual-embedding-002\n            then ?" in retiring


def test_a_part_of_a_name_lists_the_models_that_have_it(run):
    status, table, _ = run("bge")
    assert status == 0
    assert "BAAI/bge-small-en-v1.5" in table
    assert "text-embedding-3-small" not in table
    assert "amazon.titan-embed-text-v2:0" in run("bedrock")[1]


@pytest.mark.parametrize("name", ["fake:8", "local:my/finetune"])
def test_a_model_that_works_and_is_not_listed_is_described(run, name):
    status, page, _ = run(name)
    assert status == 0
    assert page.startswith(("fake:8\n", "local:my/finetune\n"))


def test_a_provider_has_its_own_table_under_any_of_its_names(run):
    _, table, _ = run("--provider", "voyageai")
    assert table.startswith("voyage\n")
    assert "voyage-code-3" in table
    assert "ollama" not in table


def test_what_is_from_memory_is_marked(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    _, table, _ = run()
    for card, row in rows_in(table):
        assert row.endswith("*") == bool(card.from_memory)
    assert "*: some facts are from memory" in table


@pytest.mark.parametrize(
    "name",
    ["BAAI/bge-small-zh-v1.5", "bge-small-zh-v1.5", "local:BAAI/bge-small-zh-v1.5", "huggingface:bge-small-zh-v1.5"],
)
def test_a_name_gives_the_page_of_its_model(run, name):
    status, page, _ = run(name)
    assert status == 0
    assert "'为这个句子生成表示以用于检索相关文章\uff1a' + text" in page
    assert "listed as local:BAAI/bge-small-zh-v1.5" in " ".join(page.split())


def test_a_name_that_two_providers_know_gives_two_pages(run):
    _, pages, _ = run("bge-m3")
    assert "ollama:bge-m3" in pages
    assert "local:bge-m3" in pages
    _, page, _ = run("--provider", "ollama", "bge-m3")
    assert "sentence-transformers" not in page


def test_a_directory_is_described_as_it_is(run, e5_path, monkeypatch):
    monkeypatch.chdir(e5_path.parent)
    for name in (e5_path.name, f"./{e5_path.name}", str(e5_path), f"local:{e5_path}"):
        _, page, _ = run(name)
        assert "'passage: ' + text  saved with the model" in page


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("BAAI/bge-smal-en-v1.5", "local:BAAI/bge-small-en-v1.5"),
        ("text-embeding-3-small", "openai:text-embedding-3-small"),
        ("ollama:mxbai-embd", "ollama:mxbai-embed-large"),
    ],
)
def test_a_name_that_is_not_listed_says_so_with_near_ones(run, name, near):
    status, page, complaint = run(name)
    assert (status, page) == (1, "")
    assert "is listed" in complaint
    assert near in complaint


def test_a_provider_without_a_list_says_which_have_one(run):
    status, _, complaint = run("--provider", "fake")
    assert status == 1
    assert ", ".join(name for name in PROVIDERS if name != "sentence-transformers") in complaint


def test_a_model_of_another_endpoint_is_still_described(run):
    status, page, _ = run("voyage-context-3")
    assert status == 0
    assert "use voyage-4" in page


def test_programs_get_json(run):
    _, text, _ = run("--json")
    rows = json.loads(text)
    assert [(row["provider"], row["name"]) for row in rows] == [(card.provider, card.name) for card in cards()]
    _, text, _ = run("--json", "voyage-4")
    (page,) = json.loads(text)
    assert page["routes"][0] == {"input_type": "query", "prefix": "", "wire_type": "query", "source": "api"}
    assert page["card"]["price_date"] == "2026-11-23"
    assert page["card"]["reductions"] == [256, 512, 1024, 2048]


def test_it_can_be_piped_into_a_reader_who_leaves():
    command = f"{sys.executable} -m embedbridge models | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)  # noqa: S607
    assert (done.stdout, done.stderr) == ("openai\n", "")


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("latin-1", marks=pytest.mark.slow)])
def test_a_terminal_that_lacks_a_character_gets_it_escaped_and_programs_get_json(encoding):
    program = (
        "from embedbridge.cli import main; name = 'bge-small-zh-v1.5'; main(['models', name]); print('\\0'); "
        "main(['models']); print('\\0'); main(['models', name, '--json'])"
    )
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=True)
    page, table, data = done.stdout.decode(encoding).split("\0")
    assert r"\u4e3a\u8fd9\u4e2a" in page
    assert len(table.splitlines()) > len(list(cards()))
    (card,) = json.loads(data)
    assert card["routes"][0]["prefix"].startswith("\u4e3a\u8fd9\u4e2a")


def test_it_needs_no_framework_and_no_model():
    program = (
        "import sys; from embedbridge.cli import main; main(['models', 'bge-m3']); "
        "print([name for name in ('torch', 'transformers', 'langchain_core', 'llama_index') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
