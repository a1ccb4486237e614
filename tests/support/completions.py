"""What an editor offers: Jedi's completions are those of IPython, Jupyter and several editors."""

from __future__ import annotations

import tempfile

import pytest

_parsed = tempfile.TemporaryDirectory()  # of this process alone: another would read files that are half written


def completions(code: str) -> set[str]:
    """The names that are offered at the end of some code."""
    jedi = pytest.importorskip("jedi")
    jedi.settings.cache_directory = _parsed.name
    return {each.name for each in jedi.Script(code).complete()}
