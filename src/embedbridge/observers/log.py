"""Events as lines in the log `embedbridge`: failed calls as warnings, retries and loading as info, others as debug."""

from __future__ import annotations

import logging

from embedbridge.core import events
from embedbridge.core.events import Event

_log = logging.getLogger("embedbridge")


def log_event(event: Event) -> None:
    """Log an event, without texts and keys. A record of an error that is raised too has `record.raised`."""
    match event:
        case events.RequestRetried(_, attempt, pause, status, reason):
            _log.info("attempt %d failed (status %s: %s); next in %.1f s", attempt, status, reason, pause)
        case events.ModelLoading(model, where, None):
            _log.info("loading %s from %s", model, where)
        case events.ModelLoading(model, where, seconds):
            _log.info("loaded %s from %s in %.1f s", model, where, seconds)
        case events.CallFailed(_, "Stopped" | "CancelledError" as error, report):
            _log.info("a call was given up with %s (requests: %d)", error, report.requests)
        case events.CallFailed(_, error, report):
            _log.warning("a call ended with %s (requests: %d)", error, report.requests, extra={"raised": True})
        case _:
            _log.debug("%s", event)
