"""How a thread and a task wait: until something is so, woken when it may be, and no longer than there is a reason to.

Nothing here holds what others wait for while it waits, and nobody waits for an event loop that does not go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from embedbridge._core.signals import Bell, Signal

if TYPE_CHECKING:
    import asyncio

LOOK = 0.5
"""Seconds after which whoever waits looks again whether the other side goes on."""
HELD = 10.0
"""Seconds that an event loop has to answer, if it runs, before it counts as held for good."""

Ends = tuple[tuple[Signal | None, type[BaseException]], ...]
"""What ends a wait, and the error that it then raises."""


class ThreadBell:
    """Wakes the thread that waits."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        """Wake it."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, or for so many seconds."""
        self._event.wait(seconds)
        self._event.clear()

    def sit_out(self, pauses: Iterator[float]) -> None:
        """Wait for as long as `waits` says."""
        for pause in pauses:
            self.wait(pause)


def waits(
    bell: Bell,
    ready: Callable[[], bool],
    seconds: float | None,
    ends: Ends = (),
    look: Callable[[], object] = lambda: None,
) -> Iterator[float]:
    """The seconds of each wait for `bell`, until `ready()`; raises TimeoutError after `seconds`.

    Args:
        bell: rung by `ends`, and by whatever changes `ready`.
        ready: whether there is nothing to wait for any more.
        seconds: None: no limit.
        ends: when one of these signals is set, its error is raised, even if it is `ready`.
        look: called before each wait, of `LOOK` seconds at most.
    """
    begun = time.monotonic()
    with ExitStack() as bells:
        for signal, _ in ends:
            if signal is not None:
                bells.enter_context(signal.ringing(bell))
        while True:
            for signal, error in ends:
                if signal is not None and signal.happened:
                    raise error
            if ready():
                return
            left = LOOK if seconds is None else begun + seconds - time.monotonic()
            if left <= 0:
                raise TimeoutError
            look()
            if not ready():
                yield min(left, LOOK)


@dataclass(slots=True, eq=False)
class Owner:
    """Who has something that others wait for: the running thread, or a task of the loop that runs in it."""

    loop: asyncio.AbstractEventLoop | None = None
    """None for a thread."""
    _thread: int = field(default_factory=threading.get_ident)
    _asked: float | None = None

    def waits_for(self, threads: frozenset[int]) -> bool:
        """Whether it cannot go on while these threads wait."""
        return self._thread in threads

    def is_same_thread(self, other: Owner) -> bool:
        """Whether another one runs in the same thread."""
        return self._thread == other._thread

    def is_stuck(self) -> bool:
        """Whether its loop is closed, or leaves a question without an answer: for long where it runs."""
        if self.loop is None:
            return False
        if self._asked is not None:
            patience = HELD if self.loop.is_running() else LOOK
            return self.loop.is_closed() or time.monotonic() - self._asked >= patience
        self._asked = time.monotonic()
        with suppress(RuntimeError):  # closed by now
            self.loop.call_soon_threadsafe(self._answer)
        return self.loop.is_closed()

    def _answer(self) -> None:
        self._asked = None
