"""Signatures that `help()` shows with one parameter per line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])
LINE = 80
"""Characters of a signature that stands in one line."""


class LinedSignature(inspect.Signature):
    """As Python 3.13 shows a long one by itself; before, `help()` shows it in one line, however long."""

    __slots__ = ()

    def __str__(self) -> str:
        in_one_line = super().__str__()
        if len(in_one_line) <= LINE:
            return in_one_line
        lines = [f"    {parameter}," for parameter in self.parameters.values()]
        kinds = [parameter.kind for parameter in self.parameters.values()]
        if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
            lines.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "    *,")
        _, arrow, returned = in_one_line.rpartition(") -> ")
        return "\n".join(["(", *lines, f"){arrow.removeprefix(')')}{returned if arrow else ''}"])


def in_lines(function: T) -> T:
    """Have `help()` show a function's signature in lines. Type checkers and editors see the function itself."""
    own = inspect.signature(function)
    parameters = list(own.parameters.values())
    function.__signature__ = LinedSignature(parameters, return_annotation=own.return_annotation)  # type: ignore[attr-defined]
    return function
