"""Functions in threads that nobody has to wait for."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

GRACE = 1.0
"""Seconds that a call or stream which is given up waits for answers under way, so that what was paid for is stored."""


def in_background(function: Callable[[], T]) -> Future[T]:
    """Run a function in a daemon thread, with the caller's context variables.

    Whoever waits for the outcome may give up; a Ctrl-C and the end of the interpreter do not wait for the thread.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again where the outcome is wanted
            outcome.set_exception(error)

    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()
    return outcome
