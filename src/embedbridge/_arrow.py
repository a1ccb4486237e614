"""Vectors as a column of Apache Arrow, for Parquet files and Ray datasets."""

from __future__ import annotations

from typing import Any

from ._core.types import Vectors


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
