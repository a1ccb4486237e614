"""How much more memory a piece of work needed at its peak than before it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Self

import pytest


class Peak:
    """A context manager; `growth` is in bytes. Skips the test where a peak cannot be reset."""

    growth: int

    def __enter__(self) -> Self:
        if sys.platform != "linux":
            pytest.skip("a process's peak of memory can be reset on Linux only")
        Path("/proc/self/clear_refs").write_text("5")
        self._before = highest()
        return self

    def __exit__(self, *_: object) -> None:
        self.growth = highest() - self._before


def highest() -> int:
    """The most memory that this process has had at once, or since its peak was reset, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10
