"""What `help()` of `Embedder` shows, made when somebody asks: the options, and pydantic with them, load for it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
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


class _Module(ModuleType):
    """A module that is imported when a name of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # looked for in anything that a module holds
            raise AttributeError(name)
        with importing():
            return getattr(import_module(self.__name__), name)


def loaded_later(name: str) -> Any:
    """A module for annotations: `typing.get_type_hints` finds in it what a type checker does, and so loads it."""
    return _Module(name)


def explained_later(kind: T) -> T:
    """Have `explain_options` of a class done when its signature or its docstring is asked for."""
    made: Any = kind
    made.__signature__, made.__doc__ = (_Later(kind, name) for name in ("__signature__", "__doc__"))
    return kind
