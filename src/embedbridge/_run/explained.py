"""What `help()` of `Embedder` shows, made when somebody asks: the options, and pydantic with them, load for it."""

from __future__ import annotations

from typing import Any, TypeVar

from embedbridge._threads.imports import importing

T = TypeVar("T", bound=type)


class _Later:
    """An attribute of a class that `explain_options` makes."""

    def __init__(self, kind: Any, name: str) -> None:
        self._kind, self._name, self._doc = kind, name, kind.__doc__

    def __get__(self, _: object, __: type) -> Any:
        with importing():
            from embedbridge.options import explain_options
        self._kind.__doc__ = self._doc
        return getattr(explain_options(self._kind), self._name)


def explained_later(kind: T) -> T:
    """Have `explain_options` of a class done when its signature or its docstring is asked for."""
    made: Any = kind
    made.__signature__, made.__doc__ = (_Later(kind, name) for name in ("__signature__", "__doc__"))
    return kind
