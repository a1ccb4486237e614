"""The names and words of `words.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

from embedbridge._files import read_own


@cache
def table(name: str) -> dict[str, Any]:
    """A table of the file, by its name."""
    found: dict[str, Any] = tomllib.loads(read_own(__package__, "words.toml"))[name]
    return found


def words(name: str, entry: str) -> tuple[str, ...]:
    """The words of an entry, in their order."""
    return tuple(table(name)[entry].split())
