"""The calls of `embedbridge.batch` as coroutines. They are run in threads of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

from embedbridge._batch.statuses import BatchStatus
from embedbridge._core.prepare import check_container, check_input_type, check_texts
from embedbridge._core.types import InputType
from embedbridge._threads.background import run_in_background
from embedbridge.embedder import Embedder

from . import _calls
from ._calls import cancel, forget, status, submit
from ._steps import Chosen, Submission, collect_all, desk_of


async def asubmit(
    embedder: Embedder,
    texts: Iterable[str],
    *,
    input_type: InputType = "document",
    queue_tokens: int | None = None,
) -> Submission:
    """`submit` as a coroutine. What was begun is brought to its end, even when this is cancelled.

    Args:
        embedder: with a cache on disk or in Redis.
        texts: read once, in this thread.
        input_type: their role.
        queue_tokens: as of `submit`.

    Returns:
        As `submit`.

    Raises:
        EmbeddingError: as `submit`.
    """
    check_container(texts)
    listed = list(texts)  # they may be bound to this thread
    return await run_in_background(partial(submit, embedder, listed, input_type=input_type, queue_tokens=queue_tokens))


async def astatus(embedder: Embedder, batches: Chosen = None) -> list[BatchStatus]:
    """`status` as a coroutine.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them; None: all.

    Returns:
        One for each, oldest first.

    Raises:
        EmbeddingError: as `status`.
    """
    return await run_in_background(partial(status, embedder, batches))


async def acollect(
    embedder: Embedder,
    batches: Chosen = None,
    *,
    wait: bool = False,
    timeout: float | None = None,
    again: Iterable[str] | None = None,
    input_type: InputType = "document",
) -> list[BatchStatus]:
    """`collect` as a coroutine; when it is cancelled, it takes in nothing more.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them; None: all.
        wait: as of `collect`.
        timeout: as of `collect`.
        again: texts of which those are handed over anew that are not in the cache by then.
        input_type: their role.

    Returns:
        One for each, oldest first.

    Raises:
        EmbeddingError: as `collect`.
    """
    check_input_type(input_type)
    if again is not None:
        check_container(again)
        again = await run_in_background(partial(check_texts, list(again)))
    desk = await run_in_background(partial(desk_of, embedder))
    try:
        found = await run_in_background(partial(collect_all, desk, batches, wait=wait, timeout=timeout))
    except asyncio.CancelledError:
        desk.stop.set()
        raise
    if again is not None:
        await asubmit(embedder, again, input_type=input_type)
        known = {each.id for each in found}
        found += [each for each in await alist(embedder) if not each.ended and each.id not in known]
    return found


async def acancel(embedder: Embedder, batches: Chosen = None) -> list[BatchStatus]:
    """`cancel` as a coroutine.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them; None: all.

    Returns:
        One for each, oldest first.

    Raises:
        EmbeddingError: as `cancel`.
    """
    return await run_in_background(partial(cancel, embedder, batches))


async def aforget(embedder: Embedder, batches: Sequence[str | BatchStatus] | BatchStatus | str) -> list[BatchStatus]:
    """`forget` as a coroutine.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them.

    Returns:
        One for each, oldest first.

    Raises:
        ConfigurationError: as `forget`.
    """
    return await run_in_background(partial(forget, embedder, batches))


async def alist(embedder: Embedder) -> list[BatchStatus]:
    """`list` as a coroutine.

    Args:
        embedder: of whose model they are.

    Returns:
        One for each, oldest first.

    Raises:
        ConfigurationError: as `list`.
    """
    return await run_in_background(partial(_calls.list, embedder))
