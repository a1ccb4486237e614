"""Counts the functions of the package that a call passes, in all threads."""

from __future__ import annotations

import inspect
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import embedbridge

PACKAGE = Path(embedbridge.__file__).parent
RESUMED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
"""Code whose frame is entered again after each pause."""


@dataclass
class Hops:
    """Python functions whose code stands in the package, each as often as it was called.

    A generator counts once, however often it is resumed. Frames of comprehensions and of modules do not count, and
    neither does code that `dataclass` makes, nor `embedbridge.testing`, which is the server.
    """

    functions: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        return self.functions.total()

    @property
    def files(self) -> set[str]:
        return {file for file, _ in self.functions}


@contextmanager
def counted_hops() -> Iterator[Hops]:
    """Count what this thread calls inside, and threads that are started meanwhile."""
    hops, generators, ours = Hops(), dict[int, FrameType](), dict[str, str | None]()

    def count(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or code.co_name.startswith(("<listcomp", "<setcomp", "<dictcomp", "<genexpr", "<module")):
            return
        if code.co_filename not in ours:
            path = Path(code.co_filename)
            file = path.relative_to(PACKAGE) if path.is_relative_to(PACKAGE) else None
            ours[code.co_filename] = str(file) if file and file.parts[0] != "testing" else None
        file = ours[code.co_filename]
        if file is None or generators.get(id(frame)) is frame:
            return
        if code.co_flags & RESUMED:
            generators[id(frame)] = frame
        hops.functions[file, code.co_qualname] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        yield hops
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
