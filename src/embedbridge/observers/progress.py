"""A progress bar for each call but a single query's, which counts distinct texts; and one for each stream.

It is drawn on a terminal and in a notebook only.

A bar never harms a job: it writes nothing that would block or fail, and shares no lock with other bars.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from weakref import WeakSet

from tqdm.auto import tqdm

from embedbridge import events
from embedbridge._core.locks import OwnLock
from embedbridge._core.words import full_name
from embedbridge._threads.telling import is_watched, takes_more
from embedbridge.events import Event

from . import in_stream

__all__ = ["ProgressBar", "stream_bar"]

LOCAL = "sentence-transformers"
"""The provider whose models are loaded."""


class _Bar(tqdm):  # type: ignore[misc]  # it has no types
    """tqdm's bar, apart from the application's: all that share its lock wait for ever when one raises inside."""

    _lock = threading.RLock()
    _instances: ClassVar[WeakSet[Any]] = WeakSet()
    monitor_interval = 0


class _Quiet:
    """A stream to which a bar writes what can be written at once; what fails, or would have to wait, is left out."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __eq__(self, other: object) -> bool:
        """Whether it writes to the same stream, by which tqdm knows which bars a line has to be kept apart from."""
        return isinstance(other, _Quiet) and other._stream is self._stream

    def __hash__(self) -> int:
        return hash(id(self._stream))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)  # tqdm asks for the encoding, and whether it is a terminal

    def write(self, text: str) -> int:
        """Write `text`, if that is possible now."""
        with contextlib.suppress(Exception):
            if takes_more(self._stream):
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what was written, if that is possible now."""
        with contextlib.suppress(Exception):
            if takes_more(self._stream):
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        try:
            return bool(self._stream.isatty())
        except Exception:  # such as a closed one's
            return False

    def fileno(self) -> int:
        """The descriptor, by which tqdm finds the terminal's width."""
        return int(self._stream.fileno())


def _open_bar(input_type: str, total: int | None = None) -> Any:
    """A bar on a terminal or in a notebook; None where nobody watches."""
    stream = sys.stderr
    if not is_watched(stream):
        return None
    return _Bar(total=total, desc=f"embedding ({input_type})", unit="text", file=_Quiet(stream), dynamic_ncols=True)


class ProgressBar:
    """Draws on a terminal's stderr, and in notebooks, with widgets where they are installed."""

    def __init__(self) -> None:
        self.start_again()
        _shown.add(self)

    def start_again(self) -> None:
        """No bars, and a lock that nobody holds."""
        self._lock = OwnLock()
        self._bars: dict[int, Any] = {}

    def __call__(self, event: Event) -> None:
        """Move the bar of the event's call."""
        with self._lock:
            try:
                self._show(event)
            except Exception:
                self._bars.clear()
                _Bar.set_lock(threading.RLock())  # the old one may be held for ever
                raise

    def _show(self, event: Event) -> None:
        match event:
            case events.ModelLoading(model, where, None) if is_watched(sys.stderr):
                source = ", from the hub" if where == model else ""
                _Bar.write(f"loading {full_name(LOCAL, model)}{source} …", file=_Quiet(sys.stderr))
            case events.CallStarted() if not in_stream.get() and (event.input_type, event.unique) != ("query", 1):
                bar = _open_bar(event.input_type, event.unique)
                if bar is not None:
                    self._bars[event.call] = bar
            case events.CacheRead(call, hits, _) if call in self._bars:
                self._bars[call].set_postfix(cached=hits, refresh=False)
                self._bars[call].update(hits)
            case events.BatchFinished(call, texts) if call in self._bars:
                self._bars[call].update(texts)
            case events.CallFinished(call) | events.CallFailed(call) if call in self._bars:
                self._bars.pop(call).close()


@contextmanager
def stream_bar(input_type: str) -> Iterator[Callable[[int], object]]:
    """A bar without an end.

    Args:
        input_type: the role, which stands in front of it.

    Yields:
        A function that moves the bar by a number of texts.
    """
    bar: Any = None
    with contextlib.suppress(Exception):
        bar = _open_bar(input_type)

    def move(texts: int) -> None:
        with contextlib.suppress(Exception):
            if bar is not None:
                bar.update(texts)

    try:
        yield move
    finally:
        with contextlib.suppress(Exception):
            if bar is not None:
                bar.close()


_shown: WeakSet[ProgressBar] = WeakSet()


def _after_fork() -> None:
    """A thread of the parent may have held the locks."""
    _Bar.set_lock(threading.RLock())
    for shown in tuple(_shown):
        shown.start_again()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
