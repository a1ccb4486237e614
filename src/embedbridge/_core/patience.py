"""How long a call waits for its cache, so that its deadline leaves time to ask the provider."""

from __future__ import annotations

from collections.abc import Callable

SHARE = 4
"""A step of the cache, which brings some hundred vectors, gets this part of the time that is left."""
LONGEST = 10.0
"""Seconds that a step gets at most: longer than caches wait for locks of others."""


class Patience:
    """Of one call. A cache that was late once is not waited for again.

    Args:
        left: seconds until the call's deadline; None: it has none.
    """

    __slots__ = ("_left", "late")

    def __init__(self, left: Callable[[], float | None]) -> None:
        self._left = left
        self.late = False

    def seconds(self) -> float | None:
        """For the next step; None: for as long as it takes."""
        left = self._left()
        if left is None:
            return None
        return 0.0 if self.late else min(LONGEST, left / SHARE)
