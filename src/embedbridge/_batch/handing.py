"""Handing texts over: what is missing, packed into lines and files, written down, sent, and made a batch of.

A process may be killed anywhere here. What it has written down and not sent is forgotten by the next one; of a batch
that may have been made, the vendor is asked before anything else is sent.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from hashlib import blake2b
from typing import Any, BinaryIO

from embedbridge import events
from embedbridge._core import flow
from embedbridge._core.bills import count_billed, most_billed
from embedbridge._core.effects import Flow
from embedbridge._core.job import Job
from embedbridge._core.keys import awaited_keys, stored_keys
from embedbridge._core.lessons import request_limits
from embedbridge._core.look_ups import look_up
from embedbridge._core.packing import pack, row_tokens
from embedbridge._core.purse import Booking
from embedbridge._core.types import Batch
from embedbridge.cache import CacheError
from embedbridge.errors import BudgetExceededError, EmbeddingError, InvalidInputError

from .desk import Desk, scratch_file
from .ledger import ENDED, TAKEN_OVER, WRITTEN, Entry, Text
from .making import create, settle

PATIENCE = 600.0
"""Seconds to wait for another process that hands over."""


@dataclass(slots=True)
class File:
    """The lines of one batch, each with its name."""

    lines: list[tuple[str, Batch]] = field(default_factory=list)
    texts: int = 0
    tokens: int = 0
    size: int = 0
    tag: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(slots=True)
class HandedOver:
    """What came of a call."""

    entries: list[Entry] = field(default_factory=list)
    texts: int = 0
    tokens: int = 0
    pending: int = 0
    """Texts that were on their way already."""
    left: int = 0
    """Texts for which the queue has no room."""
    rows: list[int] = field(default_factory=list)
    """Those that were handed over."""
    kept_back: list[int] = field(default_factory=list)
    """Rows that would have been, but for `but`."""


def hand_over(
    desk: Desk, job: Job, run: Callable[[Flow[Any]], Any], queue_tokens: int | None, but: Collection[int] = ()
) -> HandedOver:
    """Hand over what neither the cache has nor a batch.

    Args:
        desk: see there.
        job: of all texts.
        run: runs a flow of the core.
        queue_tokens: so many at most may be on their way.
        but: indices of texts that are not handed over, in the caller's list.

    Raises:
        EmbeddingError: nothing more was handed over; batches that were made before are in the ledger.
    """
    with desk.ledger.submitting(desk.within(PATIENCE)):
        settle(desk)
        done = HandedOver()
        without = {int(job.sheet.where[index]) for index in but}
        rows: list[int] = []
        for row in find_lacking(desk, job, run, done):
            (done.kept_back if job.parent.get(row, row) in without else rows).append(row)
        if queue_tokens is not None:
            refuse_too_large(desk, job, rows, queue_tokens)
        room = None if queue_tokens is None else queue_tokens - on_their_way(desk)
        lines = []
        for batch in into_lines(desk, job, rows, room):
            if room is not None and batch.tokens > room:
                done.left += len(batch.rows)
                continue
            room = None if room is None else room - batch.tokens
            lines.append(batch)
        files = list(into_files(desk, job, lines))
        bookings = book_files(desk, job, files)
        try:
            for file, booking in zip(files, bookings, strict=True):
                entry = send_batch(desk, job, file, booking)
                done.entries.append(entry)
                done.texts, done.tokens = done.texts + entry.texts, done.tokens + entry.tokens
                done.rows += [row for _, batch in file.lines for row in batch.rows]
        except EmbeddingError as error:
            if done.entries:
                names = ", ".join(entry.remote for entry in done.entries)
                error.args = (f"{error} ({done.texts} texts were handed over before it, in {names})",)
            raise
        finally:
            for booking in bookings[len(done.entries) + 1 :]:  # those of files that were not sent any more
                desk.shared.purse.settle(booking, 0)
    return done


def find_lacking(desk: Desk, job: Job, run: Callable[[Flow[Any]], Any], done: HandedOver) -> Sequence[int]:
    """The rows that neither the cache has nor a batch.

    Raises `EmbeddingError` where not all of the cache can be read: what it holds would be paid for again.
    """
    try:
        with desk.store.checked():
            rows = run(flow.find_misses(job))
            keys = awaited_keys(job, rows)
            known = {keys[key] for key in desk.ledger.pending([*keys], stored=True)}
            done.pending = len(known)
            # What another process has taken in since is in the cache: it goes there before it leaves the ledger.
            lacking: Sequence[int] = run(look_up(job, [row for row in rows if row not in known]))
    except CacheError as error:
        told = "the cache cannot be read as a whole, and what it holds would be paid for again: nothing was handed over"
        raise EmbeddingError(f"{desk.where}: {told} ({error}); submit again once the cache works") from error
    return lacking


def refuse_too_large(desk: Desk, job: Job, rows: Sequence[int], queue_tokens: int) -> None:
    """Raise `InvalidInputError` for a text that a queue has no room for even when it is empty."""
    for row in rows:
        if (tokens := row_tokens(job, row)) > queue_tokens:
            (index, *_) = job.places([row])
            told = f"text {index} has about {tokens} tokens, and queue_tokens={queue_tokens} has never room for it"
            raise InvalidInputError(f"{desk.where}: {told}: give a larger number, or leave the text out", index=index)


def on_their_way(desk: Desk) -> int:
    """Tokens of batches that have not ended."""
    return sum(entry.tokens for entry in desk.entries() if entry.stage != ENDED)


def into_lines(desk: Desk, job: Job, rows: Sequence[int], room: int | None) -> list[Batch]:
    """Pack rows as into requests; with little `room`, in tokens, into smaller ones."""
    limits, most = request_limits(job), desk.api.limits.line_texts
    tokens = [each for each in (limits.tokens, room) if each is not None and each > 0]
    limits = replace(limits, items=min(limits.items, most or limits.items), tokens=min(tokens, default=None))
    alone = job.alone | doubtful_rows(job, rows)
    return pack(rows, job.texts, job.sizes, limits=limits, route=job.route, counted=job.counted, alone=alone)


def doubtful_rows(job: Job, rows: Sequence[int]) -> set[int]:
    """Rows that may be too long, where nobody counts exactly. They get lines of their own: a line is refused whole."""
    shared, limit = job.shared, job.text_limit()
    if limit is None:
        return set()
    long = {row for row in rows if shared.may_exceed(job.texts[row], job.sizes[row], limit)}
    return long if long and not shared.counter().exact else set()


def into_files(desk: Desk, job: Job, lines: Sequence[Batch]) -> Iterator[File]:
    """Pack lines into files."""
    own, file = desk.api.limits, File()
    for batch in lines:
        name = blake2b(b"".join(job.keys[row] for row in batch.rows), digest_size=16).hexdigest()
        size, texts = len(written(desk, name, batch)), file.texts + len(batch.rows)
        if file.lines and (texts > own.texts or len(file.lines) == own.lines or file.size + size > own.size):
            yield file
            file = File()
        file.lines.append((name, batch))
        file.texts, file.tokens, file.size = file.texts + len(batch.rows), file.tokens + batch.tokens, file.size + size
    if file.lines:
        yield file


def written(desk: Desk, name: str, batch: Batch) -> bytes:
    """A line of a file."""
    return json.dumps(desk.api.line(name, batch), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def book_files(desk: Desk, job: Job, files: Sequence[File]) -> list[Booking]:
    """Book files at the most that they can cost. Raises `BudgetExceededError`, with nothing booked, nor sent."""
    purse, share = desk.shared.purse, desk.api.share
    bookings: list[Booking] = []
    for file in files:
        at_most = file.tokens if purse.limit is None else sum(most_billed(job, batch) for _, batch in file.lines)
        most = _at_the_share(at_most, share)
        booked = purse.book(most)
        if not isinstance(booked, Booking):
            exact = [count_billed(job, batch) for _, batch in file.lines]
            most = most if None in exact else _at_the_share(sum(filter(None, exact)), share)
            booked = purse.book(most)
        if not isinstance(booked, Booking):
            for booking in bookings:
                purse.settle(booking, 0)
            raise BudgetExceededError(
                f"{desk.where}: {purse}, and this batch can cost up to {purse.tell(most)}; none of these texts "
                "was handed over, raise max_cost"
            )
        bookings.append(booked)
    return bookings


def _at_the_share(tokens: int, share: Fraction) -> int:
    """Tokens that cost as much in ordinary requests."""
    return math.ceil(tokens * share)


def send_batch(desk: Desk, job: Job, file: File, booking: Booking) -> Entry:
    """Write a batch down, send its file, and have it made."""
    ledger, shared = desk.ledger, desk.shared
    entry = _entry(desk, job, file)
    try:
        ledger.write_down(entry, _texts(job, file))
        with scratch_file(desk) as lines:
            for name, batch in file.lines:
                lines.write(written(desk, name, batch))
            remote_file = desk.persist(lambda: _upload(desk, file, lines))
        ledger.creating(file.tag)
    except BaseException:
        shared.purse.settle(booking, 0)
        ledger.drop(file.tag)
        raise
    shared.purse.keep(booking, file.tag)
    remote = create(desk, file.tag, remote_file, file.lines[0][1])
    if not ledger.made(file.tag, remote.id, remote.state):  # this machine slept, and another took over
        desk.persist(lambda: desk.api.cancel(remote.id, timeout=desk.timeout))
        raise EmbeddingError(f"{desk.where}: {TAKEN_OVER}")
    cost = None if entry.price is None else entry.tokens * entry.price * entry.share / 1e6
    identity = shared.identity
    shared.emit(events.BatchHandedOver(identity.provider, identity.model, remote.id, entry.texts, entry.tokens, cost))
    return replace(entry, remote=remote.id, state=remote.state)


def _upload(desk: Desk, file: File, lines: BinaryIO) -> str:
    lines.seek(0)
    found: str = desk.api.upload(f"embedbridge-{file.tag}", lines, size=file.size, timeout=desk.timeout)
    return found


def _entry(desk: Desk, job: Job, file: File) -> Entry:
    identity = desk.shared.identity
    price = desk.shared.purse.dollars(1_000_000) if desk.shared.purse.priced else None
    return Entry(
        tag=file.tag,
        identity=identity.fingerprint,
        model=f"{identity.provider}:{identity.model}",
        role=job.route.input_type,
        made_by=desk.made_by,
        stage=WRITTEN,
        at=time.time(),
        remote="",
        state="",
        reason="",
        texts=file.texts,
        lines=len(file.lines),
        tokens=file.tokens,
        stored=0,
        billed=0,
        price=price,
        share=float(desk.api.share),
    )


def _texts(job: Job, file: File) -> Iterator[Text]:
    for name, batch in file.lines:
        for position, (row, kept_under) in enumerate(zip(batch.rows, stored_keys(job, batch.rows), strict=True)):
            whole = job.cuts[row][0] if row in job.cuts else None
            yield Text(job.keys[row], name, position, kept_under, job.sizes[row], job.counted.get(row), whole)
