"""Each public folder's README.md tells the truth: its examples run as they stand, in an empty folder.

That of `providers` is installed as a package, in tests/providers/test_write_a_provider.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from importlib.resources import files

import pytest

from embedbridge.catalogue import ModelCard, look_up

FOLDERS = ("batch", "cache", "catalogue", "cli", "langchain", "llama_index", "migration", "observers", "testing")
RUN = """
import json, os, sys
import langchain_core.vectorstores, llama_index.core

for folder, examples in json.loads(sys.argv[1]).items():
    if child := os.fork():
        print(folder, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        continue
    os.mkdir(folder)
    os.chdir(folder)
    os.environ["EMBEDBRIDGE_CACHE_DIR"] = os.getcwd()
    sys.stdout = sys.stderr
    for code in examples:
        exec(compile(code, f"README.md of {folder}", "exec"), {})
    break
"""


def blocks(folder, language):
    """The examples of a folder's page."""
    page = (files("embedbridge") / folder / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_the_examples_of_each_door_sign_run_as_they_stand(tmp_path):
    """Each page in a process of its own, forked where the frameworks are imported: that takes longer than they take."""
    examples = {folder: blocks(folder, "python") for folder in FOLDERS}
    assert all(examples.values())
    command = [sys.executable, "-u", "-c", RUN, json.dumps(examples)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.splitlines() == [f"{folder} 0" for folder in FOLDERS], done.stderr


def test_the_row_that_the_catalogue_shows_is_one_of_its_own():
    (text,) = blocks("catalogue", "toml")
    shown = tomllib.loads(text)
    ((name, row),) = shown["models"].items()
    card = look_up("sentence-transformers", name)
    assert dict(card.prefixes) == shown["prompts"][row.pop("prompts")]
    assert row.keys() <= {field.name for field in fields(ModelCard)}
    assert (row["dimensions"], row["max_tokens"]) == (card.dimensions, card.max_tokens)
