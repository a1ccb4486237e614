"""Import paths that were public by use go on working for one release."""

from __future__ import annotations

import subprocess
import sys

import pytest

NAMES = {
    "core.events": "events",
    "core.errors": "errors",
    "core.types": "_core.types",
    "core.space": "_core.space",
    "core.effects": "_core.effects",
}


@pytest.mark.parametrize("old", sorted(NAMES))
def test_an_old_name_is_the_module_with_the_new_one_and_warns(old):
    program = f"""
import importlib, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    old = importlib.import_module("embedbridge.{old}")
assert [warning.category for warning in caught] == [DeprecationWarning], caught
assert old is importlib.import_module("embedbridge.{NAMES[old]}")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow  # tests/test_imports.py imports all modules with warnings as errors
def test_what_is_imported_today_warns_of_nothing():
    program = "import embedbridge, embedbridge.langchain, embedbridge.llama_index, embedbridge.providers.hosted"
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning:embedbridge", "-c", program], check=True)
