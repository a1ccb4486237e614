"""Warnings that never fail a job: Python writes them to stderr, which may be closed or broken."""

from __future__ import annotations

import warnings
from contextlib import suppress


def warn(message: str, category: type[Warning] = UserWarning, *, stacklevel: int = 1) -> None:
    """`warnings.warn`; raises nothing but the warning itself, where the program makes errors of warnings."""
    with suppress(OSError, ValueError):  # of a stream that takes no more, about which nobody can be told
        warnings.warn(message, category, stacklevel=stacklevel + 1)
