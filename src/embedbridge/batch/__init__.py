"""Batch APIs, at half the price for who can wait a day: hand texts over tonight, and find their vectors in the cache.

from embedbridge.batch import collect, submit

submit(embedder, texts)       # asks for what the cache lacks, and returns at once
collect(embedder)             # tomorrow, from any process: what came back goes into the cache
embedder.embed_documents(texts)  # asks for nothing
"""

from __future__ import annotations

import asyncio
import builtins
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

from embedbridge._batch import collecting
from embedbridge._batch.desk import Desk, open_desk
from embedbridge._batch.handing import HandedOver, hand_over
from embedbridge._batch.ledger import ENDED, Busy, Entry
from embedbridge._batch.statuses import BatchStatus, status_of
from embedbridge._core.prepare import check_container
from embedbridge._core.types import InputType
from embedbridge._run.pool import NO_BATCHES
from embedbridge._run.stored import as_data
from embedbridge._threads.background import run_in_background
from embedbridge.cache import CacheError
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, DeadlineExceededError, EmbeddingError

__all__ = [
    "BatchStatus",
    "Submission",
    "acancel",
    "acollect",
    "alist",
    "astatus",
    "asubmit",
    "cancel",
    "collect",
    "list",
    "status",
    "submit",
]

T = TypeVar("T")

Chosen: TypeAlias = Sequence[str | BatchStatus] | BatchStatus | str | None
"""Batches, or their names at the vendor; None: all."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What `submit` has done."""

    batches: tuple[BatchStatus, ...]
    """Those that were made; none where there was nothing to ask for."""
    texts: int
    """Distinct texts that were handed over; parts of long ones count as such under `too_long="mean"`."""
    pending: int
    """Texts that were on their way already, and were not handed over again."""
    left: int
    """Texts that `queue_tokens` had no room for: submit again once the others are collected."""
    tokens: int
    """Of the texts that were handed over, estimated."""
    cost: float | None
    """Dollars for these; None where the price is not known."""
    ordinary_cost: float | None
    """Dollars that ordinary requests would cost."""


def submit(
    embedder: Embedder,
    texts: Iterable[str],
    *,
    input_type: InputType = "document",
    queue_tokens: int | None = None,
) -> Submission:
    """Hand texts to the provider's batch API: those that neither the cache has nor an earlier batch.

    They are checked, prefixed, cut and made distinct as in an ordinary call. Nothing is ever handed over twice, even
    where this process is killed: the next call finds what was made.

    Args:
        embedder: with a cache on disk or in Redis, where the vectors will be kept.
        texts: read once.
        input_type: their role, as of `Embedder.embed`.
        queue_tokens: tokens that may be on their way together, where the account has such a limit; what goes beyond is
            `left`.

    Returns:
        What was handed over, and what was not.

    Raises:
        ConfigurationError: the provider has no batch API, or the cache is none that another day's process can use.
        InvalidInputError: a text cannot be embedded; nothing was sent.
        BudgetExceededError: the batches could cost more than `max_cost` allows; nothing was sent.
        EmbeddingError: the provider cannot be reached, or refuses.
    """
    if queue_tokens is not None and (type(queue_tokens) is not int or queue_tokens < 1):
        raise ConfigurationError(f"queue_tokens is a whole number above 0, or None; not {queue_tokens!r}")
    listed, deadline = embedder._read(texts)  # noqa: SLF001 - the embedder's own checks and keys
    job = embedder._begin(listed, input_type, deadline)  # noqa: SLF001
    desk = _desk(embedder)
    return _submission(_told(partial(hand_over, desk, job, embedder._threads.run, queue_tokens)))  # noqa: SLF001


def status(embedder: Embedder, batches: Chosen = None) -> builtins.list[BatchStatus]:
    """Ask the vendor how far batches are.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them; None: all.

    Returns:
        One for each, oldest first.

    Raises:
        ConfigurationError: a name is not one that the ledger has, or the provider has no batch API.
        EmbeddingError: the provider cannot be reached, or refuses.
    """
    desk = _desk(embedder)
    return _each(desk, batches, collecting.look)


def collect(
    embedder: Embedder,
    batches: Chosen = None,
    *,
    wait: bool = False,
    timeout: float | None = None,
    again: Iterable[str] | None = None,
    input_type: InputType = "document",
) -> builtins.list[BatchStatus]:
    """Take what came back into the cache: from any process, any day, and as often as you like.

    Every line passes the checks of an ordinary answer. Texts of a batch that has failed, expired or was cancelled, and
    of lines that are missing or wrong, are asked for by the next call that wants them.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them; None: all.
        wait: until all of them have ended.
        timeout: seconds to wait; None: as long as it takes.
        again: texts of which those are handed over anew that are not in the cache by then.
        input_type: their role.

    Returns:
        One for each batch, oldest first.

    Raises:
        DeadlineExceededError: some had not ended after `timeout` seconds; what came back is in the cache.
        EmbeddingError: the provider cannot be reached, or the cache cannot store; nothing is lost.
    """
    if again is not None:
        check_container(again)
    return _collect(_desk(embedder), embedder, batches, wait=wait, timeout=timeout, again=again, input_type=input_type)


def cancel(embedder: Embedder, batches: Chosen = None) -> builtins.list[BatchStatus]:
    """Have batches end early. What is worked out by then is billed, and `collect` takes it in.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them; None: all.

    Returns:
        One for each, oldest first.

    Raises:
        ConfigurationError: a name is not one that the ledger has, or the provider has no batch API.
        EmbeddingError: the provider cannot be reached, or refuses.
    """
    return _each(_desk(embedder), batches, collecting.cancel)


def list(embedder: Embedder) -> builtins.list[BatchStatus]:  # noqa: A001 - as the vendors call it
    """All batches of this embedder, those that have ended too, as they were last heard of. Asks nobody.

    Args:
        embedder: of whose model they are.

    Returns:
        One for each, oldest first.

    Raises:
        ConfigurationError: the provider has no batch API.
    """
    return [status_of(entry) for entry in _desk(embedder).entries()]


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
    listed = builtins.list(texts)  # they may be bound to this thread
    return await run_in_background(partial(submit, embedder, listed, input_type=input_type, queue_tokens=queue_tokens))


async def astatus(embedder: Embedder, batches: Chosen = None) -> builtins.list[BatchStatus]:
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
) -> builtins.list[BatchStatus]:
    """`collect` as a coroutine; when it is cancelled, it takes in nothing more.

    Args:
        embedder: of whose model they are.
        batches: those, or the vendor's names of them; None: all.
        wait: until all of them have ended.
        timeout: seconds to wait; None: as long as it takes.
        again: texts of which those are handed over anew that are not in the cache by then.
        input_type: their role.

    Returns:
        One for each, oldest first.

    Raises:
        EmbeddingError: as `collect`.
    """
    if again is not None:
        check_container(again)
        again = builtins.list(again)
    desk = await run_in_background(partial(_desk, embedder))
    step = partial(_collect, desk, embedder, batches, wait=wait, timeout=timeout, again=again, input_type=input_type)
    try:
        return await run_in_background(step)
    except asyncio.CancelledError:
        desk.stop.set()
        raise


async def acancel(embedder: Embedder, batches: Chosen = None) -> builtins.list[BatchStatus]:
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


async def alist(embedder: Embedder) -> builtins.list[BatchStatus]:
    """`list` as a coroutine.

    Args:
        embedder: of whose model they are.

    Returns:
        One for each, oldest first.

    Raises:
        ConfigurationError: as `list`.
    """
    return await run_in_background(partial(list, embedder))


def _desk(embedder: Embedder) -> Desk:
    parts, shared = embedder._parts, embedder._start(None)  # noqa: SLF001 - our own
    if parts.members:
        raise ConfigurationError(f"endpoints: {NO_BATCHES}")
    made_by = json.dumps(as_data(embedder), sort_keys=True)
    return open_desk(parts.provider, shared, parts.cache, made_by)


def _collect(
    desk: Desk,
    embedder: Embedder,
    batches: Chosen,
    *,
    wait: bool,
    timeout: float | None,
    again: Iterable[str] | None,
    input_type: InputType,
) -> builtins.list[BatchStatus]:
    end = None if timeout is None else time.monotonic() + timeout
    found = _each(desk, batches, collecting.collect)
    for pause in collecting.pauses():
        waiting = [each for each in found if not each.ended]
        if not (wait and waiting):
            break
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            raise DeadlineExceededError(f"{desk.where}: {len(waiting)} batches have not ended after {timeout} s")
        desk.sleep(pause if left is None else min(pause, left))
        found = _each(desk, [each.id for each in found if each.id], collecting.collect)
    if again is not None:
        submit(embedder, again, input_type=input_type)
        found += [each for each in list(embedder) if not each.ended and each not in found]
    return found


def _each(desk: Desk, batches: Chosen, step: Callable[[Desk, Sequence[Entry]], None]) -> builtins.list[BatchStatus]:
    """Do something with batches, and tell what has become of them."""
    with suppress(Busy):  # another process is handing over, and sees to them
        _told(partial(collecting.find_lost, desk))
    listed = [batches] if isinstance(batches, str | BatchStatus) else batches
    names = None if listed is None else [each.id if isinstance(each, BatchStatus) else each for each in listed]
    entries = [entry for entry in collecting.chosen(desk, names) if names is not None or entry.stage != ENDED]
    _told(partial(step, desk, entries))
    tags = [entry.tag for entry in entries]
    return [status_of(entry) for entry in desk.entries() if entry.tag in tags]


def _told(step: Callable[[], T]) -> T:
    """Do something with the ledger. Raises `EmbeddingError` where it cannot be used."""
    try:
        return step()
    except (CacheError, OSError, sqlite3.Error) as error:
        raise EmbeddingError(f"the ledger of batches, beside the cache, cannot be used: {error}") from error


def _submission(done: HandedOver) -> Submission:
    batches = tuple(map(status_of, done.entries))
    priced = [each for each in batches if each.cost is not None and each.saved is not None]
    cost = sum(each.cost or 0.0 for each in priced) if len(priced) == len(batches) else None
    saved = sum(each.saved or 0.0 for each in priced)
    return Submission(
        batches, done.texts, done.pending, done.left, done.tokens, cost, None if cost is None else cost + saved
    )
