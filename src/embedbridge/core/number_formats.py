"""In which number format an answer has packed its vectors, where it does not say: by length, else by plausibility."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from .types import Vectors

SAMPLE = 1 << 16
"""Bytes that are looked at."""
USUAL = (1e-8, 1e4)
"""Nearly all numbers of a vector but zeros are between these; those of another format's bytes are not."""
MOST = 0.9
"""The least share of them."""


@dataclass(frozen=True, slots=True)
class Format:
    """A number format: bytes a number, and how they are read."""

    size: int
    unpack: Callable[[bytes], np.ndarray]

    def read(self, data: bytes) -> Vectors:
        """The numbers as float32; what is too large for that becomes infinite."""
        with np.errstate(over="ignore"):
            return self.unpack(data).astype(np.float32, copy=False)


def _bfloat16(data: bytes) -> np.ndarray:
    return (np.frombuffer(data, dtype="<u2").astype("<u4") << 16).view("<f4")


FLOAT32 = Format(4, partial(np.frombuffer, dtype="<f4"))
FLOAT64 = Format(8, partial(np.frombuffer, dtype="<f8"))
FLOAT16 = Format(2, partial(np.frombuffer, dtype="<f2"))
BFLOAT16 = Format(2, _bfloat16)
"""Two of its numbers look like one of float32, whose second half is noise, or zero where it was cast from two bytes."""
INT8 = Format(1, partial(np.frombuffer, dtype="<i1"))
"""Only where the width is known, for any byte is a number; and where zero is in the middle, for others are unsigned."""
FEWEST = 64
"""Numbers, without which it is not judged whether they are halves of others."""


def number_format(packed: Sequence[bytes], width: int | None) -> Format:
    """The number format of vectors.

    Args:
        packed: the bytes of each vector.
        width: numbers in each vector, where known: then only a format of that length comes into question.
    """
    sizes = {len(data) for data in packed}
    if width is not None:
        if not sizes or 4 * width in sizes:
            return FLOAT32
        fitting = [form for form in (FLOAT64, BFLOAT16, FLOAT16, INT8) if sizes == {form.size * width}]
    else:
        sample = b"".join(packed)[:SAMPLE]
        if all(size % 4 == 0 for size in sizes) and _plausible(FLOAT32, sample):
            return BFLOAT16 if _is_twice_as_many(sample) else FLOAT32
        fitting = [form for form in (FLOAT64, BFLOAT16, FLOAT16) if all(size % form.size == 0 for size in sizes)]
    sample = b"".join(packed)[:SAMPLE]
    return next((form for form in fitting if _plausible(form, sample)), FLOAT32)


def _is_twice_as_many(sample: bytes) -> bool:
    """Whether what can be read as float32 is twice as many numbers of bfloat16: the second halves are numbers too."""
    halves = np.frombuffer(sample[: len(sample) // 4 * 4], dtype="<u2")[::2]
    return halves.size * 2 >= FEWEST and bool((halves != 0).mean() > MOST) and _plausible(BFLOAT16, sample)


def _plausible(form: Format, sample: bytes) -> bool:
    with np.errstate(invalid="ignore"):
        sizes = np.abs(form.unpack(sample[: len(sample) // form.size * form.size]), dtype=np.float64)
    if form is INT8:
        return bool(np.median(sizes) < 64)
    sizes = sizes[sizes != 0]
    usual = (sizes > USUAL[0]) & (sizes < USUAL[1])
    return bool(not sizes.size or (np.isfinite(sizes).all() and usual.mean() >= MOST))
