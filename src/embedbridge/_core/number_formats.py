"""In which number format an answer has packed its vectors, where it does not say.

By their size where the width is known. Else by unit length, which no vector has in another format; else by what numbers
of a vector look like, which a few numbers do not show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from .types import Vectors

SAMPLE = 1 << 16
"""Bytes that are looked at."""
USUAL = (1e-8, 1e5)
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
"""With the first byte last, as some languages write numbers."""
STRAIGHT = (FLOAT32, FLOAT64, BFLOAT16, FLOAT16)
TRIPLES = ((FLOAT32, BFLOAT16, FLOAT16), (REVERSED[0], *REVERSED[2:]))
"""Formats of one order that are taken for each other: a number, its upper half, and another one of that size."""
SHORT = {FLOAT16, BFLOAT16, *REVERSED[2:]}
LEAST = 8
"""Numbers that are not zero, without which their places say nothing."""
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
        return _likely(vectors)
    fitting = [form for form in (*STRAIGHT, INT8, *REVERSED) if size == form.size * width]
    read = {form: sizes for form in fitting for sizes in [_read(form, vectors)] if _plausible(form, sizes)}
    return _clearest(read, few=len(vectors) * width < FEWEST) if len(read) > 1 else next(iter(read), FLOAT32)


def lossy_format(packed: Sequence[bytes], width: int | None) -> str:
    """What vectors of a known width hold in place of numbers that can be read; "": numbers."""
    sizes = Counter(map(len, packed)).most_common(1)
    size = sizes[0][0] if sizes else 0
    if not width or not size or size not in {width, -(-width // 8)}:
        return ""
    if size != width:
        return BITS
    return "" if number_format(packed, width) is INT8 else UNSIGNED


def _clearest(read: Mapping[Format, np.ndarray], *, few: bool) -> Format | None:
    """Of plausible formats of one size, the one whose numbers are as those of a vector; of few, in the usual order."""
    unit = [form for form, sizes in read.items() if _has_unit_length(sizes)]
    near = [form for form, sizes in read.items() if _spread(sizes) < SPREADS[1]]
    for found, least in ((unit, 0.0), (near, SPREADS[0])):
        straight = [form for form in found if form in STRAIGHT]
        clear = [form for form in straight or found if _spread(read[form]) >= least]
        if len(clear) == 1 and (few or found is unit or straight in ([], found)):
            return clear[0]
    return next((form for form in read if form.size > BFLOAT16.size), None)


def _likely(vectors: Sequence[bytes]) -> Format | None:
    """The format that vectors of unknown width have; None where more than one comes into question."""
    size = len(vectors[0])
    known = {form: _read(form, vectors) for form in (*STRAIGHT, *REVERSED) if size % form.size == 0}
    read = {form: sizes for form, sizes in known.items() if not _is_part(form, sizes)}
    unit = [form for form, sizes in read.items() if _has_unit_length(sizes)]
    unit = [form for form in unit if form in STRAIGHT] or unit
    if len(unit) == 1:
        return unit[0]
    possible = {form: _spread(sizes) for form, sizes in read.items() if _plausible(form, sizes)}
    few = len(vectors) * size < 2 * FEWEST
    likely = {form for form, spread in possible.items() if spread < SPREADS[1] * (1 + few)}
    even = {form for form in likely if form in SHORT and possible[form] < SPREADS[0]}
    for wide, half, short in TRIPLES:
        # Numbers of four bytes would not have first halves that are numbers like the second ones.
        if not few and half in likely and likely - even & {short} <= {wide, half}:
            return None if half in even else half
    if likely or possible:
        found, *others = likely or possible
        return None if others or found in even else found
    known_but_unusual = FLOAT32 in known and not (FLOAT32 in read and _usual(read[FLOAT32]) > 0.5)
    return None if known_but_unusual else FLOAT32


def _read(form: Format, vectors: Sequence[bytes]) -> np.ndarray:
    """The numbers' sizes, shape `(n, width)`."""
    with np.errstate(all="ignore"):
        numbers = form.unpack(b"".join(vectors)).astype(np.float64)
    return np.abs(numbers).reshape(len(vectors), -1)


def _is_part(form: Format, sizes: np.ndarray) -> bool:
    """Whether these are parts of wider numbers: each second or fourth one is zero, or of other sizes than the rest."""
    for step in (2, 4):
        if sizes.shape[1] % step or form.size * step > FLOAT64.size:
            continue
        places = [part[part != 0] for at in range(step) for part in [sizes[:, at::step]]]
        fewest, most = (pick(part.size for part in places) for pick in (min, max))
        if (fewest == 0 and most >= LEAST) or (3 * fewest < most and most > 2 * LEAST):
            return True
        if fewest < 4 * LEAST:
            continue
        with np.errstate(all="ignore"):
            logs = [np.log2(part[np.isfinite(part)]) for part in places]
        low, middle, high = np.array([np.quantile(part, (0.25, 0.5, 0.75)) for part in logs]).T  # a few are extreme
        if np.ptp(middle) > 3 or (high - low).max() > 1 + 4 * (high - low).min():
            return True
    return False


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
