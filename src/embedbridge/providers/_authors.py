"""Whose an exception is. One of a provider's author is shown; one of an SDK may hold texts and keys, and is not."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any


def files_of(provider: object) -> frozenset[str]:
    """The files of a provider's classes, those of embedbridge left out: empty for a provider that comes with it."""
    kind: Any = type(provider)
    return _files(kind)


@cache
def _files(kind: type) -> frozenset[str]:
    classes = (base for base in inspect.getmro(kind) if base.__module__.partition(".")[0] != "embedbridge")
    functions = (inspect.unwrap(each) for base in classes for each in vars(base).values() if inspect.isroutine(each))
    return frozenset(each.__code__.co_filename for each in functions if inspect.isfunction(each))


def line_of(error: Exception, files: Collection[str]) -> str:
    """The line of these files that led to an error: ` in own_provider.py, line 12`; "" where none did."""
    steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename in files]
    return f" in {Path(steps[-1].filename).name}, line {steps[-1].lineno}" if steps else ""


def is_of(error: Exception, files: Collection[str]) -> bool:
    """Whether these files themselves raised the error, and nothing that they called."""
    steps = traceback.extract_tb(error.__traceback__)
    return bool(steps) and steps[-1].filename in files
