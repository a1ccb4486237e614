"""Arithmetic with numbers that may be anything: what comes of them is checked, and NumPy warns of nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
T = TypeVar("T")


def without_warnings(function: Callable[P, T]) -> Callable[P, T]:
    """A function in which overflow, underflow, NaN and division by zero give numbers and no warnings or errors."""

    @wraps(function)
    def quiet(*args: P.args, **options: P.kwargs) -> T:
        with np.errstate(all="ignore"):  # anew for each call, so that threads do not share it
            return function(*args, **options)

    return quiet
