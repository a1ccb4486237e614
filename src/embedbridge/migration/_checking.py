"""`check`: whether the new index has the documents of the old one, and the vectors of the new model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from embedbridge._core.canary import TOLERANCE
from embedbridge._core.words import counted
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, SpaceMismatchError

from ._building import check_kind, embed, names_now
from ._comparing import Comparison, compare
from ._ids import id_faults
from ._indexes import Index, begun
from ._journal import BUILDING, State
from ._stamps import check_guard
from ._stores.base import Row


@dataclass(frozen=True, slots=True)
class Check:
    """What was found. `str()` is a line to read."""

    old: int
    """Documents of the old index."""
    new: int
    """Documents of the new index."""
    missing: int
    """Documents that only the old index has."""
    extra: int
    """Documents that only the new index has."""
    changed: int
    """Documents whose text or metadata differ."""
    ids: tuple[str, ...]
    """Of some that differ."""
    dimensions: int | None
    """Of the new vectors."""
    sampled: int
    """Documents, drawn at random, whose vectors were compared with what the model gives."""
    furthest: float
    """The largest 1 - cosine of these, 0 to 2."""
    faults: tuple[str, ...]
    """What is wrong, in sentences; none: the index can be switched."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def __str__(self) -> str:
        told = (
            f"{self.new:,} of {self.old:,} documents, {self.dimensions} dimensions; {self.sampled} vectors compared "
            f"with the model's, at most {self.furthest:.2g} apart"
        )
        return "\n".join([told, *self.faults])


def examine(index: Index, embedder: Embedder) -> Check:
    """Compare documents, dimensions, and a sample of vectors."""
    check_kind(embedder)
    with begun(index) as (_, state):
        if embedder.space.fingerprint != state.fingerprint:
            raise SpaceMismatchError(f"{index} is moved to {state.model}, and not to {embedder.options.model} as given")
        check_guard(index, state)
        return _examined(index, embedder, state)


def _examined(index: Index, embedder: Embedder, state: State) -> Check:
    store, (old, new) = index.store, names_now(state)
    for name in (old, new):
        if not store.exists(name):
            raise ConfigurationError(f"{index}: there is no index {name!r} to compare")
    found = compare(store, old, new)
    dimensions, sampled, furthest, wide = store.dimensions(new), 0, 0.0, None
    if found.sample:
        vectors = embed(embedder, found.sample).vectors
        wide = vectors.shape[1]
        if dimensions == wide:
            sampled, furthest = _apart(
                found.sample, vectors, dict(store.vectors(new, [row.id for row in found.sample]))
            )
    wrong_ids = filter(None, (id_faults(store, name) for name in (old, new)))
    wrong_files = [
        f"{name} is not in the new index as in the old one; run the migration again"
        for name in store.differing_files(old, new)
    ]
    faults = (*wrong_ids, *wrong_files, *_faults(state, found, (dimensions, wide), furthest))
    return Check(
        found.old,
        found.new,
        found.missing,
        found.extra,
        found.changed,
        found.examples,
        dimensions,
        sampled,
        furthest,
        faults,
    )


def _apart(rows: tuple[Row, ...], ours: np.ndarray, stored: dict[str, object]) -> tuple[int, float]:
    """How many vectors the index has of these, and how far the furthest is from the model's."""
    furthest, sampled = 0.0, 0
    for row, vector in zip(rows, ours.astype(np.float64), strict=True):
        if row.id in stored:
            theirs = np.asarray(stored[row.id], np.float64)
            lengths = float(np.linalg.norm(vector) * np.linalg.norm(theirs))
            alike = float(vector @ theirs) / lengths if lengths else float(np.array_equal(vector, theirs))
            furthest = max(furthest, 1 - alike)  # both are zero for a blank text, under empty="zero"
            sampled += 1
    return sampled, furthest


def _faults(state: State, found: Comparison, widths: tuple[int | None, int | None], furthest: float) -> Iterator[str]:
    if state.stage == BUILDING:
        yield "the last run did not come to its end; run the migration again"
    for count, ids, told in (
        (found.missing, found.ids[0], "only in the old index"),
        (found.extra, found.ids[1], "only in the new index"),
        (found.changed, found.ids[2], "of another text or other metadata in the new index"),
    ):
        if count:
            yield f"{counted(count, 'document')} {told}, such as {', '.join(ids)}; run the migration again"
    if widths[0] != widths[1]:
        yield f"the new index has vectors of {widths[0]} dimensions, and the model gives {widths[1]}"
    if furthest > TOLERANCE:
        yield f"1 - cosine of a vector and what the model gives is {furthest:.2g}, over {TOLERANCE:g}"
