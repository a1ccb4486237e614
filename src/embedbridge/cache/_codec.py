"""How one vector becomes bytes: header, numbers, checksum, all little-endian.

    format uint32 ("eb", version, form) · width uint32 · tokens int32 · before int32 · stored uint32 · vector · crc32

The form is 1 for float32, 64 + n for float16 of the numbers times 2**n, and 2 for float16 as earlier releases wrote it:
without a factor, so that numbers below 6e-5 were cut or lost.

The checksum covers key, header and vector, so it is wrong for a changed bit as well as for a value under another key.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from struct import Struct
from typing import Literal, TypeAlias
from zlib import crc32

import numpy as np
import numpy.typing as npt

from embedbridge._core.quiet import without_warnings
from embedbridge._core.types import Hits, Kept, Vectors

StorageType: TypeAlias = Literal["float32", "float16"]
"""float16 halves the space; each number is then off by at most 1 part in 2048. Vectors that do not allow that, because
their numbers are too large or of too many magnitudes, are stored as float32 all the same."""

VERSION = 1
_SINGLE, _HALF = np.dtype("<f4"), np.dtype("<f2")
_FLOAT32, _UNSCALED, _SCALED = (int.from_bytes(b"eb" + bytes([VERSION, form]), "little") for form in (1, 2, 64))
_FORM = 1 << 24
"""One more in the last byte of a format."""
_MOST_SCALE = 126
"""Both 2**126 and its reciprocal are float32."""
_PREFIX = b"eb" + bytes([VERSION])
_HEAD = Struct("<IIiiI")
_WIDTH, _STORED = slice(4, 8), slice(16, 20)
_CHECKSUM = 4
_OVERHEAD = _HEAD.size + _CHECKSUM
_RESIDUE = 0x2144DF1C  # crc32 of anything followed by its own crc32
_FIRST = np.zeros(1, np.intp)
_FIRST.flags.writeable = False
_NOTHING = Hits(np.empty(0, np.intp), np.empty((0, 0), np.float32), np.empty(0, np.int64), np.empty(0, np.int64))
_BLOCK = 64  # values handled at once: enough for numpy, few enough for the processor's cache


def seal(key: bytes, body: bytes) -> bytes:
    """`body` followed by the checksum over key and body."""
    return body + crc32(body, crc32(key)).to_bytes(4, "little")


def unseal(key: bytes, value: bytes) -> bytes | None:
    """What `seal` was given, or None when key and value do not belong together."""
    return value[:-4] if is_whole(key, value) else None


def is_whole(key: bytes, value: bytes) -> bool:
    """Whether `value` was sealed for `key`."""
    return crc32(value, crc32(key)) == _RESIDUE


def is_sound(key: bytes, value: bytes) -> bool:
    """Whether `value` was sealed for `key`, and by a version that is known here."""
    return is_whole(key, value) and value.startswith(_PREFIX)


def is_later(key: bytes, value: bytes) -> bool:
    """Whether `value` was sealed for `key` by a later version, which keeps the first bytes and the checksum."""
    return (
        not value.startswith(_PREFIX) and value[:2] == _PREFIX[:2] and value[2:3] > _PREFIX[2:] and is_whole(key, value)
    )


def age(value: bytes, now: float) -> float:
    """Seconds since a sound value was encoded; never negative, whatever the clock does."""
    return max(0.0, now - int.from_bytes(value[_STORED], "little"))


def seal_width(key: bytes, width: int) -> bytes:
    """A value that has dimensions and no numbers: what a cache holds of a model."""
    return seal(key, _HEAD.pack(_FLOAT32, width, 0, 0, 0))


def width_of(key: bytes, value: bytes) -> int | None:
    """What `seal_width` was given; None for any other value."""
    if len(value) != _OVERHEAD or not is_sound(key, value):
        return None
    return int.from_bytes(value[_WIDTH], "little") or None


def encode_many(
    keys: Sequence[bytes],
    vectors: Vectors,
    tokens: Sequence[int],
    before: Sequence[int],
    dtype: StorageType = "float32",
    *,
    now: float | None = None,
) -> dict[bytes, bytes]:
    """One sealed value a key. `now` is the time of storing, in seconds."""
    count, width = vectors.shape
    if not len(keys) == count == len(tokens) == len(before):  # numpy would repeat the one vector it was given
        raise ValueError(f"{len(keys)} keys, {count} vectors, {len(tokens)} and {len(before)} numbers of tokens")
    stored = int(time.time() if now is None else now)
    items: dict[bytes, bytes] = {}
    with np.errstate(all="ignore"):  # odd numbers are found when they are read
        for at in range(0, len(keys), _BLOCK):
            block = slice(at, at + _BLOCK)
            formats, numbers = (dtype == "float16" and _narrow(vectors[block])) or (_FLOAT32, vectors[block])
            records = np.empty(len(keys[block]), _record(numbers.dtype, width))
            records["format"], records["width"], records["stored"] = formats, width, stored
            records["tokens"], records["before"] = tokens[block], before[block]
            records["vector"] = numbers
            raw, size = records.view(np.uint8).data, records.itemsize
            values = [raw[start : start + size] for start in range(0, len(raw), size)]
            records["crc"] = [crc32(value[:-4], crc32(key)) for key, value in zip(keys[block], values, strict=True)]
            items.update(zip(keys[block], map(bytes, values), strict=True))
    return items


def _narrow(vectors: Vectors) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float16]] | None:
    """Formats and numbers as float16; None where a number would be off by more than 1 part in 2048."""
    _, exponents = np.frexp(np.abs(vectors).max(axis=1, initial=0))
    scales = np.clip(15 - exponents, 0, _MOST_SCALE)
    formats = (_SCALED + _FORM * scales.astype(np.int64)).astype(np.uint32)
    halves = (vectors * np.ldexp(np.float32(1), scales)[:, np.newaxis]).astype(_HALF)
    close = np.abs(_widen(halves, formats) - vectors) <= np.abs(vectors) / 2048
    return (formats, halves) if close.all() else None


def _widen(halves: npt.NDArray[np.float16], formats: npt.NDArray[np.uint32]) -> Vectors:
    """What `_narrow` was given, nearly."""
    scales = np.where(formats == _UNSCALED, 0, formats.astype(np.int64) // _FORM - _SCALED // _FORM)
    return np.multiply(halves, np.ldexp(np.float32(1), -scales)[:, np.newaxis], dtype=np.float32)


def _trusted(formats: npt.NDArray[np.uint32], vectors: Vectors, kind: np.dtype[np.floating]) -> npt.NDArray[np.bool_]:
    """Which rows were written as this kind of numbers, and have not lost their direction on the way."""
    if kind is _SINGLE:
        return formats == _FLOAT32  # type: ignore[no-any-return]
    scaled = (formats % _FORM == _SCALED % _FORM) & (formats >= _SCALED) & (formats <= _SCALED + _FORM * _MOST_SCALE)
    usual = np.abs(vectors).max(axis=1, initial=0) >= np.finfo(np.float16).tiny
    return scaled | ((formats == _UNSCALED) & usual)  # type: ignore[no-any-return]


def decode_many(
    keys: Sequence[bytes],
    found: Mapping[bytes, bytes],
    width: int | None = None,
    *,
    exact: bool = False,
    out: Vectors | None = None,
) -> Hits:
    """The vectors in `found` as one matrix, without values that are damaged, not finite or of an unknown version.

    Args:
        keys: decides the rows' numbers.
        found: key → sealed value.
        width: dimensions; other values are left out. None: those of the first sound value.
        exact: leave out values in float16, which are rounded.
        out: a matrix of at least as many rows to decode into; the result is a view of it, or a copy where something
            was left out.
    """
    if len(keys) == 1:
        return as_hits(decode_one(keys[0], found.get(keys[0], b""), width, exact=exact))
    by_size: dict[int, list[int]] = {}
    for row, key in enumerate(keys):
        if (value := found.get(key)) is not None:
            by_size.setdefault(len(value), []).append(row)
    if width is None:
        first = next((found[key] for key in keys if key in found and is_sound(key, found[key])), b"")
        width = int.from_bytes(first[_WIDTH], "little")
    kinds = {kind.itemsize * width + _OVERHEAD: kind for kind in (_SINGLE, _HALF)[: 1 if exact else 2] if width}
    groups = [(rows, kinds[size]) for size, rows in by_size.items() if size in kinds]
    place = out if len(groups) == 1 else None
    return _join([_decode(keys, found, rows, kind, width=width, out=place) for rows, kind in groups])


def decode_pieces(
    keys: Sequence[bytes], pieces: Iterable[Mapping[bytes, bytes]], width: int | None = None, *, exact: bool = False
) -> Hits:
    """`decode_many` of values that come in pieces, rows in the order of the pieces.

    One piece of values is in memory at a time, and all vectors once.
    """
    places: dict[bytes, list[int]] = {}
    for row, key in enumerate(keys):
        places.setdefault(key, []).append(row)
    vectors, count = np.empty((0, 0), np.float32), 0
    parts: list[tuple[npt.NDArray[np.int64], ...]] = []
    for found in pieces:
        here = [row for key in found for row in places.pop(key, ())]
        out = vectors[count:] if parts else None
        part = decode_many([keys[row] for row in here], found, width, exact=exact, out=out)
        if not len(part.rows):
            continue
        if not parts:
            width = part.vectors.shape[1]
            vectors = np.empty((len(keys), width), np.float32)
        place = vectors[count : count + len(part.rows)]
        if not np.may_share_memory(place, part.vectors):
            place[:] = part.vectors
        count += len(part.rows)
        parts.append((np.array(here, np.intp)[part.rows], part.tokens, part.before))
    if not parts:
        return _NOTHING
    rows, tokens, before = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Hits(rows, vectors[:count], tokens, before)


def decode_one(key: bytes, value: bytes, width: int | None = None, *, exact: bool = False) -> Kept | None:
    """`decode_many` for a single value, as a query needs it: with three calls of NumPy instead of thirty."""
    if len(value) < _OVERHEAD or crc32(value, crc32(key)) != _RESIDUE:
        return None
    form, wide, tokens, before, _ = _HEAD.unpack_from(value)
    if not wide or wide != (width or wide):
        return None
    if form != _FLOAT32 or len(value) != wide * _SINGLE.itemsize + _OVERHEAD:
        if exact or len(value) != wide * _HALF.itemsize + _OVERHEAD:
            return None
        hits = _decode([key], {key: value}, [0], _HALF, width=wide, out=None)
        return (hits.vectors, tokens, before) if len(hits.rows) else None
    vectors: Vectors = np.ndarray((1, wide), _SINGLE, bytearray(value), _HEAD.size)
    if not _SINGLE.isnative:
        vectors = vectors.astype(np.float32)
    row = vectors[0]
    # A finite sum of squares says the same at half the price; one that is not may be too large only.
    if not isfinite(np.vdot(row, row)) and not np.isfinite(row).all():
        return None
    return vectors, tokens, before


def as_hits(kept: Kept | None) -> Hits:
    """What `decode_one` gives, as `decode_many` would give it."""
    if kept is None:
        return _NOTHING
    vectors, tokens, before = kept
    return Hits(_FIRST, vectors, np.array((tokens,)), np.array((before,)))


@without_warnings
def _decode(
    keys: Sequence[bytes],
    found: Mapping[bytes, bytes],
    rows: list[int],
    kind: np.dtype[np.floating],
    *,
    width: int,
    out: Vectors | None,
) -> Hits:
    """The vectors of `rows`, whose values all have the length of this kind and width, without damaged ones."""
    count = len(rows)
    vectors = np.empty((count, width), np.float32) if out is None else out[:count]
    tokens, before = np.empty(count, np.int64), np.empty(count, np.int64)
    good = np.empty(count, np.bool_)
    for at in range(0, count, _BLOCK):
        block = slice(at, at + _BLOCK)
        names = [keys[row] for row in rows[block]]
        values = [found[name] for name in names]
        records = np.frombuffer(b"".join(values), _record(kind, width))
        formats, numbers = records["format"], records["vector"]
        vectors[block] = _widen(numbers, formats) if kind is _HALF else numbers
        tokens[block], before[block] = records["tokens"], records["before"]
        good[block] = list(map(is_whole, names, values))
        good[block] &= (records["width"] == width) & _trusted(formats, vectors[block], kind)
        good[block] &= np.isfinite(vectors[block]).all(axis=1)
    hits = Hits(np.array(rows, np.intp), vectors, tokens, before)
    return hits if good.all() else _take(hits, np.flatnonzero(good))


def _take(hits: Hits, chosen: npt.NDArray[np.intp]) -> Hits:
    return Hits(hits.rows[chosen], hits.vectors[chosen], hits.tokens[chosen], hits.before[chosen])


def _join(parts: list[Hits]) -> Hits:
    """Several parts as one, rows ascending."""
    parts = [part for part in parts if len(part.rows)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _NOTHING
    columns = zip(*((part.rows, part.vectors, part.tokens, part.before) for part in parts), strict=True)
    hits = Hits(*map(np.concatenate, columns))
    return _take(hits, np.argsort(hits.rows))


@lru_cache(maxsize=64)
def _record(kind: np.dtype[np.floating], width: int) -> np.dtype[np.void]:
    head = [("format", "<u4"), ("width", "<u4"), ("tokens", "<i4"), ("before", "<i4"), ("stored", "<u4")]
    return np.dtype([*head, ("vector", kind, (width,)), ("crc", "<u4")])
