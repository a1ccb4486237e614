"""The state of one call: which rows have a vector, which have failed, and what it cost so far."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from embedbridge import events
from embedbridge.errors import (
    EmbeddingError,
    InvalidInputError,
    RequestFailed,
)

from .keys import keys_of
from .patience import Patience
from .seams import Store
from .signals import Signal
from .titles import title_before
from .types import Cut, EmbeddingResult, EndpointUse, Hits, Report, Route, Vectors
from .words import full_name

if TYPE_CHECKING:
    from .endpoints import Endpoint
    from .flights import Ended
    from .look_ups import Missed
    from .prepare import Sheet
    from .shared import Role, Shared

SLACK = 5.0
"""Seconds for what a call does between requests."""


@dataclass(slots=True)
class Job:
    """One call: enter it, run `flow.embed(job)` inside, then take `result()`.

    A row is one distinct text as sent; parts of over-long texts are rows added at the end.
    """

    shared: Shared
    role: Role
    sheet: Sheet
    number: int
    deadline: float | None = None
    """On the embedder's clock."""
    fresh: bool = False
    """Neither read nor write the cache."""
    missed: Missed | None = None
    """The cache was read before the flow began, and does not have the only row under its own key."""
    in_loop: bool = False
    """It is run by tasks of an event loop, which others may hold."""
    report: Report = field(default_factory=Report)
    keys: list[bytes] = field(init=False)
    """Of the rows in the cache."""
    texts: list[str] = field(init=False)
    """What is sent for each row."""
    sizes: list[int] = field(init=False)
    """UTF-8 bytes of each."""
    have: list[bool] = field(init=False)
    table: Vectors = field(init=False)
    counted: dict[int, int] = field(default_factory=dict)
    """Row → tokens that are sent for it, where someone has counted."""
    cuts: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Row → tokens of the text and tokens embedded, for texts longer than the model reads."""
    parent: dict[int, int] = field(default_factory=dict)
    """Row of a part → row of the text that it is a part of."""
    pieces: dict[int, list[int]] = field(default_factory=dict)
    """Row of a text that was split → rows of its parts, in order."""
    replaced: set[int] = field(default_factory=set)
    """Rows of parts that were too long themselves, in whose place others stand."""
    late: list[int] = field(default_factory=list)
    """Rows that were split because the server has refused them, whose parts are still to be asked for."""
    told: dict[int, int] = field(default_factory=dict)
    """Row → tokens of what is sent for it, where the server itself has counted them."""
    measured: set[int] = field(default_factory=set)
    """Rows that were measured by the limit that is known."""
    alone: set[int] = field(default_factory=set)
    """Rows that are sent by themselves, because they may be too long."""
    corrections: dict[int, int] = field(default_factory=dict)
    """Row → how often it was cut or split because the server has refused it."""
    guessed: set[int] = field(default_factory=set)
    """Rows that were cut, and whose tokens before that are an estimate."""
    groped: dict[int, int] = field(default_factory=dict)
    """Row → bytes of what was refused last, where nothing told by how much it was too long."""
    failures: dict[int, EmbeddingError] = field(default_factory=dict)
    stop: EmbeddingError | None = None
    over: Signal = field(default_factory=Signal)
    """Set with `stop`: it ends the pauses of all batches."""
    estimating: bool = False
    """Nothing will be sent; hits in the cache do not count as savings."""
    ended: Ended | None = None
    """What other calls have fetched since the cache was read; None: much may have changed."""
    wanted: set[int] = field(default_factory=set)
    """Rows that are this call's to ask for, without parts."""
    sent: set[int] = field(default_factory=set)
    """Rows that requests were sent for."""
    answered: int = 0
    """Requests answered with vectors."""
    paid: int = 0
    """Tokens of requests that were billed, or may have been."""
    pending: int = 0
    """Tokens that requests under way can cost at most."""
    foreign: set[int] = field(default_factory=set)
    """Rows whose vectors, or those of whose parts, another model seems to have made: they are not stored."""
    refusals: list[RequestFailed] = field(default_factory=list)
    """Of single texts, and not for their length, before anything was answered."""
    patience: Patience | None = field(init=False)
    """For the cache."""
    uses: dict[Endpoint, EndpointUse] = field(default_factory=dict)
    """What the endpoints of a pool did."""
    lock: Any = field(default_factory=threading.RLock)  # see `Flights`
    store: Store | None = field(init=False)
    """The cache, unless this job is to be `fresh`."""
    begun: float = field(init=False)
    """When the call began, on the embedder's clock."""
    heard: bool = field(init=False)
    """Whether anybody takes its events; nobody did a moment ago where a text was looked for before the flow."""

    def __post_init__(self) -> None:
        shared, rules, encoded = self.shared, self.role.rules, self.sheet.encoded
        self.begun, self.heard = shared.clock(), self.missed is None and shared.is_heard()
        self.store = None if self.fresh else shared.store
        # Without a deadline a call waits for its cache as long as it takes.
        self.patience = None if self.deadline is None else Patience(self.left)
        self.keys = keys_of(shared, rules, encoded) if self.missed is None else [self.missed.key]
        self.texts = self.sheet.texts.copy()
        self.sizes = list(map(len, encoded))
        self.have = [False] * len(self.keys)
        self.table = np.zeros((0, 0), dtype=np.float32)

    # The call around its flow.

    def __enter__(self) -> None:
        if self.heard:
            who, listed, unique = self.shared.identity, len(self.sheet.where), len(self.keys)
            told = (self.route.input_type, listed, unique, who.endpoint, self.shared.width)
            self.shared.emit(events.CallStarted(self.number, who.provider, who.model, *told))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        report, shared = self.report, self.shared
        report.texts, report.unique = len(self.sheet.where), len(self.sheet.texts)
        report.empty = self.sheet.empty
        report.seconds = shared.clock() - self.begun
        shared.book(report)
        if kind is not None:
            shared.emit(events.CallFailed(self.number, kind.__name__, report))
        elif self.heard:
            shared.emit(events.CallFinished(self.number, report))

    def end(self) -> None:
        """Complete the report, of a call that is given up, too: texts that were cut, and the cost.

        What is still under way counts at the most that it can cost.
        """
        if self.ended is not None:
            self.shared.flights.unwatch(self.ended)
        report = self.report
        report.misses = len(self.wanted)
        if self.wanted and not all(self.have):  # a call that ended early has not asked for all
            unsent = self.wanted.difference(self.sent)
            report.misses -= sum(
                not (self.have[row] or self.sent.intersection(self.pieces.get(row, ()))) for row in unsent
            )
        if self.cuts:
            indices = enumerate(self.sheet.where.tolist())
            report.cut = tuple(Cut(index, *self.cuts[row]) for index, row in indices if row in self.cuts)
            report.cut_texts = len(report.cut)
        if self.shared.pool is not None:
            for endpoint in self.shared.pool.endpoints:
                self.use_of(endpoint).state = endpoint.state()
            report.endpoints = tuple(map(self.use_of, self.shared.pool.endpoints))
        purse = self.shared.purse
        if purse.priced:
            report.cost = purse.dollars(self.paid + self.pending)
            report.saved = purse.dollars(report.tokens_saved) if report.tokens_saved else 0.0

    def use_of(self, endpoint: Endpoint) -> EndpointUse:
        """What an endpoint did for this call."""
        return self.uses.setdefault(endpoint, EndpointUse(endpoint.name))

    def result(self) -> EmbeddingResult:
        """One vector for each of the caller's texts, zeros for empty ones, and the report. To be called once."""
        where, table, report = self.sheet.where, self.table, self.report
        if len(table) != (rows := len(self.sheet.texts)):
            table = table[:rows]
        if not rows:
            table = np.zeros((0, self.shared.width or 0), dtype=np.float32)
        finished = self.shared.finish(table)
        if report.empty:
            vectors = np.zeros((len(where), finished.shape[1]), dtype=np.float32)
            vectors[where >= 0] = finished[where[where >= 0]]
        else:
            vectors = finished if len(finished) == len(where) else finished[where]
        del self.sheet, self.texts, self.keys, self.sizes  # freed in this thread, and not on an event loop
        return EmbeddingResult(vectors, report)

    @property
    def route(self) -> Route:
        """How the model is told the role."""
        return self.role.route

    # What is known of the rows.

    def head_of(self, text: str) -> str:
        """What each piece of a text begins with: its own title, else the prefix of the role."""
        return title_before(text, self.sheet.titled) or self.route.prefix

    def encoded(self, rows: Iterable[int]) -> list[bytes]:
        """Rows as they were before any cut, in UTF-8."""
        known = self.sheet.encoded
        return [known[row] if row < len(known) else self.texts[row].encode() for row in rows]

    def fill(self, rows: Sequence[int], vectors: Vectors, *, ours: bool = False) -> None:
        """Put vectors into the table, whose width is that of the first ones; `ours` alone may become the table."""
        with self.lock:
            if ours and not len(self.table) and rows == list(range(len(self.keys))):
                self.table, self.have = vectors, [True] * len(self.keys)
                return
            if len(self.table) < len(self.keys):
                table = np.zeros((len(self.keys), vectors.shape[1]), dtype=np.float32)
                if len(self.table):
                    table[: len(self.table)] = self.table
                self.table = table
            self.table[rows] = vectors
            for row in rows:
                self.have[row] = True

    def recall(self, rows: Sequence[int], hits: Hits) -> None:
        """Put hits of the cache into the report."""
        tokens = hits.tokens.tolist()
        self.report.hits += len(rows) if not self.parent else sum(row not in self.parent for row in rows)
        self.report.tokens_saved += sum(kept for kept in tokens if kept > 0)
        for row, kept, whole in zip(rows, tokens, hits.before.tolist(), strict=True):
            if cut := self.shared.cut_of(kept, whole):
                self.cuts[row] = cut

    def bytes_of(self, rows: Iterable[int]) -> int:
        """Bytes of what is sent for rows, together."""
        return sum(self.sizes[row] for row in rows)

    def lacking(self, rows: Iterable[int]) -> list[int]:
        """The parts of rows that have neither a vector nor an error."""
        parts = (part for row in rows for part in self.pieces[row])
        return [part for part in parts if not self.have[part] and part not in self.failures]

    # What went wrong.

    def places(self, rows: Iterable[int]) -> tuple[int, ...]:
        """Indices in the caller's list of rows, or of the texts that they are parts of."""
        return self.sheet.places(self.parent.get(row, row) for row in rows)

    def where(self, *rows: int) -> str:
        """The beginning of an error's message: the model, its address, and the text's index where it is about one."""
        identity = self.shared.identity
        place = self.places(rows)[:1] if len(rows) == 1 else ()
        at = f" at {identity.endpoint}" if identity.endpoint else ""
        return f"{full_name(identity.provider, identity.model)}{at}" + (f", text {place[0]}" if place else "")

    def fail(self, rows: Sequence[int], error: EmbeddingError, *, fatal: bool = False) -> None:
        """Note an error for rows that get no vector; after a `fatal` one, the call sends nothing more."""
        if isinstance(error, InvalidInputError) and error.index is None and len(rows) == 1:
            error.index = self.places(rows)[0]
        with self.lock:
            self.failures.update(dict.fromkeys(rows, error))
            if fatal and self.stop is None:
                self.stop = error
        if fatal:
            self.over.set()

    # What it costs.

    def left(self) -> float | None:
        """Seconds until the deadline, never negative; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - self.shared.clock())

    def out_of_time(self) -> bool:
        """Whether the deadline has come, for a clock that another one's timeout may be a little ahead of."""
        left = self.left()
        return left is not None and left < 0.01

    def timeout(self) -> float:
        """Seconds that a request may take."""
        left = self.left()
        return self.shared.timeout if left is None else min(self.shared.timeout, left)

    def expect(self, seconds: float) -> None:
        """What this call begins now takes at most so many seconds, and what comes next no longer than a request."""
        flights, until = self.shared.flights, self.shared.clock() + seconds + self.shared.timeout + SLACK
        flights.until = max(flights.until, until)

    def text_limit(self) -> int | None:
        """Tokens that are read of one text, as far as it is known."""
        known = (self.shared.limits.text_tokens, self.shared.learnt.text_tokens)
        return min((limit for limit in known if limit is not None), default=None)
