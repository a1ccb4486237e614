"""What each option means, which stands once, below its keyword in keywords.py: for `help()` and for JSON schemas."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from ._files import read_own


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
