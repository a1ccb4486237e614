"""Waiting for what another thread or process is about to do."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Return once the condition holds; TimeoutError when it never does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"still not so after {seconds} s")
        time.sleep(0.01)


def interrupt_once(condition: Callable[[], object], number: signal.Signals) -> threading.Thread:
    """Send the main thread a signal as soon as the condition holds."""

    def wait() -> None:
        until(condition)
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread
