"""Reads what NumPy cannot, or would read wrongly, of the numbers that a foreign object gives."""

from __future__ import annotations

from typing import Any

import numpy as np

PLAIN = {float, int}
"""What JSON gives: a vector of it is read in a fortieth of the time that a look at each number takes."""


def is_masked(numbers: Any) -> bool:
    """Whether some of the numbers are masked out: NumPy would give what stands behind the mask."""
    if isinstance(numbers, list | tuple):
        return not PLAIN.issuperset(map(type, numbers)) and any(map(np.ma.is_masked, numbers))
    return np.ma.is_masked(numbers)


def as_array(numbers: Any) -> np.ndarray:
    """`numbers` as an array, also tensors that belong to a gradient, are elsewhere, or have a format of their own.

    Raises whatever the object raises, and ValueError for masked numbers.
    """
    if is_masked(numbers):
        raise ValueError("masked numbers")
    try:
        return np.asarray(numbers, order="C")
    except Exception:
        if (plain := _without_tensors(numbers)) is numbers:
            raise
        return np.asarray(plain, order="C")


def _without_tensors(numbers: Any) -> Any:
    if isinstance(numbers, list | tuple):
        return [_without_tensors(each) for each in numbers]
    detach = getattr(numbers, "detach", None)
    return detach().tolist() if callable(detach) else numbers
