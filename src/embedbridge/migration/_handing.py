"""`run` by batch: the API is handed what the cache has not, and once more what it did not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from embedbridge import batch as batches
from embedbridge.batch._steps import hand_over_but
from embedbridge.embedder import Embedder
from embedbridge.errors import EmbeddingError

from ._journal import Journal, digest
from ._stores.base import Row, naming

TEXTS = 20_000
"""Texts that are in memory together, and in one batch."""
MOST_TIMES = 2
"""How often a document is handed over that is not answered."""

Pages = Callable[[], Iterator[list[Row]]]
"""Goes through the documents that the new index has not, or has otherwise."""


@dataclass(slots=True)
class _Round:
    """What one look at all documents has come to."""

    handed: int = 0
    waiting: int = 0
    unanswered: list[str] = field(default_factory=list)
    """Documents that were handed over so often that they are not any more."""


def hand_over(journal: Journal, embedder: Embedder, pages: Pages, *, wait: bool, queue_tokens: int | None) -> int:
    """Hand documents over; with `wait`, and what was not answered, until the cache has all.

    Returns:
        How many texts are waited for; 0: the cache has all.

    Raises:
        InvalidInputError: `queue_tokens` has never room for one of the texts.
        EmbeddingError: documents were not answered, however often; or their batches are lost.
    """
    batches.collect(embedder)
    while True:
        done = _go_through(journal, embedder, pages(), queue_tokens)
        if not done.waiting:
            break
        if not done.handed:
            _check_that_some_come(embedder)
        if not wait:
            return done.waiting
        batches.collect(embedder, wait=True)
    if done.unanswered:
        some = ", ".join(map(repr, done.unanswered[:3]))
        raise EmbeddingError(
            f"the batch API was handed {len(done.unanswered)} documents {MOST_TIMES} times and did not answer, such as "
            f"{some}; all others are in the cache. Run the migration once without batch, which asks for these at the "
            "ordinary price, and tells what is wrong with them"
        )
    return 0


def _go_through(journal: Journal, embedder: Embedder, pages: Iterable[list[Row]], queue_tokens: int | None) -> _Round:
    done = _Round()
    for rows in filter(None, pages):
        digests = {row.id: digest(row) for row in rows}
        often = journal.handed_often(digests, MOST_TIMES)
        but = [index for index, row in enumerate(rows) if row.id in often]
        with naming(rows):
            found = hand_over_but(embedder, [row.text for row in rows], but, queue_tokens)
        journal.handed({rows[index].id: digests[rows[index].id] for index in found.indices})
        done.handed += len(found.indices)
        done.waiting += found.waiting
        done.unanswered += [rows[index].id for index in found.kept_back]
    return done


def _check_that_some_come(embedder: Embedder) -> None:
    """Raise where waiting does not help."""
    known = [each for each in batches.list(embedder) if not each.ended]
    if known and all(each.lost for each in known):
        raise EmbeddingError(f"batch {known[0].id} is lost: {known[0].reason}")
