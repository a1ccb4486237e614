"""What is done to a provider's vectors before the caller gets them: cut, reduced, brought to unit length.

None of it costs a request, so none of it is in a cache key.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from embedbridge.errors import ConfigurationError

from .quiet import without_warnings
from .types import Vectors

SMALL = 1e-15
"""Lengths under which float32 does not hold the squares of the numbers."""


class Reduction(Protocol):
    """A fitted reduction, such as a PCA."""

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digits that differ for any two reductions."""
        ...

    def transform(self, vectors: Vectors, /) -> Vectors:
        """Shape `(n, d)` → `(n, d')`."""
        ...


@dataclass(frozen=True, slots=True)
class Finish:
    """The steps, in order. Zero vectors stay zero."""

    cut: int | None = None
    """Keep so many leading numbers, and renormalise unless `normalize` is False."""
    reduction: Reduction | None = None
    normalize: bool | None = None
    narrowed: bool = False
    """The API has narrowed the vectors without renormalising them: it is done here, unless `normalize` is False."""

    @property
    def raw(self) -> bool:
        """Whether vectors are given as the API narrows them, of a length that ours would not have."""
        return self.narrowed and self.normalize is False

    def __call__(self, vectors: Vectors) -> Vectors:
        """Shape `(n, d)` → `(n, d')`, float32."""
        if self.cut is not None and self.cut < vectors.shape[1]:
            vectors = np.ascontiguousarray(vectors[:, : self.cut])
            if self.normalize is not False:
                vectors = unit_length(vectors)
        elif self.narrowed and self.normalize is not False:
            vectors = unit_length(vectors)
        if self.reduction is not None and vectors.shape[1]:
            vectors = self.reduction.transform(vectors)
        return unit_length(vectors) if self.normalize else vectors


@without_warnings
def unit_length(vectors: Vectors) -> Vectors:
    """Each row divided by its length, shape `(n, d)`; rows of zeros stay zero."""
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32, copy=False)
    small = np.flatnonzero(lengths < SMALL)
    lengths[lengths == 0] = 1.0
    units = vectors / lengths
    if small.size:
        doubles = vectors[small].astype(np.float64)
        exact = np.linalg.norm(doubles, axis=1, keepdims=True)
        units[small] = doubles / np.where(exact == 0, 1.0, exact)
    return units


@dataclass(frozen=True, slots=True)
class Width:
    """Who makes vectors narrower: the API (`asked`), or we (`cut`)."""

    asked: int | None = None
    cut: int | None = None


def plan_width(
    dimensions: int | None, *, native: int | None, by_api: bool, trained: Collection[int], model: str, force: bool
) -> Width:
    """Decide who makes vectors `dimensions` wide. Raises `ConfigurationError` where the model does not support it.

    Args:
        dimensions: what the user wants; None: whatever the model gives.
        native: the model's own width, where known.
        by_api: the API reduces this model's vectors itself.
        trained: widths that the model was trained to be cut to.
        model: for the error.
        force: cut anyway, at a loss that nobody has measured.
    """
    if dimensions is None or dimensions == native:
        return Width()
    widest = max([native or 0, *trained])
    if native is not None and dimensions > widest:
        raise ConfigurationError(f"{model} gives {widest} dimensions; dimensions={dimensions} is more than it has")
    if by_api and (not trained or dimensions in trained):
        return Width(asked=dimensions)
    if dimensions in trained or force:
        return Width(cut=dimensions)
    offered = f"it can be cut to {_listed(trained)}" if trained else "it was not trained to be cut"
    raise ConfigurationError(
        f"{model} does not support dimensions={dimensions}: {offered}. Use reduction= with a fitted PCA, "
        "or provider_options={'force_dimensions': True} to cut anyway, at a loss of quality that is not known"
    )


def _listed(widths: Collection[int]) -> str:
    if isinstance(widths, range):
        return f"{widths[0]} … {widths[-1]}" + (f" in steps of {widths.step}" if widths.step > 1 else "")
    return ", ".join(map(str, sorted(widths)))
