"""Hands events to observers, which are plain functions. An observer that fails does not fail the call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from embedbridge._threads.telling import is_logged, write_log
from embedbridge.events import Event

from .log import log_event

__all__ = ["Emitter", "in_stream", "log_event", "watching"]

in_stream: ContextVar[bool] = ContextVar("embedbridge_in_stream", default=False)
"""Whether a call embeds a chunk of a stream, which has a progress bar of its own."""
_watchers: ContextVar[tuple[Callable[[Event], object], ...]] = ContextVar("embedbridge_watchers", default=())


class Emitter:
    """Hands each event to every observer; one that raises is reported once and left out from then on.

    Args:
        observers: called in this order.
    """

    def __init__(self, observers: Sequence[Callable[[Event], object]]) -> None:
        self._observers = list(observers)

    def is_heard(self) -> bool:
        """Whether anybody takes the events of a call that goes well; to the log they are of interest to a debugger.

        Returns:
            True where an observer, a watcher or a log at level DEBUG does.
        """
        others = len(self._observers) - (log_event in self._observers)
        return others > 0 or bool(_watchers.get()) or is_logged(logging.DEBUG)

    def __call__(self, event: Event) -> None:
        """Hand an event to every observer."""
        for observer in tuple(self._observers):
            if not _tell(observer, event):
                with suppress(ValueError):  # another thread was first
                    self._observers.remove(observer)
        for watcher in _watchers.get():
            _tell(watcher, event)


@contextmanager
def watching(observer: Callable[[Event], object]) -> Iterator[None]:
    """Hand the events of calls that are made inside, in this thread or task, to one more observer.

    Args:
        observer: called with each event.

    Yields:
        Nothing.
    """
    token = _watchers.set((*_watchers.get(), observer))
    try:
        yield
    finally:
        _watchers.reset(token)


def _tell(observer: Callable[[Event], object], event: Event) -> bool:
    try:
        observer(event)
    except Exception as error:  # whatever the user's own function raises
        write_log(logging.ERROR, "an observer failed and is left out from now on", error=error)
        return False
    return True
