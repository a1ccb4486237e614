"""The names and words of `words.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """A table of the file, by its name."""
    found: dict[str, Any] = tomllib.loads(files(__package__).joinpath("words.toml").read_text(encoding="utf-8"))[name]
    return found


def words(name: str, entry: str) -> tuple[str, ...]:
    """The words of an entry, in their order."""
    return tuple(table(name)[entry].split())
