"""What each option means, which stands once, below its keyword in keywords.py: for `help()` and for JSON schemas."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ._files import read_own
from ._signatures import LinedSignature

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


@cache
def meanings(*names: str) -> Mapping[str, str]:
    """Keyword → its meaning, of classes of keywords.py by name. Empty where the package comes without its source."""
    body = ast.parse(read_own("embedbridge", "keywords.py")).body
    found = {}
    for kind in (node for node in body if isinstance(node, ast.ClassDef) and node.name in names):
        for field, below in zip(kind.body, kind.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                    found[name] = inspect.cleandoc(text)
    return found


def explain_schema(schema: Mapping[str, Any], told: Mapping[str, str]) -> None:
    """Write each meaning below its property in a JSON schema."""
    for name, described in schema["properties"].items():
        if name in told:
            described["description"] = told[name]


def meanings_of_options() -> dict[str, str]:
    """Option → its meaning."""
    return {"model": "`provider:model`, split at the first colon.", **meanings("Common", "Options")}


def explain_keywords(kind: Any, fields: Mapping[str, FieldInfo], annotations: Mapping[str, Any]) -> None:
    """Give a class a signature and a docstring that name every option. Raises TypeError where one has no keyword.

    Args:
        kind: a class that takes the options as keywords.
        fields: the options.
        annotations: of their keywords.
    """
    told = meanings_of_options()
    hints = {name: getattr(kept, "__forward_arg__", kept) for name, kept in annotations.items()}
    usual = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
    if lacking := usual.keys() - hints.keys() - {"model"}:
        raise TypeError(f"give {', '.join(sorted(lacking))} a keyword in keywords.py, with what it means")
    model = inspect.Parameter(
        "model", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=usual["model"], annotation="KnownModel | str"
    )
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=usual[name], annotation=hints[name])
        for name in usual
        if name != model.name
    ]
    kind.__signature__ = LinedSignature([model, *named])
    if kind.__doc__:  # python -OO leaves it out
        before, raises, after = inspect.cleandoc(kind.__doc__).partition("Raises:\n")
        each = [f"{name}: {told.get(name, '')} (Default: {usual[name]!r}.)" for name in usual]
        lines = [textwrap.fill(line, 110, initial_indent=" " * 4, subsequent_indent=" " * 8) for line in each]
        kind.__doc__ = "\n".join([f"{before.partition('Args:')[0]}Args:", *lines, "", raises + after])
