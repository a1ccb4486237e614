"""Events as lines in the log `embedbridge`: retries, loading and failed calls as info, others as debug."""

from __future__ import annotations

from logging import DEBUG, INFO

from embedbridge import events
from embedbridge._threads.telling import write_log
from embedbridge.events import Event

__all__ = ["log_event"]


def log_event(event: Event) -> None:
    """Log an event, without texts and keys. A failed call is no warning: its exception says more.

    Args:
        event: of a call.
    """
    match event:
        case events.RequestRetried(_, attempt, pause, status, reason):
            write_log(INFO, "attempt %d failed (status %s: %s); next in %.1f s", attempt, status, reason, pause)
        case events.EndpointProved(_, name, far, reference):
            told = "is the reference of its pool" if reference else "has proved its vectors"
            write_log(INFO, "endpoint %s %s (1 - cosine: %.2g)", name, told, far)
        case events.EndpointTripped(_, name, seconds, reason):
            write_log(INFO, "endpoint %s is left alone for %.1f s (%s)", name, seconds, reason)
        case events.ModelLoading(model, where, None):
            write_log(INFO, "loading %s from %s", model, where)
        case events.ModelLoading(model, where, seconds):
            write_log(INFO, "loaded %s from %s in %.1f s", model, where, seconds)
        case events.EndpointRefused(_, name, reason):
            write_log(INFO, "endpoint %s is left out (%s)", name, reason)
        case events.CallFailed(_, "Stopped" | "CancelledError" as error, report):
            write_log(INFO, "a call was given up with %s (requests: %d)", error, report.requests)
        case events.CallFailed(_, error, report):
            write_log(INFO, "a call ended with %s (requests: %d)", error, report.requests)
        case _:
            write_log(DEBUG, "%s", event)
