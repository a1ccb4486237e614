"""What wakes a task that waits; loaded with asyncio, which a program without an event loop needs not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress


class TaskBell:
    """Wakes the task that waits."""

    def __init__(self) -> None:
        self._loop, self._event = asyncio.get_running_loop(), asyncio.Event()

    def ring(self) -> None:
        """Wake it."""
        with suppress(RuntimeError):  # its loop was closed
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        """Wait until it rings, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()

    async def sit_out(self, pauses: Iterator[float]) -> None:
        """Wait for as long as `waits` says."""
        for pause in pauses:
            await self.wait(pause)
