"""Callables on events. A failing observer never fails a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from embedbridge.core.events import Event

from .log import log_event

__all__ = ["Emitter", "log_event"]


class Emitter:
    """Hands each event to every observer; one that raises is reported once and left out from then on."""

    def __init__(self, observers: Sequence[Callable[[Event], object]]) -> None:
        self._observers = list(observers)

    def __call__(self, event: Event) -> None:
        """Hand an event round."""
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception:
                self._observers.remove(observer)
                logging.getLogger("embedbridge").exception("an observer failed and is left out from now on")
