"""How long the steps of an event loop take, in seconds of the processor."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

LIMIT = 0.020
"""No step of ours takes longer."""


class Steps:
    """The longest that one callback of this thread's event loop kept it busy."""

    longest = 0.0


@contextmanager
def measured() -> Iterator[Steps]:
    """Measure every callback in this thread. The garbage collector, which looks at all there is, is off."""
    steps, run, here = Steps(), asyncio.events.Handle._run, threading.get_ident()

    def timed(handle):
        begun = time.thread_time()
        try:
            return run(handle)
        finally:
            if threading.get_ident() == here:
                steps.longest = max(steps.longest, time.thread_time() - begun)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.events.Handle, "_run", timed)
        gc.disable()
        try:
            yield steps
        finally:
            gc.enable()
