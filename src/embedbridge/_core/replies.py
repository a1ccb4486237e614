"""Checks a provider's answer: one vector for each text, of one width, finite and not all zero."""

from __future__ import annotations

import binascii
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedbridge.errors import RequestFailed

from .foreign_numbers import PLAIN, as_array
from .kinds import Kind
from .number_formats import FLOAT32, MOST, SAMPLE, UNIT, USUAL, Format, lossy_format, number_format
from .types import Reply, Vectors

try:
    from pybase64 import b64decode  # the same, twenty times as fast
except ImportError:
    from base64 import b64decode  # type: ignore[assignment]


ONE_READ = "where only one text of a request is read, set"
"""What follows is what sends each text by itself."""
EACH_ALONE = "set batch_size=1, or provider_options={'single': True} where the provider has it, to send each text alone"
UNKNOWN_FORMAT = (
    "the base64 of the vectors may hold numbers of one, two, four or eight bytes, and the width is not known; "
    "pass dimensions=…, or provider_options={'encoding_format': None} to be sent numbers"
)
DOUBTFUL_FORMAT = (
    "the base64 of the vectors may hold float16 or bfloat16, in either order of bytes; "
    "pass provider_options={'encoding_format': None} to be sent numbers"
)
ASK_FOR_NUMBERS = "leave out what asks for that, or pass provider_options={'encoding_format': 'float'}"
OTHER_WIDTH = "of another width than the others"
_ALPHABET = str.maketrans("-_", "+/")
_DIGITS = re.compile(r"([0-9]{1,9})(\.0)?")


@dataclass(frozen=True, slots=True)
class Sound:
    """The vectors of an answer that can be used, in the batch's order."""

    positions: tuple[int, ...]
    """Position in the batch of each vector."""
    vectors: Vectors
    """Shape `(len(positions), dimensions)`."""
    faults: Mapping[int, str]
    """Position in the batch → what is wrong with its vector, where the others can be used."""


def check_reply(reply: Reply, count: int, *, width: int | None, zeros: bool = False) -> Sound:
    """Bring an answer into the batch's order and check every vector.

    Args:
        reply: as the provider gave it.
        count: texts that were sent.
        width: dimensions that every vector must have, where known.
        zeros: a vector may be all zero.

    Raises:
        RequestFailed: when no vector can be trusted: a wrong count, a broken numbering, a width that is not the
            expected one or not that of most vectors.
    """
    items = reply.items if type(reply.items) is list else _listed_items(reply.items)
    given = len(items)
    if given != count:
        if present := _places(reply.indices, given, count):
            return _with_gaps(Reply(reply.items, tuple(range(given))), present, count, width=width, zeros=zeros)
        advice = f" - {ONE_READ} batch_size=1" if given == 1 else ""
        raise RequestFailed(f"{given} vectors for {count} texts{advice}", kind=Kind.COUNT, billed=True)
    order = None if count == 1 else _order(reply.indices, count)
    with np.errstate(all="ignore"):  # numbers may be anything: what comes of them is checked
        usual = _usual_matrix(items, width)
        matrix, faults = _matrix(items, width) if usual is None else (usual, {})
        if order is not None:
            matrix, faults = matrix[np.argsort(order)], {order[at]: fault for at, fault in faults.items()}
        squares = np.einsum("ij,ij->i", matrix, matrix)
        for position in np.nonzero(~np.isfinite(squares))[0].tolist():  # bytes read in a wrong order give such numbers
            finite = np.isfinite(matrix[position]).all()
            faults.setdefault(position, "too long to be measured" if finite else "not finite")
        for position in () if zeros else np.nonzero(~matrix.any(axis=1))[0].tolist():
            faults.setdefault(position, "all zero")
    if not faults:
        return Sound(tuple(range(count)), matrix, {})
    good = tuple(position for position in range(count) if position not in faults)
    return Sound(good, matrix[list(good)], faults)


def _places(indices: Sequence[Any] | None, given: int, count: int) -> list[int] | None:
    """The positions of an answer's entries, where their numbers prove which texts have none; None: they do not.

    Numbers without a gap prove nothing: texts may have been left out before they were numbered.
    """
    numbers = [number for number in map(_whole, indices or ()) if number is not None]
    if not given < count < 2 * given or not given == len(numbers) == len(set(numbers)):
        return None
    first, last = min(numbers), max(numbers)
    begin = {(True, False): 0, (False, True): 1}.get((first == 0, last == count))
    if begin is None or last - begin >= count or last - first + 1 == given:
        return None
    return [number - begin for number in numbers]


def _with_gaps(reply: Reply, places: Sequence[int], count: int, *, width: int | None, zeros: bool) -> Sound:
    """What can be used of an answer that has no entry for some texts; `places` are those of its entries."""
    found = check_reply(reply, len(places), width=width, zeros=zeros)
    faults = {places[at]: fault for at, fault in found.faults.items()}
    faults |= dict.fromkeys(set(range(count)).difference(places), "not in the answer")
    at = [places[position] for position in found.positions]
    order = np.argsort(at)
    return Sound(tuple(at[each] for each in order), found.vectors[order], faults)


def fault_kind(fault: str) -> Kind:
    """The kind of failure that one of `Sound.faults` is."""
    return Kind.WIDTH if fault.startswith(OTHER_WIDTH) else Kind.VALUE


def _listed_items(items: Any) -> Sequence[Any] | Vectors:
    """The entries of an answer; none of what is no list."""
    if isinstance(items, np.ndarray) and items.ndim and not isinstance(items, np.ma.MaskedArray):
        return items
    try:
        return list(items) if len(items) else []
    except Exception:  # a foreign object raises what it likes
        return []


def _order(indices: Sequence[Any] | None, count: int) -> list[int] | None:
    """The position of each entry, or None where wire order is the order.

    As strict as the numbering allows: from 0 or from 1, as numbers or as their digits; and one number that is left out,
    as some serialisers leave out a zero, can only be the one that is missing. That of a single entry says nothing.
    """
    if indices is None or count == 1 or all(index is None for index in indices):
        return None
    numbers = [_whole(index) for index in indices]
    if sorted(number for number in numbers if number is not None) == list(range(1, count + 1)):
        numbers = [None if number is None else number - 1 for number in numbers]
    missing = set(range(count)).difference(number for number in numbers if number is not None)
    if len(missing) == 1 and indices.count(None) == 1:
        numbers = [next(iter(missing)) if number is None else number for number in numbers]
        missing = set()
    if len(numbers) != count or missing:
        alike = f" but {numbers[0]} for each - {EACH_ALONE}" if len(set(numbers)) == 1 else ""
        raise RequestFailed(f"the answer's numbering is not 0 … n-1{alike}", kind=Kind.INDEX, billed=True)
    order = [number for number in numbers if number is not None]
    return None if order == list(range(count)) else order


def _whole(index: Any) -> int | None:
    """An index as a number; None for nothing, and for what is no index."""
    if isinstance(index, str):
        return int(found[1]) if (found := _DIGITS.fullmatch(index)) else None
    if isinstance(index, float) and index.is_integer():
        return int(index)
    return index if type(index) is int else None


def _usual_matrix(items: Sequence[Any] | Vectors, width: int | None) -> Vectors | None:
    """Rows of a usual answer: lists of JSON's numbers, or base64 of float32 and of unit length, of the known width.

    Whatever else it may be is left to `_matrix`, which reads a usual answer as this does, and takes longer for it.
    """
    if width is None or width < 3 or not isinstance(items, list) or not items:
        return None
    try:
        if all(type(item) is list and len(item) == width and PLAIN.issuperset(map(type, item)) for item in items):
            return np.array(items, dtype=np.float64).astype(np.float32)
        if len(items) > 1 and _usual_matrix(items[:1], width) is None:  # which shows it, before all are unpacked
            return None
        rows = [b64decode(item, validate=True) if isinstance(item, str) else b"" for item in items]
    except (ValueError, OverflowError):  # no base64, or a number that is too large
        return None
    if any(len(row) != FLOAT32.size * width for row in rows):
        return None
    matrix = np.frombuffer(bytearray().join(rows), dtype="<f4").reshape(len(rows), width)
    lengths, sample = np.linalg.norm(matrix, axis=1), matrix[: max(1, SAMPLE // (FLOAT32.size * width))]
    is_unit = (np.abs(lengths - 1) < UNIT / 2).all()
    usual = np.count_nonzero(np.abs(sample) > USUAL[0]) >= MOST * np.count_nonzero(sample)
    return matrix if is_unit and usual else None


def _matrix(items: Sequence[Any] | Vectors, width: int | None) -> tuple[Vectors, dict[int, str]]:
    """Rows as float32, and what could not be read (whose rows are zero)."""
    if isinstance(items, np.ndarray):
        if items.ndim != 2:
            raise RequestFailed(
                f"an array of shape {items.shape} instead of (n, dimensions)", kind=Kind.WIDTH, billed=True
            )
        _check_width({items.shape[1]}, width)
        return _as_float32(items), {}
    packed = {at: data for at, item in enumerate(items) if isinstance(item, str) for data in [_unpacked(item)]}
    data = [each for each in packed.values() if each is not None]
    if lossy := lossy_format(data, width):
        raise RequestFailed(f"the base64 of the vectors holds {lossy}; {ASK_FOR_NUMBERS}", kind=Kind.WIDTH, billed=True)
    form = number_format(data, width)
    if form is None and len(packed) < len(items):  # the others show the width
        form = FLOAT32
    if form is None:
        raise RequestFailed(UNKNOWN_FORMAT if width is None else DOUBTFUL_FORMAT, kind=Kind.VALUE, billed=True)
    rows = [_numbers(packed[at], form) if at in packed else _row(item) for at, item in enumerate(items)]
    faults = {at: row for at, row in enumerate(rows) if isinstance(row, str)}
    read = {at: row for at, row in enumerate(rows) if not isinstance(row, str)}
    if not read:
        raise RequestFailed(
            f"no vector can be read: {next(iter(faults.values()), 'none given')}", kind=Kind.VALUE, billed=True
        )
    odd = _odd_widths({at: len(row) for at, row in read.items()}, width)
    faults |= odd
    dimensions = _check_width({len(row) for at, row in read.items() if at not in odd}, width)
    if not faults:
        return np.stack(list(read.values())), {}
    matrix = np.zeros((len(rows), dimensions), dtype=np.float32)
    for at in read.keys() - odd.keys():
        matrix[at] = read[at]
    return matrix, faults


def _odd_widths(widths: Mapping[int, int], width: int | None) -> dict[int, str]:
    """Vectors of another width than most, where most have the expected one or none is known: position → what is wrong.

    Empty where no width is that of most: then none is to be trusted.
    """
    (usual, times), *_ = Counter(widths.values()).most_common(1)
    if usual != (width or usual) or usual == 0 or 2 * times <= len(widths):
        return {}
    return {at: f"{OTHER_WIDTH}, {each} dimensions, {usual} expected" for at, each in widths.items() if each != usual}


def _check_width(widths: set[int], width: int | None) -> int:
    expected = {width} if width is not None else widths
    if widths != expected or len(widths) != 1 or 0 in widths:
        wanted = f", {width} expected" if width is not None else ""
        raise RequestFailed(f"vectors of {_listed(widths)} dimensions{wanted}", kind=Kind.WIDTH, billed=True)
    return next(iter(widths))


def _unpacked(item: str) -> bytes | None:
    """The bytes of base64: of either alphabet, in lines, without its end, behind the head of a data URL."""
    try:
        return b64decode(item, validate=True)
    except (binascii.Error, ValueError):
        plain = re.sub(r"^data:[^,]{0,80},|\s|=+$", "", item).translate(_ALPHABET)
    try:
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _numbers(data: bytes | None, form: Format) -> Vectors | str:
    if data is None or len(data) % form.size:
        return "neither numbers nor base64"
    return form.read(data)


def _row(item: Any) -> Vectors | str:
    """One vector, or what is wrong with it."""
    if item is None:
        return "null"
    try:
        row = _as_float32(item)
    except (TypeError, ValueError, OverflowError):
        return "not numbers"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a foreign object raises what it likes
        return f"numbers that cannot be read ({type(error).__name__})"
    return row if row.ndim == 1 else "not one row of numbers"


def _as_float32(numbers: npt.ArrayLike) -> Vectors:
    array = as_array(numbers)
    words = array.dtype.kind == "O" and any(isinstance(each, str | bytes) for each in array.flat)
    if words or array.dtype.kind not in "fiuO":  # told to make floats, numpy would read the digits of a string
        raise TypeError(array.dtype)
    return array.astype(np.float32, copy=False)  # what is too large becomes infinite, which is a fault of its own


def _listed(widths: set[int]) -> str:
    return " and ".join(map(str, sorted(widths)))
