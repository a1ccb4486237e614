"""Lets a fork wait until threads of ours that end are gone: at their very end libraries free what they hold for them.

OpenSSL does so under a lock. A child that is forked at that moment finds it held, and waits for it for ever.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from embedbridge.errors import THE_END, EmbeddingError

WAIT = 1.0
"""Seconds that a fork waits."""

_change = threading.Lock()
_ended: deque[int] = deque(maxlen=1000)
"""Threads that have nothing more to do, by the system's numbers; the oldest of so many are gone."""


def start_thread(run: Callable[[], object], name: str, otherwise: Callable[[], object] | None = None) -> None:
    """Start a daemon thread, or do `otherwise` where the machine, or an interpreter that ends, has no more threads.

    Raises `EmbeddingError` at the interpreter's very end, and RuntimeError where there is nothing to do otherwise.
    """
    if sys.is_finalizing():  # a thread that is started there is waited for by `Thread.start`, for ever
        raise EmbeddingError(THE_END)
    try:
        threading.Thread(target=_run_to_end, args=(run,), name=f"embedbridge {name}", daemon=True).start()
    except RuntimeError:
        if otherwise is None:
            raise
        otherwise()


def _run_to_end(run: Callable[[], object]) -> None:
    try:
        run()
    finally:
        with _change:  # which a fork holds: no thread ends meanwhile
            _ended.append(threading.get_native_id())


def _before_fork() -> None:
    _change.acquire()
    end = time.monotonic() + WAIT
    while _ended:
        thread = f"/proc/self/task/{_ended.pop()}"  # Linux alone tells; its numbers may come again
        while os.path.exists(thread) and time.monotonic() < end:  # noqa: PTH110 - a Path takes longer
            time.sleep(0.0005)


def _after_fork_in_parent() -> None:
    _change.release()


def _after_fork_in_child() -> None:
    global _change  # noqa: PLW0603 - a child has none of its parent's threads
    _change = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
