"""What the calls of `embedbridge.batch` are made of."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from embedbridge._batch import collecting
from embedbridge._batch.answers import TornFileError
from embedbridge._batch.desk import Desk, open_desk
from embedbridge._batch.handing import HandedOver, hand_over
from embedbridge._batch.ledger import ENDED, Entry
from embedbridge._batch.statuses import LOST, BatchStatus, status_of
from embedbridge._core.types import InputType
from embedbridge._run.pool import NO_BATCHES
from embedbridge._run.stored import FINGERPRINT, as_data
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, DeadlineExceededError, EmbeddingError

Chosen: TypeAlias = Sequence[str | BatchStatus] | BatchStatus | str | None
"""Batches, or their names at the vendor; None: all."""
DERIVED = ("reduction", "normalize", FINGERPRINT)
"""Options that come after the vectors of a batch, which are stored as the provider gives them."""
UNWRITTEN = ("query",)
"""Options of a provider that may hold a secret: who collects gives them, as headers and keys."""


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


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of texts; each is named by its index in the caller's list."""

    indices: tuple[int, ...]
    """Those that were handed over."""
    kept_back: tuple[int, ...]
    """Those that neither the cache has nor a batch, and that were not to be handed over."""
    waiting: int
    """Distinct texts that batches have, or that there is no room for."""


def desk_of(embedder: Embedder) -> Desk:
    """The desk of an embedder, for a call that begins now. Raises `ConfigurationError` where there is none."""
    if not isinstance(embedder, Embedder):
        told = "; give its .embedder" if isinstance(getattr(embedder, "embedder", None), Embedder) else ""
        raise ConfigurationError(f"embedder: give an Embedder, not {type(embedder).__name__}{told}")
    deadline = embedder._deadline()  # noqa: SLF001 - our own
    parts, shared = embedder._parts, embedder._start(deadline)  # noqa: SLF001 - our own
    if parts.members:
        raise ConfigurationError(f"endpoints: {NO_BATCHES}")
    data: dict[str, Any] = as_data(embedder) | {"dimensions": embedder.options.dimensions}
    own = {name: value for name, value in data.get("provider_options", {}).items() if name not in UNWRITTEN}
    data["provider_options"] = own or None
    made_by = {name: value for name, value in data.items() if name not in DERIVED and value is not None}
    return open_desk(parts.provider, shared, parts.cache, json.dumps(made_by, sort_keys=True), deadline)


def submit_texts(
    embedder: Embedder, texts: Iterable[str], input_type: InputType, queue_tokens: int | None, first: int = 0
) -> Submission:
    """Read texts, of which the first is text `first` of the caller's, and hand them over."""
    desk = desk_of(embedder)
    listed, deadline = embedder._read(texts, first)  # noqa: SLF001 - the embedder's own checks
    job = embedder._begin(listed, input_type, deadline, first=first)  # noqa: SLF001 - and keys
    done = hand_over(replace(desk, deadline=deadline), job, embedder._threads.run, queue_tokens)  # noqa: SLF001
    return _submission(done)


def hand_over_but(embedder: Embedder, texts: Sequence[str], but: Collection[int], queue_tokens: int | None) -> Handed:
    """Hand documents over as `submit` does, but for some, which are named by their indices."""
    check_queue(queue_tokens)
    listed, deadline = embedder._read(texts)  # noqa: SLF001 - the embedder's own checks
    desk = replace(desk_of(embedder), deadline=deadline)
    job = embedder._begin([*listed], "document", deadline)  # noqa: SLF001 - as in `submit_texts`
    done = hand_over(desk, job, embedder._threads.run, queue_tokens, but)  # noqa: SLF001
    waiting = done.texts + done.pending + done.left
    return Handed(job.places(done.rows), job.places(done.kept_back), waiting)


def do(
    desk: Desk,
    batches: Chosen,
    step: Callable[[Desk, Sequence[Entry]], None],
    besides: Collection[str] = (),
) -> list[Entry]:
    """Do something with batches that have not ended, or with those that are named or tagged; returns them."""
    names, failure = names_of(batches), None
    try:
        if step is not collecting.forget:  # which asks nobody
            collecting.find_lost(desk, watched=not besides)
    except EmbeddingError as error:  # it keeps no other batch waiting
        failure = error
    known = desk.awaited() if step is collecting.collect else desk.entries()
    entries = [
        entry
        for entry in collecting.chosen(desk, known, names)
        if names is not None or entry.stage != ENDED or entry.tag in besides
    ]
    listed = failure is None and step is not collecting.forget
    try:
        step(desk, entries)
    except EmbeddingError as error:
        if isinstance(error, collecting.OF_ALL) and not isinstance(error, TornFileError):
            raise
        failure = error
    collecting.free_money(desk)
    if listed:
        collecting.find_surplus(desk, entries)
    if failure is not None:
        raise failure
    tags = {entry.tag for entry in entries}
    return [entry for entry in desk.awaited() if entry.tag in tags]


def names_of(batches: Chosen) -> list[str] | None:
    """The vendor's names of batches; None: all. Raises `ConfigurationError` for what is none."""
    listed: Any = [batches] if isinstance(batches, str | BatchStatus) else batches
    if listed is None:
        return None
    if not isinstance(listed, list | tuple) or not all(isinstance(each, str | BatchStatus) for each in listed):
        raise ConfigurationError(
            f"batches: give names of batches, what submit returned, or None for all of them, not {batches!r}"
        )
    return [*dict.fromkeys(each.id if isinstance(each, BatchStatus) else each for each in listed)]


def collect_all(desk: Desk, batches: Chosen, *, wait: bool, timeout: float | None) -> list[BatchStatus]:
    """Take in what came back; with `wait`, until nothing is awaited, of what others hand over meanwhile, too."""
    check_wait(wait, timeout)
    end = None if not timeout else time.monotonic() + timeout
    ends = [each for each in (desk.deadline, end) if each is not None]
    timed = replace(desk, deadline=min(ends, default=None))
    try:
        found = do(timed, batches, collecting.collect)
        for pause in collecting.pauses():
            waiting = [each for each in found if each.stage != ENDED and each.state not in LOST]
            if not (wait and waiting):
                break
            left = None if timeout is None else (end or 0.0) - time.monotonic()
            if left is not None and left <= 0:
                raise _too_late(desk, waiting, timeout)
            desk.sleep(pause if left is None else min(pause, left))
            found = do(timed, batches, collecting.collect, {each.tag for each in found})
    except DeadlineExceededError:
        if end is None or time.monotonic() < end:
            raise
        raise _too_late(desk, [each for each in desk.awaited() if each.stage != ENDED], timeout) from None
    return [status_of(each) for each in found]


def _too_late(desk: Desk, waiting: Sequence[Entry], timeout: float | None) -> DeadlineExceededError:
    return DeadlineExceededError(f"{desk.where}: {len(waiting)} batches have not ended after {timeout} s")


def check_wait(wait: object, timeout: object) -> None:
    """Raise `ConfigurationError` for what is no switch, and no number of seconds."""
    if not isinstance(wait, bool):
        raise ConfigurationError(f"wait is True or False; not {wait!r}")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0):
        raise ConfigurationError(f"timeout: seconds, or None for as long as it takes; not {timeout!r}")


def check_queue(queue_tokens: object) -> None:
    """Raise `ConfigurationError` for what is no number of tokens."""
    if queue_tokens is not None and (type(queue_tokens) is not int or queue_tokens < 1):
        raise ConfigurationError(f"queue_tokens is a whole number above 0, or None; not {queue_tokens!r}")


def _submission(done: HandedOver) -> Submission:
    batches = tuple(map(status_of, done.entries))
    priced = [each for each in batches if each.cost is not None and each.saved is not None]
    cost = sum(each.cost or 0.0 for each in priced) if len(priced) == len(batches) else None
    saved = sum(each.saved or 0.0 for each in priced)
    return Submission(
        batches, done.texts, done.pending, done.left, done.tokens, cost, None if cost is None else cost + saved
    )
