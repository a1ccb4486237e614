"""An index moves to another model: planned, measured, built beside the old one, switched, and switched back.

from embedbridge.migration import back, check, plan, run, switch

print(plan("chroma:folder#docs", new))   # what it will cost, and how long it will take
run("chroma:folder#docs", new)           # beside the old index, which stays as it is; again, for what has changed since
print(check("chroma:folder#docs", new))
switch("chroma:folder#docs")             # and back("chroma:folder#docs"), until the old one is deleted
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from embedbridge._core.space import VectorSpace
from embedbridge._threads.background import run_in_background
from embedbridge.collection import Collection
from embedbridge.embedder import Embedder

from . import _switching
from ._building import Outcome
from ._checking import Check, examine
from ._following import Following, T
from ._indexes import Address, Index, open_index, opened
from ._measuring import Bench, Example, measured
from ._planning import Plan, planned
from ._running import Progress, Running
from ._switching import Switched

__all__ = [
    "Bench",
    "Check",
    "Example",
    "Index",
    "Outcome",
    "Plan",
    "Switched",
    "aback",
    "acheck",
    "aplan",
    "arun",
    "aswitch",
    "back",
    "bench",
    "check",
    "follow",
    "open_index",
    "plan",
    "run",
    "switch",
]


def plan(index: Address, embedder: Embedder) -> Plan:
    """Work out what a move costs, and how long it takes. Reads all documents; sends and writes nothing.

    Args:
        index: an address such as `docs.jsonl`, `storage` or `chroma:folder#docs`, or what `open_index` gave.
        embedder: of the new model, with a cache on disk or in Redis.

    Returns:
        Counts, tokens and dollars, and what is known of the old model.

    Raises:
        ConfigurationError: it is no index of a known kind, or the embedder has no cache that lasts.
        InvalidInputError: a document has no text, or one that cannot be embedded.
    """
    with opened(index) as found:
        return planned(found, embedder)


def bench(
    old: Embedder,
    new: Embedder,
    *,
    data: Collection | str | Path | None = None,
    index: Address | None = None,
    queries: Iterable[str] | None = None,
    sample: int = 1000,
) -> Bench:
    """Measure the old model and the new one before the move.

    With judgements it is what `embedbridge eval` measures. Without, how far the two models agree: on queries of yours,
    or on the neighbours of documents.

    Args:
        old: of the model that made the index.
        new: of the other model.
        data: documents, queries and judgements, or the folder of their three files.
        index: without `data`: of which documents are drawn.
        queries: with `index`: what users ask; None: 200 of the documents stand in for them.
        sample: with `index`: how many documents are drawn.

    Returns:
        Scores with their intervals, and the queries on which the two agree least.

    Raises:
        ConfigurationError: neither `data` nor `index` is given, or both.
        InvalidInputError: files are missing or malformed, or there is nothing to rank.
        EmbeddingError: a text cannot be embedded.
    """
    return measured(old, new, data, index, queries=queries, sample=sample)


def run(
    index: Address,
    embedder: Embedder,
    *,
    batch: bool = False,
    wait: bool = False,
    queue_tokens: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Build the new index beside the old one. Again, it takes only what has changed.

    It may be cut off at any moment, even by kill -9: the next call goes on, and pays for nothing twice. Nothing of the
    old index is changed. `max_cost` bounds what one embedder spends; `Index.paid` is what runs spent that were cut off.

    Args:
        index: an address, or what `open_index` gave.
        embedder: of the new model, with a cache on disk or in Redis.
        batch: hand the texts to the provider's batch API, and return; a later call collects the vectors and builds.
        wait: with `batch`: until they have come, and build then. Nothing is asked for at the ordinary price.
        queue_tokens: with `batch`: tokens that may be on their way together.
        progress: is called with the documents that are done, and with their number.

    Returns:
        What was done; `waiting` texts keep the index from being built.

    Raises:
        ConfigurationError: it is no index of a known kind, something stands in its place, or there is no cache.
        SpaceMismatchError: it is being moved to another model already.
        BudgetExceededError: the next request could pass `max_cost`; what was embedded is kept.
        EmbeddingError: a text cannot be embedded, or batches have twice not answered it; a switch was cut off, or
            another process is at it.
    """
    return Running(batch, wait, queue_tokens, progress)(index, embedder)


def check(index: Address, embedder: Embedder) -> Check:
    """Compare the new index with the old one, and a sample of its vectors with what the model gives.

    Args:
        index: an address, or what `open_index` gave.
        embedder: of the new model.

    Returns:
        Counts, and sentences that say what is wrong.

    Raises:
        ConfigurationError: the index was never moved.
        SpaceMismatchError: it was moved to another model.
        EmbeddingError: a text of the sample cannot be embedded.
    """
    with opened(index) as found:
        return examine(found, embedder)


def switch(index: Address) -> Switched:
    """Have the index's name mean the new one. What was cut off is completed; what is done already is not done again.

    Args:
        index: an address, or what `open_index` gave.

    Returns:
        Which index is asked now, and the name of the other.

    Raises:
        ConfigurationError: the index was never moved.
        EmbeddingError: documents differ between the two, so that `run` has to take the difference first; nothing was
            changed.
    """
    return _switching.switch(index)


def back(index: Address) -> Switched:
    """Have the index's name mean the old one again: after a switch, or in place of one that was cut off.

    Args:
        index: an address, or what `open_index` gave.

    Returns:
        Which index is asked now, the name of the other, and how many documents were written to that one alone.

    Raises:
        ConfigurationError: the index was never moved.
        EmbeddingError: the old index was deleted.
    """
    return _switching.back(index)


def follow(index: str | os.PathLike[str], make: Callable[[VectorSpace], T]) -> Callable[[], T]:
    """Hold a retriever, or whatever asks an index, that is made anew when the index has moved to another model.

    Args:
        index: what `embedbridge.guard` is given for the index.
        make: is called with the space that the index has, at first and whenever it has become another; opens the index
            with an embedding object of that model.

    Returns:
        A function that gives what was made for the index as it is now. Any thread may call it, before each query.

    Raises:
        ConfigurationError: when it is called, where the guard has never seen the index.
        SpaceMismatchError: when it is called first, in the moment of a switch.
    """
    return Following(index, make)


async def aplan(index: Address, embedder: Embedder) -> Plan:
    """`plan` as a coroutine.

    Args:
        index: as of `plan`.
        embedder: as of `plan`.

    Returns:
        As `plan`.

    Raises:
        EmbeddingError: as `plan`.
    """
    return await run_in_background(partial(plan, index, embedder))


async def arun(
    index: Address,
    embedder: Embedder,
    *,
    batch: bool = False,
    wait: bool = False,
    queue_tokens: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """`run` as a coroutine; when it is cancelled, it ends after the page of documents that it is at.

    Args:
        index: as of `run`.
        embedder: as of `run`.
        batch: as of `run`.
        wait: as of `run`.
        queue_tokens: as of `run`.
        progress: as of `run`; called in a thread.

    Returns:
        As `run`.

    Raises:
        EmbeddingError: as `run`.
    """
    return await Running(batch, wait, queue_tokens, progress).in_background(index, embedder)


async def acheck(index: Address, embedder: Embedder) -> Check:
    """`check` as a coroutine.

    Args:
        index: as of `check`.
        embedder: as of `check`.

    Returns:
        As `check`.

    Raises:
        EmbeddingError: as `check`.
    """
    return await run_in_background(partial(check, index, embedder))


async def aswitch(index: Address) -> Switched:
    """`switch` as a coroutine. What was begun is brought to its end, even when this is cancelled.

    Args:
        index: as of `switch`.

    Returns:
        As `switch`.

    Raises:
        EmbeddingError: as `switch`.
    """
    return await run_in_background(partial(switch, index))


async def aback(index: Address) -> Switched:
    """`back` as a coroutine. What was begun is brought to its end, even when this is cancelled.

    Args:
        index: as of `back`.

    Returns:
        As `back`.

    Raises:
        EmbeddingError: as `back`.
    """
    return await run_in_background(partial(back, index))
