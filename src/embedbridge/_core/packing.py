"""Which texts travel together: as many as the limits let, never more."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from .job import Job
from .lessons import request_limits
from .tokens import estimate_tokens, tally
from .types import Batch, Limits, Route

OPEN = 8
"""Groups of texts that are filled side by side."""


def pack(
    rows: Sequence[int],
    texts: Sequence[str],
    sizes: Sequence[int],
    *,
    limits: Limits,
    route: Route,
    counted: Mapping[int, int],
    alone: Collection[int] = (),
) -> list[Batch]:
    """Batches of `rows` within `limits`.

    Args:
        rows: what to send; positions in `texts`.
        texts: as sent.
        sizes: UTF-8 bytes of each text. A token is at least one byte, so bytes bound tokens from above.
        limits: of one request.
        route: how the texts were routed.
        counted: row → tokens, where someone has counted.
        alone: rows that go by themselves, because they may be refused.
    """
    estimates = {row: counted.get(row) or estimate_tokens(sizes[row]) for row in rows}
    groups: Iterable[list[int]]
    if limits.padded:
        groups = _padded(sorted(rows, key=estimates.__getitem__, reverse=True), estimates, limits)
    else:
        risky = [
            row for row in rows if row in alone or (limits.alone_from is not None and sizes[row] >= limits.alone_from)
        ]
        apart = set(risky)
        bounds = {row: counted.get(row, sizes[row]) for row in rows}
        others = [row for row in rows if row not in apart]
        groups = chain(([row] for row in risky), _summed(others, bounds, sizes, limits))
    return [
        Batch(tuple(texts[row] for row in group), tuple(group), route, sum(estimates[row] for row in group))
        for group in groups
    ]


def row_tokens(job: Job, row: int) -> int:
    """Tokens of a row, as `Batch.tokens` sums them up."""
    return job.counted.get(row) or estimate_tokens(job.sizes[row])


def plan(job: Job, rows: Sequence[int]) -> list[Batch]:
    """The batches that rows of a call are sent in, by what is known of the server by now."""
    counted, alone = job.counted, job.alone
    if len(rows) == 1:  # whatever the limits are
        (row,) = rows
        tokens = counted.get(row) or estimate_tokens(job.sizes[row])
        return [Batch((job.texts[row],), (row,), job.role.route, tokens)]
    return pack(rows, job.texts, job.sizes, limits=request_limits(job), route=job.route, counted=counted, alone=alone)


def halves(job: Job, batch: Batch) -> list[Batch]:
    """A batch as two of half its size; one of a single text as it is."""
    middle, end = len(batch.rows) // 2, len(batch.rows)
    return [part_of(job, batch, rows) for rows in (range(middle), range(middle, end)) if rows]


def part_of(job: Job, batch: Batch, places: Sequence[int]) -> Batch:
    """The texts at these places in a batch as one of their own."""
    rows = tuple(batch.rows[at] for at in places)
    texts = tuple(batch.texts[at] for at in places)
    return Batch(texts, rows, batch.route, sum(tally(job.counted, job.sizes, rows, None)))


def _summed(
    rows: Sequence[int], bounds: Mapping[int, int], sizes: Sequence[int], limits: Limits
) -> Iterator[list[int]]:
    """Each row goes into the first of a few open groups that has room for it: long texts leave gaps in most."""
    groups: list[tuple[list[int], int, int]] = []
    most, largest = limits.tokens or math.inf, limits.size or math.inf
    for row in rows:
        tokens, size = bounds[row], sizes[row]
        fitting = (
            at for at, (_, total, held) in enumerate(groups) if total + tokens <= most and held + size <= largest
        )
        at = next(fitting, len(groups))
        group, total, held = groups.pop(at) if at < len(groups) else ([], 0, 0)
        group.append(row)
        if len(group) == limits.items:
            yield group
            continue
        groups.insert(at, (group, total + tokens, held + size))
        if len(groups) > OPEN:
            yield groups.pop(0)[0]
    yield from (group for group, _, _ in groups)


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
