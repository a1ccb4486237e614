"""Embeddings in a quarter (int8) or a thirty-second (binary) of their bytes, for `similarity.top_k`.

A vector's codes depend on that vector and on ranges fixed beforehand, never on the vectors beside it, so documents can
be added later. Zero vectors stay zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ._arrays import as_float32, as_table, read_rows, steps
from ._core.quiet import without_warnings
from ._core.types import Vectors
from .errors import InvalidInputError

__all__ = ["Precision", "Quantized", "calibrate", "quantize"]

Precision: TypeAlias = Literal["int8", "binary"]
"""What a number becomes: one of 255 steps, or its sign."""

_ROWS = 4096  # rows that are read at once


@dataclass(frozen=True, slots=True, eq=False)
class Quantized:
    """Codes for vectors. Rows are float32 again: `quantized[10:20]` has shape `(10, d)`, `quantized[3]` `(d,)`."""

    precision: Precision
    codes: npt.NDArray[np.int8] | npt.NDArray[np.uint8]
    """`(n, d)` int8; or `(n, ceil(d / 8))` uint8, whose bits are set where a number is above zero."""
    scale: Vectors
    """int8: what one step of a code is worth, `(d,)`. binary: the size of each number of a row, `(n,)`."""
    shape: tuple[int, int]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Vectors:
        codes, scale = self.codes[rows], self.scale
        if self.precision == "binary":
            bits = np.unpackbits(codes.view(np.uint8), axis=-1, count=self.shape[1])
            codes, scale = bits.astype(np.int8) * 2 - 1, self.scale[rows, None]
        vectors: Vectors = codes * scale
        return vectors


def calibrate(sample: Any) -> Vectors:
    """The largest absolute number in each dimension of a sample: the ranges of int8 codes.

    Args:
        sample: vectors `(n, d)`; a memory-mapped array is read by chunks.

    Returns:
        Shape `(d,)`, float32.

    Raises:
        InvalidInputError: no table of numbers, NaN or infinity.
    """
    table = as_table(sample, "sample")
    limits = np.zeros(table.shape[1], np.float32)
    for part in steps(table.shape[0], _ROWS):
        limits = np.maximum(limits, np.abs(read_rows(table, part, "sample")).max(axis=0))
    return limits


@without_warnings
def quantize(vectors: Any, precision: Precision, *, limits: npt.ArrayLike | None = None) -> Quantized:
    """Codes of vectors, a quarter or a thirty-second of their bytes.

    Args:
        vectors: `(n, d)`: an array (a memory-mapped one is read by chunks) or lists.
        precision: `int8`: 255 steps between -limit and limit, beyond which numbers are clipped. `binary`: the signs,
            and the row's length.
        limits: for `int8`, from `calibrate` on a sample, `(d,)`, or one number for all dimensions.

    Returns:
        Codes that `top_k` takes as documents, and whose rows are float32 again.

    Raises:
        InvalidInputError: unknown precision, `limits` missing, negative or of other dimensions, NaN or infinity.
    """
    table = as_table(vectors, "vectors")
    count, width = table.shape
    if not isinstance(precision, str) or precision not in get_args(Precision):
        raise InvalidInputError(f"precision must be int8 or binary, not {precision!r}")
    if precision == "binary":
        signs, sizes = np.empty((count, -(-width // 8)), np.uint8), np.empty(count, np.float32)
        for part in steps(count, _ROWS):
            rows = read_rows(table, part, "vectors")
            signs[part] = np.packbits(rows > 0, axis=1)
            sizes[part] = np.sqrt(np.mean(rows.astype(np.float64) ** 2, axis=1))
        return Quantized("binary", signs, sizes, (count, width))
    scale = _ranges(limits, width) / np.float32(127)
    codes = np.empty((count, width), np.int8)
    for part in steps(count, _ROWS):
        rows = read_rows(table, part, "vectors")
        codes[part] = np.rint(np.clip(np.divide(rows, scale, out=np.zeros_like(rows), where=scale > 0), -127, 127))
    return Quantized("int8", codes, scale, (count, width))


def _ranges(limits: npt.ArrayLike | None, width: int) -> Vectors:
    if limits is None:
        raise InvalidInputError("int8 needs limits: calibrate(sample) on vectors of this model, or one number for all")
    ranges = as_float32(limits, "limits")
    if ranges.shape not in ((), (width,)):
        raise InvalidInputError(
            f"limits have shape {ranges.shape} and vectors have {width} dimensions: give ({width},) or one number"
        )
    if not (np.isfinite(ranges) & (ranges >= 0)).all():
        raise InvalidInputError("limits must be finite and not negative")
    return np.broadcast_to(ranges, (width,))
