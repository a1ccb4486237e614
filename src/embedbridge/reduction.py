"""Fewer dimensions by principal components: fitted once on a sample, then applied to queries and documents alike.

Sums are taken in float64 and results are float32, so a vector comes out the same alone and among others. Zero rows,
which mark empty texts, take no part in a fit and stay zero.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ._arrays import as_table, as_vectors, read_rows, refuse_nonfinite, steps
from ._core.prepare import as_path, check_texts
from ._core.quiet import without_warnings
from ._core.types import Vectors
from ._files import open_file, replace_file
from .errors import ConfigurationError, InvalidInputError

__all__ = ["PCA"]

_Doubles: TypeAlias = npt.NDArray[np.float64]

_FORMAT = "embedbridge-pca-1"
_ROWS = 1024  # rows that are widened to float64 at once


class _Axes(NamedTuple):
    """What a fit finds."""

    mean: _Doubles  # (d,)
    components: _Doubles  # (k, d), orthonormal rows
    variance: _Doubles  # (k,), falling
    ratio: _Doubles  # (k,), of the whole variance


class PCA:
    """Principal components of embeddings.

    Args:
        n_components: the dimensions of reduced vectors, at least 1.
        whiten: bring each component to variance 1, so that all weigh alike in cosines and distances.

    Raises:
        ConfigurationError: `n_components` is not a whole number above 0; or something needs a fit and there was none.
    """

    def __init__(self, n_components: int, *, whiten: bool = False) -> None:
        if not isinstance(n_components, int | np.integer) or n_components < 1:
            raise ConfigurationError(f"n_components must be a whole number above 0, not {n_components!r}")
        self.n_components = int(n_components)
        self.whiten = bool(whiten)
        self._axes: _Axes | None = None
        self._projection: tuple[_Doubles, _Doubles] | None = None  # a matrix and a shift, made once

    def __repr__(self) -> str:
        return f"PCA(n_components={self.n_components}, whiten={self.whiten})"

    @without_warnings
    def fit(self, vectors: Any) -> PCA:
        """Find the directions in which `vectors` `(n, d)` vary most. A memory-mapped array is read by chunks.

        Holds a few float64 matrices of `min(n, d)` by `d`, however large n is. The sign of a component is such that its
        largest number is positive.

        Args:
            vectors: `(n, d)`; zero rows are left out.

        Returns:
            This object, fitted.

        Raises:
            InvalidInputError: the sample is too small for `n_components`, does not vary (with `whiten`: not in so many
                directions), or holds NaN or infinity.
        """
        table = as_table(vectors, "vectors")
        width = table.shape[1]
        total, count = np.zeros(width), 0
        for rows in _samples(table):
            total += rows.sum(axis=0)
            count += len(rows)
        if self.n_components > min(count, width) or count == 1:
            raise InvalidInputError(
                f"{self!r} needs at least {max(2, self.n_components)} vectors, not all zero, of at least "
                f"{self.n_components} dimensions; the sample has {count} of {width} dimensions"
            )
        mean = total / count
        variance, directions = (_by_covariance if count >= width else _by_svd)(table, mean, count)
        # Below this is what rounding makes of equal vectors.
        rank = int(np.count_nonzero(variance > max(1e-12 * variance[0], 1e-28 * mean @ mean)))
        if rank < (self.n_components if self.whiten else 1):
            raise InvalidInputError(
                f"{self!r}: the sample varies in {rank} directions only; give more or other vectors"
            )
        components = directions[: self.n_components]
        largest = np.abs(components).argmax(axis=1)
        components = components * np.sign(components[np.arange(len(components)), largest])[:, None]
        variance, ratio = variance[: self.n_components], variance[: self.n_components] / variance.sum()
        self._axes, self._projection = _Axes(mean, components, variance, ratio), None
        return self

    def fit_embedder(self, embedder: Any, texts: Iterable[str]) -> PCA:
        """`fit` on what `embedder` makes of a sample of documents: a few texts per dimension, typical of the corpus.

        Args:
            embedder: an `Embedder`, or any embedding object of LangChain or LlamaIndex.
            texts: the sample.

        Returns:
            This object, fitted.

        Raises:
            ConfigurationError: `embedder` embeds no documents.
            InvalidInputError: as `fit`; or `texts` are no texts.
        """
        for method in ("embed_documents", "get_text_embedding_batch"):
            if (embed := getattr(embedder, method, None)) is not None:
                return self.fit(embed(check_texts(texts)))
        raise ConfigurationError(f"a {type(embedder).__name__} embeds no documents; give an Embedder, or fit on arrays")

    def transform(self, vectors: npt.ArrayLike) -> Vectors:
        """Reduce vectors.

        Args:
            vectors: `(n, d)`, or `(d,)`.

        Returns:
            `(n, n_components)`, or `(n_components,)`, float32.

        Raises:
            ConfigurationError: there was no fit.
            InvalidInputError: vectors of other dimensions, NaN or infinity.
        """
        if self._projection is None:
            axes = self._fitted()
            matrix = (axes.components / self._deviation()[:, None]).T
            self._projection = matrix, -(axes.mean @ matrix)
        return _apply(vectors, *self._projection)

    def inverse_transform(self, reduced: npt.ArrayLike) -> Vectors:
        """Vectors of the former dimensions, less what the components left out.

        Args:
            reduced: `(n, n_components)`, or `(n_components,)`.

        Returns:
            `(n, d)`, or `(d,)`, float32.

        Raises:
            ConfigurationError: there was no fit.
            InvalidInputError: vectors of other dimensions, NaN or infinity.
        """
        axes = self._fitted()
        return _apply(reduced, axes.components * self._deviation()[:, None], axes.mean)

    @property
    def components(self) -> _Doubles:
        """Orthonormal rows, shape `(n_components, d)`."""
        return self._fitted().components

    @property
    def mean(self) -> _Doubles:
        """Shape `(d,)`."""
        return self._fitted().mean

    @property
    def explained_variance(self) -> _Doubles:
        """Variance of the sample along each component, falling, shape `(n_components,)`."""
        return self._fitted().variance

    @property
    def explained_variance_ratio(self) -> _Doubles:
        """The same as a share of the sample's whole variance."""
        return self._fitted().ratio

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that stand for all that decides `transform`."""
        axes = self._fitted()
        digest = hashlib.blake2b(f"{_FORMAT} {axes.components.shape}".encode(), digest_size=8)
        for part in (axes.mean, axes.components, self._deviation()):
            digest.update(np.ascontiguousarray(part, dtype="<f8").tobytes())
        return digest.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write an `.npz` file that holds numbers only.

        Args:
            path: what stands there is replaced at once or not at all.

        Raises:
            ConfigurationError: there was no fit.
        """
        arrays = self._fitted()._asdict()
        replace_file(as_path(path), lambda file: np.savez(file, format=_FORMAT, whiten=self.whiten, **arrays))

    @classmethod
    def load(cls, path: str | Path) -> PCA:
        """Read what `save` wrote; nothing in the file is run.

        Args:
            path: of the file.

        Returns:
            A fitted PCA.

        Raises:
            ConfigurationError: any other file.
        """
        file = as_path(path)
        try:
            whiten, axes = _read(file)
        except Exception as error:  # a damaged or foreign file makes numpy and zipfile raise all kinds
            raise ConfigurationError(f"{path} is not a PCA that can be read here: {error}") from error
        pca = cls(len(axes.components), whiten=whiten)
        pca._axes = axes
        return pca

    def _fitted(self) -> _Axes:
        if self._axes is None:
            raise ConfigurationError(f"{self!r} is not fitted yet: call fit or fit_embedder, or PCA.load a saved one")
        return self._axes

    def _deviation(self) -> _Doubles:
        """What a component is divided by, shape `(n_components,)`."""
        variance = self._fitted().variance
        return np.sqrt(variance) if self.whiten else np.ones_like(variance)


def _samples(table: Any) -> Iterator[_Doubles]:
    """The rows of `table` that are not zero, by chunks."""
    for part in steps(table.shape[0], _ROWS):
        rows = read_rows(table, part, "vectors")
        yield rows[rows.any(axis=1)].astype(np.float64)


def _by_covariance(table: Any, mean: _Doubles, count: int) -> tuple[_Doubles, _Doubles]:
    """Variances, falling, and directions as rows: for samples that are longer than wide."""
    scatter = np.zeros((len(mean), len(mean)))
    for rows in _samples(table):
        centred = rows - mean
        scatter += centred.T @ centred
    variance, directions = np.linalg.eigh(scatter / (count - 1))
    return np.maximum(variance[::-1], 0), directions.T[::-1]


def _by_svd(table: Any, mean: _Doubles, count: int) -> tuple[_Doubles, _Doubles]:
    """The same for samples that are wider than long."""
    centred = np.concatenate([rows - mean for rows in _samples(table)])
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    return singular**2 / (count - 1), directions


@without_warnings
def _apply(vectors: npt.ArrayLike, matrix: _Doubles, shift: _Doubles) -> Vectors:
    array = as_vectors(vectors, "vectors")
    if array.shape[-1] != len(matrix):
        raise InvalidInputError(f"this PCA takes vectors of {len(matrix)} dimensions; these have shape {array.shape}")
    table = np.atleast_2d(array)
    out = np.empty((len(table), len(shift)), np.float32)
    for part in steps(len(table), _ROWS):
        out[part] = table[part].astype(np.float64) @ matrix + shift
    out[~table.any(axis=1)] = 0
    refuse_nonfinite(out, "the reduced vectors")
    return out.reshape(*array.shape[:-1], len(shift))


def _read(path: Path) -> tuple[bool, _Axes]:
    with open_file(path) as opened:
        if not zipfile.is_zipfile(opened):
            raise ValueError("it is no .npz file")  # NumPy would speak of pickles, and how to load them
        opened.seek(0)
        with np.load(opened, allow_pickle=False) as file:
            if str(file["format"]) != _FORMAT:
                raise ValueError(f"its format is {str(file['format'])!r} and this version reads {_FORMAT!r}")
            whiten, axes = file["whiten"], _Axes(*(file[name] for name in _Axes._fields))
    count, width = axes.components.shape
    shapes = ((width,), (count, width), (count,), (count,))
    if whiten.shape or whiten.dtype != np.bool_ or not 1 <= count <= width:
        raise ValueError("its parts do not fit together")
    for array, shape in zip(axes, shapes, strict=True):
        if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
            raise ValueError("its parts do not fit together")
    if axes.variance.min() < 0 or (whiten and axes.variance.min() == 0):
        raise ValueError("its variances are not positive")
    return bool(whiten), axes
