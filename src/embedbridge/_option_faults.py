"""What can be wrong with the value of an option, and how it is told without the value, which may be a key."""

from __future__ import annotations

import difflib
import os
import pickle
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from ._value_faults import faults_of, told_fault
from .errors import ConfigurationError

INSTEAD = {
    "rate_limiter": "set requests_per_minute and tokens_per_minute, which every process keeps by itself",
    "observers": "give functions of a module, or leave them out",
    "cache": "name it in words that each process can open for itself, such as a directory or 'redis://…'",
}
"""Option → what to do where its object cannot go to another process."""


def check_path(path: str | os.PathLike[str]) -> None:
    """Raise ValueError for a path that no file system can have."""
    try:
        possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise ValueError("no file can have this name: it holds a NUL character or a lone surrogate")


def flat(cache: Any) -> Iterator[Any]:
    """A cache, or the caches of a list, which may hold lists."""
    if isinstance(cache, list | tuple):
        for part in cache:
            yield from flat(part)
    else:
        yield cache


def check_travels(option: str, value: Any) -> None:
    """Raise `ConfigurationError` for a value that cannot go to another process."""
    try:
        pickle.dumps(value)
    except Exception:
        raise ConfigurationError(
            f"{option}: this {type(value).__name__} cannot go to another process, because Python cannot "
            f"pickle it; {INSTEAD.get(option, 'make the embedder in the other process')}"
        ) from None


def own_error(error: ValidationError) -> ConfigurationError | None:
    """Our own error, where an adapter's embedder raised it: pydantic wraps it as if a value were wrong."""
    causes = (fault.get("ctx", {}).get("error") for fault in error.errors(include_url=False, include_input=False))
    return next((cause for cause in causes if isinstance(cause, ConfigurationError)), None)


def explain(error: ValidationError, model: type[BaseModel], known: Iterable[str]) -> str:
    """What is wrong with each option, without its value, which may be a key."""
    lines = []
    for path, faults in faults_of(error):
        name = path.partition(".")[0] or "options"
        if faults[0]["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, model.model_fields, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            own = "" if near else f"if only the provider knows it, write provider_options={{{name!r}: …}}; "
            lines.append(f"unknown option {name!r}; {hint}{own}the options are {', '.join(sorted(known))}")
        else:
            lines.append(f"{name}: {told_fault(faults)}")
    return "; ".join(lines)
