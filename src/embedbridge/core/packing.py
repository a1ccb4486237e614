"""Which texts travel together: as many as the limits let, never more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from .tokens import estimate_tokens
from .types import Batch, Limits, Route


def pack(
    rows: Sequence[int],
    texts: Sequence[str],
    sizes: Sequence[int],
    *,
    limits: Limits,
    route: Route,
    counted: Mapping[int, int],
) -> list[Batch]:
    """Batches of `rows` within `limits`.

    Args:
        rows: what to send; positions in `texts`.
        texts: as sent.
        sizes: UTF-8 bytes of each text. A token is at least one byte, so bytes bound tokens from above.
        limits: of one request.
        route: how the texts were routed.
        counted: row → tokens, where someone has counted.
    """
    estimates = {row: counted.get(row) or estimate_tokens(sizes[row]) for row in rows}
    groups: Iterable[list[int]]
    if limits.padded:
        groups = _padded(sorted(rows, key=estimates.__getitem__, reverse=True), estimates, limits)
    else:
        risky = [row for row in rows if limits.alone_from is not None and sizes[row] >= limits.alone_from]
        apart = set(risky)
        bounds = {row: counted.get(row, sizes[row]) for row in rows}
        groups = chain(([row] for row in risky), _summed([row for row in rows if row not in apart], bounds, limits))
    return [
        Batch(tuple(texts[row] for row in group), tuple(group), route, sum(estimates[row] for row in group))
        for group in groups
    ]


def _summed(rows: Sequence[int], bounds: Mapping[int, int], limits: Limits) -> Iterator[list[int]]:
    group: list[int] = []
    total = 0
    for row in rows:
        total += bounds[row]
        if group and (len(group) == limits.items or (limits.tokens is not None and total > limits.tokens)):
            yield group
            group, total = [], bounds[row]
        group.append(row)
    if group:
        yield group


def _padded(rows: Sequence[int], estimates: Mapping[int, int], limits: Limits) -> Iterator[list[int]]:
    """`rows` come longest first, so a group's first text is what the others are padded to."""
    group: list[int] = []
    for row in rows:
        wide = group and limits.tokens is not None and estimates[group[0]] * (len(group) + 1) > limits.tokens
        if group and (wide or len(group) == limits.items):
            yield group
            group = []
        group.append(row)
    if group:
        yield group
