"""What a call does when its deadline comes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from embedbridge.errors import DeadlineExceededError

from .effects import Call, Flow
from .job import Job

T = TypeVar("T")

HELD = 0.25
"""Seconds; a task that learns of its deadline so much later has not been run meanwhile."""


def call_in_time(job: Job, function: Callable[[], T], doing: str) -> Flow[T]:
    """Run a function outside the flow. Raises `DeadlineExceededError`, which says what was done."""
    try:
        outcome: T = yield Call(function, seconds=job.left())
    except TimeoutError:
        raise deadline_error(job, doing) from None
    return outcome


def deadline_error(job: Job, doing: str, *, ahead: float | None = None) -> DeadlineExceededError:
    """The error for a deadline that has passed while something was done, or would pass in the `ahead` seconds of it."""
    said = "passed" if ahead is None else f"would pass in the next {ahead:.3g} s,"
    late = job.shared.clock() - (job.deadline or math.inf)
    if job.in_loop and late > HELD:
        said = f"passed {late:.1f} s ago, unnoticed because something else held the event loop,"
    return DeadlineExceededError(f"{job.where()}: the deadline {said} while {doing}")
