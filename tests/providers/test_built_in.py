"""What a provider that comes with embedbridge has besides its own file; who forgets one of these is told which."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from embedbridge._core.words import short_name
from embedbridge.providers import BUILT_IN, HostedProvider, provider_class
from faults.apis import APIS
from support.isolation import FOREIGN
from support.keys import VARIABLES

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
HOSTED = sorted(name for name in BUILT_IN if issubclass(provider_class(name), HostedProvider))


def named_in(extra):
    """The extras of ours that an extra brings with it."""
    return set(re.search(r"embedbridge\[(.*?)\]", EXTRAS[extra][0])[1].split(","))


@pytest.mark.parametrize("name", sorted(name for name in BUILT_IN if provider_class(name).extra))
def test_its_extra_is_there_and_in_the_extras_that_have_all(name):
    extra = provider_class(name).extra
    assert extra in EXTRAS, "declare it in pyproject.toml"
    assert extra in named_in("all"), "name it in the extra all of pyproject.toml"
    assert extra in named_in("test-hosted") | named_in("test"), "name it in the extra test-hosted of pyproject.toml"


@pytest.mark.parametrize("name", HOSTED)
def test_the_readme_shows_how_it_is_written(name):
    table = (ROOT / "README.md").read_text().partition("## Providers")[2].partition("## Options")[0]
    assert f"`{short_name(name)}:" in table, "give it a line of the table in README.md"


@pytest.mark.parametrize("name", HOSTED)
def test_it_is_tried_against_all_faults(name):
    assert name in {api.name for api in APIS}, "give it an Api in tests/faults/apis.py"


@pytest.mark.parametrize("name", HOSTED)
def test_a_key_that_the_machine_has_is_none_of_the_tests(name):
    kept = [variable for variable in VARIABLES[name] if not variable.startswith(FOREIGN)]
    assert not kept, "add how they begin to FOREIGN in tests/support/isolation.py"
