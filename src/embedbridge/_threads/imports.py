"""Lets a fork wait for imports in other threads: its child could neither finish them nor begin them anew."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from embedbridge.errors import THE_END, ConfigurationError, EmbeddingError

WAIT = 10.0
"""Seconds that a fork waits."""

_change = threading.Condition()
_importing: list[int] = []
"""The threads that import; one that imports inside of an import is here twice."""
_torn: list[str] = []
"""In a child: packages of which its parent had imported a part, because the fork had waited long enough."""


@contextmanager
def importing() -> Iterator[None]:
    """Import other packages inside. Raises `ConfigurationError` in a child that can import them no more.

    And `EmbeddingError` at the interpreter's very end, where every package seems to be missing.
    """
    if sys.is_finalizing():
        raise EmbeddingError(THE_END)
    if _torn:
        raise ConfigurationError(
            f"this process was forked while another thread imported {', '.join(_torn)}, for longer than {WAIT:g} s; "
            "make the first call before the fork, or start processes by 'spawn' or 'forkserver'"
        )
    change, threads, own = _change, _importing, threading.get_ident()
    with change:
        threads.append(own)
    try:
        yield
    finally:
        with change:
            threads.remove(own)
            change.notify_all()


def _alone() -> bool:
    """Whether no other thread imports."""
    return {threading.get_ident()}.issuperset(_importing)


def _before_fork() -> None:
    _change.acquire()
    _change.wait_for(_alone, WAIT)


def _after_fork_in_parent() -> None:
    _change.release()


def _after_fork_in_child() -> None:
    global _change, _importing
    _torn[:] = [] if _alone() else sorted(_half_imported())
    _change, _importing = threading.Condition(), []


def _half_imported() -> set[str]:
    """The packages of modules whose import is not done."""
    modules = [(name, module) for name, module in tuple(sys.modules.items()) if isinstance(module, ModuleType)]
    specs = [(name.partition(".")[0], module.__dict__.get("__spec__")) for name, module in modules]
    return {package for package, spec in specs if getattr(spec, "_initializing", False)}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
