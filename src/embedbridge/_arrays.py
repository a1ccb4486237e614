"""Reads anything that NumPy takes for vectors: as float32, finite and of the right shape, or as `InvalidInputError`.

Writes them as a column of Apache Arrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core.foreign_numbers import is_masked
from ._core.types import Vectors
from .errors import InvalidInputError


def as_vectors(values: npt.ArrayLike, name: str) -> Vectors:
    """`values` as a finite float32 array of shape `(n, d)` or `(d,)`; `name` is what errors call it."""
    array = as_float32(values, name)
    if array.ndim not in (1, 2) or array.shape[-1] == 0:
        raise InvalidInputError(f"{name} has shape {array.shape}; it must be (d,) or (n, d), with d at least 1")
    refuse_nonfinite(array, name)
    return array


def as_table(values: Any, name: str) -> Any:
    """`values` as something of shape `(n, d)` whose slices are rows; an array is neither read nor copied."""
    table = values if hasattr(values, "shape") and hasattr(values, "__getitem__") else as_vectors(values, name)
    if len(table.shape) != 2 or table.shape[1] == 0:
        raise InvalidInputError(f"{name} has shape {tuple(table.shape)}; it must be (n, d), with d at least 1")
    return table


def as_float32(values: Any, name: str) -> Vectors:
    """`values` as contiguous float32; numbers too large for it become infinite."""
    if is_masked(values):
        raise InvalidInputError(f"{name}: some numbers are masked; fill them, or leave their rows out")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidInputError(f"{name}: the vectors must all have the same number of dimensions ({error})") from error
    except (TypeError, RuntimeError) as error:  # tensors of torch that NumPy cannot hold, or that belong to a gradient
        raise InvalidInputError(f"{name} cannot be read by NumPy: {error}") from error
    if array.dtype.kind not in "fiu":
        raise InvalidInputError(f"{name} must hold real numbers, not {array.dtype}")
    return np.asarray(rounded(array), order="C")


def refuse_nonfinite(array: npt.NDArray[Any], name: str, first: int = 0) -> None:
    """Name the first row with NaN or infinity; `first` is the number of the row `array[0]`."""
    if not np.isfinite(array).all():
        row = first + int(np.argwhere(~np.isfinite(np.atleast_2d(array)))[0, 0])
        raise InvalidInputError(f"{name}: row {row} holds NaN, or a number that is infinite in float32", index=row)


def read_rows(table: Any, part: slice, name: str) -> Vectors:
    """The rows `part` of a table as finite float32, shape `(len(part), d)`."""
    rows = as_float32(table[part], name)
    refuse_nonfinite(rows, name, part.start)
    return rows


def steps(total: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `range(total)` in order."""
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


def rounded(values: npt.NDArray[Any], kind: Any = np.float32) -> npt.NDArray[Any]:
    """`values` as another type of float; what is too large for it becomes infinite; numpy warns of nothing."""
    with np.errstate(all="ignore"):
        return values.astype(kind, copy=False)


def as_arrow(vectors: Vectors, width: int) -> Any:
    """An array `(n, dimensions)` as n lists of a fixed size, float32, without a copy.

    Without rows `width` is that size. Where it is 0, or the rows hold no numbers, lists have no fixed size: no text was
    embedded yet, so the dimensions are not known.
    """
    import pyarrow as pa

    if vectors.size:
        return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    fixed = width if not len(vectors) and width else -1
    return pa.array([[]] * len(vectors), type=pa.list_(pa.float32(), fixed))
