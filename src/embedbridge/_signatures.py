"""Signatures that `help()` shows with one parameter per line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])
LINE = 80
"""Characters of a signature that stands in one line."""


class LinedSignature(inspect.Signature):
    """A signature that is shown in lines, its types as they are written."""

    __slots__ = ()

    def __str__(self) -> str:
        shown = [_shown(parameter) for parameter in self.parameters.values()]
        kinds = [parameter.kind for parameter in self.parameters.values()]
        if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
            shown.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
        returned = "" if self.return_annotation is self.empty else f" -> {_written(self.return_annotation)}"
        in_one_line = f"({', '.join(shown)}){returned}"
        if len(in_one_line) <= LINE:
            return in_one_line
        return "\n".join(["(", *(f"    {each}," for each in shown), f"){returned}"])

    def format(self, **_: Any) -> str:
        """What Python 3.13 and later ask for help."""
        return str(self)


def _shown(parameter: inspect.Parameter) -> str:
    bare = parameter.replace(annotation=parameter.empty, default=parameter.empty)
    told = "" if parameter.annotation is parameter.empty else f": {_written(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        told += f" = {parameter.default!r}" if told else f"={parameter.default!r}"
    return f"{bare}{told}"


def _written(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def in_lines(function: T) -> T:
    """Have `help()` show a function's signature in lines. Type checkers and editors see the function itself."""
    own = inspect.signature(function)
    parameters = list(own.parameters.values())
    function.__signature__ = LinedSignature(parameters, return_annotation=own.return_annotation)  # type: ignore[attr-defined]
    return function
