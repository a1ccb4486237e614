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
RUN = "import json, sys\nfor code in json.loads(sys.argv[1]): exec(compile(code, 'README.md', 'exec'), {})"


def blocks(folder, language):
    """The examples of a folder's page."""
    page = (files("embedbridge") / folder / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_examples_of_a_door_sign_run_as_they_stand(folder, tmp_path):
    examples = blocks(folder, "python")
    command = [sys.executable, "-c", RUN, json.dumps(examples)]
    environment = os.environ | {"EMBEDBRIDGE_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert examples
    assert done.returncode == 0, done.stderr


def test_the_row_that_the_catalogue_shows_is_one_of_its_own():
    (text,) = blocks("catalogue", "toml")
    shown = tomllib.loads(text)
    ((name, row),) = shown["models"].items()
    card = look_up("sentence-transformers", name)
    assert dict(card.prefixes) == shown["prompts"][row.pop("prompts")]
    assert row.keys() <= {field.name for field in fields(ModelCard)}
    assert (row["dimensions"], row["max_tokens"]) == (card.dimensions, card.max_tokens)
