"""The README and those of the public folders tell the truth: their examples run as they stand, in an empty folder.

That of `providers` is installed as a package, in tests/providers/test_write_a_provider.py.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest

from embedbridge.catalogue import ModelCard, look_up

README = Path(__file__).parents[1] / "README.md"
FOLDERS = ("batch", "cache", "catalogue", "cli", "langchain", "llama_index", "migration", "observers", "testing")


def page_of(folder):
    return (files("embedbridge") / folder / "README.md").read_text(encoding="utf-8")


def blocks(page, language):
    """The examples of a page."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def without_seconds(line):
    """A line of output but for the time, which no two machines have in common."""
    return re.sub(r"[\d.]+ s$", "", line)


@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_each_example_of_each_page_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    """In the process of the tests, because what the examples need takes longer to import than they take."""
    pages = {"README": README.read_text()} | {folder: page_of(folder) for folder in FOLDERS}
    examples = {name: blocks(page, "python") for name, page in pages.items()}
    assert all(examples.values())
    printed = {}
    for page, each in examples.items():
        monkeypatch.setenv("EMBEDBRIDGE_CACHE_DIR", str(tmp_path / page))
        for number, example in enumerate(each):
            folder = tmp_path / page / str(number)
            folder.mkdir(parents=True)
            monkeypatch.chdir(folder)
            exec(compile(example, f"{page}, example {number}", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own
        printed[page] = capsys.readouterr().out.splitlines()
    shown = re.findall(r"^# > (.*)$", "\n".join(examples["README"]), re.MULTILINE)
    assert [without_seconds(line) for line in printed["README"]] == [without_seconds(line) for line in shown]


def test_the_row_that_the_catalogue_shows_is_one_of_its_own():
    (text,) = blocks(page_of("catalogue"), "toml")
    shown = tomllib.loads(text)
    ((name, row),) = shown["models"].items()
    card = look_up("sentence-transformers", name)
    assert dict(card.prefixes) == shown["prompts"][row.pop("prompts")]
    assert row.keys() <= {field.name for field in fields(ModelCard)}
    assert (row["dimensions"], row["max_tokens"]) == (card.dimensions, card.max_tokens)
