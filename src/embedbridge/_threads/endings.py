"""Closes what nobody closed, in a thread for that: where it is let go of, perhaps in an event loop, nothing waits."""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

from .background import GRACE

Close = Callable[[], object]

_numbers = itertools.count()
_open: dict[int, Close] = {}
"""What is closed at the end of the program, if its owner lives so long."""
_left: SimpleQueue[Close] = SimpleQueue()  # the one queue that a finalizer may use at any moment
_idle = threading.Event()
_idle.set()
_started: list[threading.Thread] = []


def close_without(owner: object, close: Close) -> Callable[[], Close | None]:
    """Have `close`, which does not refer to `owner`, called once the owner is gone, or when the program ends.

    Returns:
        A function that takes this back and gives `close`, or None where it has been called.
    """
    number = next(_numbers)
    _open[number] = close
    weakref.finalize(owner, _let_go, number).atexit = False
    return partial(_open.pop, number, None)


def let_go(close: Close) -> None:
    """Have `close` called in a thread, or at the end of the program. Waits for nothing, so finalizers may call it."""
    _left.put(close)


def be_ready() -> None:
    """Start the thread, which no finalizer can do."""
    if not _started and not sys.is_finalizing():  # it would be waited for, for ever
        with suppress(RuntimeError):  # no more threads: what is let go of is closed at the end
            _started.append(threading.Thread(target=_serve, name="embedbridge endings", daemon=True))
            _started[-1].start()


def _let_go(number: int) -> None:
    close = _open.pop(number, None)
    if close is not None:
        let_go(close)


def _serve() -> None:
    while True:
        close = _left.get()
        _idle.clear()
        with suppress(Exception):
            close()
        del close  # what it refers to is not ours to keep
        _idle.set()


@atexit.register
def _close_all() -> None:
    with suppress(Empty):
        while True:
            _let_go_now(_left.get_nowait())
    _idle.wait(GRACE)
    while _open:
        _let_go_now(_open.popitem()[1])


def _let_go_now(close: Close) -> None:
    with suppress(Exception):
        close()


def _after_fork() -> None:
    global _left, _idle
    _left, _idle = SimpleQueue(), threading.Event()
    _idle.set()
    _started.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
