"""In which number format an answer has packed its vectors, where it does not say.

By their size where the width is known. Else by unit length, which no vector has in another format; else by what numbers
of a vector look like, which a few numbers do not show.
"""

from __future__ import annotations

from collections import Counter
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
        with np.errstate(all="ignore"):
            return self.unpack(data).astype(np.float32, copy=False)


def _bfloat16(data: bytes, dtype: str = "<u2") -> np.ndarray:
    return (np.frombuffer(data, dtype=dtype).astype("<u4") << 16).view("<f4")


FLOAT32 = Format(4, partial(np.frombuffer, dtype="<f4"))
FLOAT64 = Format(8, partial(np.frombuffer, dtype="<f8"))
FLOAT16 = Format(2, partial(np.frombuffer, dtype="<f2"))
BFLOAT16 = Format(2, _bfloat16)
"""Two of its numbers look like one of float32, whose first half is noise, or zero where it was cast from two bytes."""
INT8 = Format(1, partial(np.frombuffer, dtype="<i1"))
"""Only where the width is known, for any byte is a number; and where zero is in the middle, for others are unsigned."""
REVERSED = (
    *(Format(size, partial(np.frombuffer, dtype=f">f{size}")) for size in (4, 8)),
    Format(2, partial(_bfloat16, dtype=">u2")),
    Format(2, partial(np.frombuffer, dtype=">f2")),
)
"""With the first byte last, as some languages write numbers; only where they are none in the usual order."""
UNSIGNED = "bytes that may be unsigned, and what stands for zero is not said"
BITS = "one bit for each number"
FEWEST = 64
"""Numbers of two bytes, without which only unit length decides between formats that are all plausible."""
UNIT = 0.01
"""How far from 1 a length may be that was 1 before it was rounded to two bytes."""
SPREADS = (0.5, 4.0)
"""Standard deviation of the numbers' binary logarithms: about 1.6 for a vector; a few times that, or a part of it,
where bits of the fraction are read as the exponent's, or the other way round."""


def number_format(packed: Sequence[bytes], width: int | None) -> Format | None:
    """The number format of vectors; None where it cannot be told.

    Args:
        packed: the bytes of each vector. What has another size than most does not count.
        width: numbers in each vector, where known: then only a format of that length comes into question.
    """
    ((size, _),) = Counter(map(len, packed)).most_common(1) or [(0, 0)]
    vectors = [data for data in packed if len(data) == size][: max(1, SAMPLE // max(1, size))]
    if not size:
        return FLOAT32
    if width is None:
        return _likely(vectors, [form for form in (FLOAT32, FLOAT64, BFLOAT16, FLOAT16) if size % form.size == 0])
    fitting = [form for form in (FLOAT32, FLOAT64, BFLOAT16, FLOAT16, INT8, *REVERSED) if size == form.size * width]
    return next((form for form in fitting if _plausible(form, _read(form, vectors))), FLOAT32)


def lossy_format(packed: Sequence[bytes], width: int | None) -> str:
    """What vectors of a known width hold in place of numbers that can be read; "": numbers."""
    sizes = Counter(map(len, packed)).most_common(1)
    size = sizes[0][0] if sizes else 0
    if not width or not size or size not in {width, -(-width // 8)}:
        return ""
    if size != width:
        return BITS
    return "" if number_format(packed, width) is INT8 else UNSIGNED


def _likely(vectors: Sequence[bytes], fitting: Sequence[Format]) -> Format | None:
    """The format that vectors of unknown width have."""
    read = {form: sizes for form in fitting for sizes in [_read(form, vectors)] if not _is_halves(form, sizes)}
    unit = [form for form, sizes in read.items() if _has_unit_length(sizes)]
    if len(unit) == 1:
        return unit[0]
    possible = {form: sizes for form, sizes in read.items() if _plausible(form, sizes)}
    few = len(vectors) * len(vectors[0]) < 2 * FEWEST
    likely = [form for form, sizes in possible.items() if _spread(sizes) < SPREADS[1] * (1 + few)]
    if not likely:
        swapped = {form: _read(form, vectors) for form in REVERSED if len(vectors[0]) % form.size == 0}
        unit = [form for form, sizes in swapped.items() if _has_unit_length(sizes)]
        even = [form for form, sizes in swapped.items() if _plausible(form, sizes) and _spread(sizes) < SPREADS[1]]
        likely = unit or ([] if few else even)
    if len(likely) < 2:
        unknown = FLOAT32 if FLOAT32 not in read or _usual(read[FLOAT32]) > 0.5 else None
        return next(iter(likely or possible), unknown)
    if few:
        return None
    if BFLOAT16 in likely:  # of float32, the first halves would be noise, and are no numbers like the second ones
        return BFLOAT16
    return next((form for form in likely if _spread(possible[form]) > SPREADS[0]), None)


def _read(form: Format, vectors: Sequence[bytes]) -> np.ndarray:
    """The numbers' sizes, shape `(n, width)`."""
    with np.errstate(all="ignore"):
        numbers = form.unpack(b"".join(vectors)).astype(np.float64)
    return np.abs(numbers).reshape(len(vectors), -1)


def _is_halves(form: Format, sizes: np.ndarray) -> bool:
    """Whether each second number is zero, as the first halves of rounded numbers of twice the size are."""
    if sizes.shape[1] % 2 or form is FLOAT64:
        return False
    return bool((sizes[:, ::2] == 0).mean() > MOST and (sizes[:, 1::2] != 0).mean() > 0.5)


def _has_unit_length(sizes: np.ndarray) -> bool:
    """Whether most vectors have; some may be of zeros, or faulty."""
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(sizes, axis=1)
    lengths = lengths[lengths > 0]
    return bool(sizes.size > 2 and lengths.size and (np.abs(lengths - 1) < UNIT).mean() > 0.5)


def _spread(sizes: np.ndarray) -> float:
    sizes = sizes[sizes != 0]
    return float(np.log2(sizes).std()) if sizes.size else 0.0


def _plausible(form: Format, sizes: np.ndarray) -> bool:
    if form is INT8:
        return bool(np.median(sizes) < 64)
    return bool(np.isfinite(sizes).all() and _usual(sizes) >= MOST)


def _usual(sizes: np.ndarray) -> float:
    """The share of numbers that are as those of vectors usually are, zeros aside."""
    sizes = sizes[sizes != 0]
    return float(((sizes > USUAL[0]) & (sizes < USUAL[1])).mean()) if sizes.size else 1.0
