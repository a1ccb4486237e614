"""Events as lines in the log `embedbridge`: failed calls as warnings, retries and loading as info, others as debug."""

from __future__ import annotations

from logging import DEBUG, INFO, WARNING

from embedbridge import events
from embedbridge._threads.telling import write_log
from embedbridge.events import Event

__all__ = ["log_event"]


def log_event(event: Event) -> None:
    """Log an event, without texts and keys. A record of an error that is raised too has `record.raised`.

    Args:
        event: of a call.
    """
    match event:
        case events.RequestRetried(_, attempt, pause, status, reason):
            write_log(INFO, "attempt %d failed (status %s: %s); next in %.1f s", attempt, status, reason, pause)
        case events.ModelLoading(model, where, None):
            write_log(INFO, "loading %s from %s", model, where)
        case events.ModelLoading(model, where, seconds):
            write_log(INFO, "loaded %s from %s in %.1f s", model, where, seconds)
        case events.CallFailed(_, "Stopped" | "CancelledError" as error, report):
            write_log(INFO, "a call was given up with %s (requests: %d)", error, report.requests)
        case events.CallFailed(_, error, report):
            write_log(WARNING, "a call ended with %s (requests: %d)", error, report.requests, raised=True)
        case _:
            write_log(DEBUG, "%s", event)
