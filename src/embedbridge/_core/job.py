"""The state of one call while its flow runs: which rows have a vector, which have failed, and what it cost so far."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from embedbridge.errors import EmbeddingError, InputTooLongError, InvalidInputError, RequestFailed

from .keys import KeyRules, extend_base, make_keys
from .learnt import FEWEST_RATE, MOST_RATE
from .patience import Patience
from .signals import Signal
from .titles import title_before
from .tokens import OVERHANG, estimate_tokens, most_tokens, tally, utf8_size
from .types import Batch, Cut, Hits, Limits, Reply, Report, Route, Store, Vectors

if TYPE_CHECKING:
    from .flights import Ended
    from .prepare import Sheet
    from .purse import Booking
    from .replies import Sound
    from .setting import Setting
    from .tokens import Measured

SLACK = 5.0
"""Seconds for what a call does between requests."""


@dataclass(slots=True)
class Job:
    """One call's rows. A row is one distinct text as sent; parts of over-long texts are rows added at the end."""

    setting: Setting
    route: Route
    sheet: Sheet
    rules: KeyRules
    """What stands in keys besides the text."""
    number: int
    deadline: float | None = None
    """On the setting's clock."""
    full_width_rules: KeyRules | None = None
    """As `rules`, for the wider vectors that ours may be cut from."""
    fresh: bool = False
    """Neither read nor write the cache."""
    in_loop: bool = False
    """It is run by tasks of an event loop, which others may hold."""
    report: Report = field(default_factory=Report)
    keys: list[bytes] = field(init=False)
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
    patience: Patience = field(init=False)
    """For the cache."""
    lock: Any = field(default_factory=threading.RLock)  # see `Signal`

    def __post_init__(self) -> None:
        self.patience = Patience(self.left)
        self.keys = self.make_keys(self.rules, self.sheet.encoded)
        self.texts = list(self.sheet.texts)
        self.sizes = [len(text) for text in self.sheet.encoded]
        self.have = [False] * len(self.keys)
        self.table = np.zeros((0, 0), dtype=np.float32)

    # What is known of the rows.

    def make_keys(self, rules: KeyRules, encoded: Sequence[bytes]) -> list[bytes]:
        """Cache keys of texts."""
        return self._named(make_keys(rules.base, encoded), rules.long, encoded, self.setting.may_be_cut)

    def former_keys(self, rules: KeyRules, encoded: Sequence[bytes]) -> list[bytes]:
        """Keys under which releases before stored the vectors of texts; none where those would not be ours."""
        if rules.former is None:
            return []
        may_cut = self.setting.may_cut
        return self._named(
            make_keys(rules.former, encoded), rules.former, encoded, lambda text: may_cut(text.decode(), len(text))
        )

    def refused_keys(self, encoded: Sequence[bytes]) -> list[bytes]:
        """Keys of texts that turned out to be too long."""
        return make_keys(self.rules.refused, encoded)

    def stored_keys(self, rows: Sequence[int]) -> list[bytes]:
        """Where the vectors of rows are stored: a cut text's never under the key of the whole text."""
        keys = [self.keys[row] for row in rows]
        short = [at for at, row in enumerate(rows) if row in self.cuts and not self._long(row)]
        for at, key in zip(short, self.refused_keys(self.encoded([rows[at] for at in short])), strict=True):
            keys[at] = key
        return keys

    def head_of(self, text: str) -> str:
        """What each piece of a text begins with: its own title, else the prefix of the role."""
        return title_before(text, self.sheet.titled) or self.route.prefix

    def encoded(self, rows: Iterable[int]) -> list[bytes]:
        """Rows as they were before any cut, in UTF-8."""
        known = self.sheet.encoded
        return [known[row] if row < len(known) else self.texts[row].encode() for row in rows]

    def _long(self, row: int) -> bool:
        return self.setting.may_be_cut(self.encoded([row])[0])

    def _named(
        self, keys: list[bytes], base: bytes, encoded: Sequence[bytes], may_be_cut: Callable[[bytes], bool]
    ) -> list[bytes]:
        """The keys, with those of long texts made anew. Where we cut, they name the tokenizer, which decides where."""
        rows = [row for row, text in enumerate(encoded) if may_be_cut(text)]
        if rows:
            by_model = self.setting.limits.model_truncates
            named = base if by_model else extend_base(base, self.setting.counter().name)
            for row, key in zip(rows, make_keys(named, [encoded[row] for row in rows]), strict=True):
                keys[row] = key
        return keys

    @property
    def store(self) -> Store | None:
        """The cache, unless this job is to be `fresh`."""
        return None if self.fresh else self.setting.store

    def fill(self, rows: Sequence[int], vectors: Vectors) -> None:
        """Put vectors into the table, whose width is that of the first ones."""
        with self.lock:
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
        self.report.hits += sum(row not in self.parent for row in rows)
        self.report.tokens_saved += int(hits.tokens.clip(0).sum())
        long = hits.before > hits.tokens
        means = self.setting.policy == "mean"
        if means and self.setting.limits.text_tokens is not None:
            long |= hits.tokens > self.setting.limits.text_tokens
        for at in np.nonzero(long)[0].tolist():
            kept = int(hits.tokens[at])
            self.cuts[rows[at]] = (kept if means else int(hits.before[at]), kept)

    def assume_cuts(self, rows: Iterable[int]) -> None:
        """Count texts that are too long, by an estimate, as cut to the model's limit."""
        limit = self.setting.limits.text_tokens
        if limit is not None:
            self.counted.update({row: limit for row in rows if estimate_tokens(self.sizes[row]) > limit})

    def cut(self, row: int, found: Measured) -> None:
        """Send only the beginning of a text; where the model itself cuts (`trims`), a little more, see `OVERHANG`."""
        ((text, kept),) = found.parts
        if self.setting.limits.model_truncates:
            text, kept = self.texts[row][: len(text) + OVERHANG], found.read
        self.told.pop(row, None)
        whole = max(found.tokens, self.cuts.get(row, (0, 0))[0])
        self.counted[row], self.cuts[row] = kept, (whole, kept)
        self.texts[row], self.sizes[row] = text, len(text.encode())

    def tell(self, row: int, tokens: int) -> None:
        """Take over what the server says of the tokens of what is sent for a row."""
        self.told[row] = self.counted[row] = tokens
        self.setting.learnt.counted(self.texts[row], self.sizes[row], tokens)

    def learn_from(self, batch: Batch, reply: Reply) -> None:
        """Learn from an answer how large requests may be, and how many tokens a text has that was sent alone."""
        learnt = self.setting.learnt
        size, tokens = self.bytes_of(batch.rows), reply.tokens or 0
        learnt.accepted(len(batch.rows), size)
        learnt.longest = max(learnt.longest, *(self.sizes[row] for row in batch.rows))
        if tokens:
            learnt.billed(size, tokens)
        self._learn_what_fits(batch, size, tokens)
        self._correct_guesses(batch, size, tokens)
        # More than a text may have: the server bills something else than tokens.
        if len(batch.rows) == 1 and 0 < tokens <= (learnt.text_tokens or 0):
            (row,) = batch.rows
            self.tell(row, tokens)
            if row in self.cuts and self.setting.policy == "truncate":
                self.cuts[row] = max(self.cuts[row][0], tokens + 1), tokens
        elif learnt.text_tokens is not None and not learnt.tokenizer:
            learnt.counted_in_total(batch.texts, size, tokens)

    def bytes_of(self, rows: Iterable[int]) -> int:
        """Bytes of what is sent for rows, together."""
        return sum(self.sizes[row] for row in rows)

    def _correct_guesses(self, batch: Batch, size: int, tokens: int) -> None:
        """Estimate cut texts anew, by the tokens of a request with what was kept of them."""
        found = [row for row in batch.rows if row in self.guessed]
        if found and FEWEST_RATE <= tokens / size <= MOST_RATE:
            shares = dict(zip(batch.rows, tally(self.counted, self.sizes, batch.rows, tokens), strict=True))
            for row, whole in zip(found, map(len, self.encoded(found)), strict=True):
                kept = min(shares[row], self.text_limit() or shares[row])
                self.cuts[row] = max(math.ceil(kept * whole / self.sizes[row]), kept + 1), kept

    def outgrows(self, batch: Batch) -> bool:
        """Whether a batch has more texts than any that was accepted, where a batch was refused as a whole before."""
        learnt = self.setting.learnt
        return learnt.refused_whole and 0 < learnt.most_items < len(batch.rows)

    def _learn_what_fits(self, batch: Batch, size: int, tokens: int) -> None:
        """Learn how much is read from texts shortened by trial, unless the limit that is known explains it."""
        found = [row for row in batch.rows if self.parent.get(row, row) in self.groped]
        if not found:
            return
        longest = max(found, key=self.sizes.__getitem__)
        if tokens:
            rate = tokens / size
            if self.groped[self.parent.get(longest, longest)] * rate <= (self.text_limit() or math.inf):
                self.setting.learnt.fitted(math.ceil(rate * self.sizes[longest]))
        elif self.text_limit() is None or self.setting.learnt.proved:
            self.setting.learnt.passed(self.texts[longest], self.sizes[longest])

    def knows_better(self, batch: Batch) -> bool:
        """Whether the server has taught something since a batch was packed by which it should be packed otherwise."""
        learnt = self.setting.learnt
        if learnt.limits_texts() and not self.measured.issuperset(batch.rows):
            return True
        if len(batch.rows) == 1 or learnt.items is learnt.tokens is learnt.size is None:
            return False
        limits, size = self.limits(), self.bytes_of(batch.rows)
        tokens = sum(self.counted.get(row, self.sizes[row]) for row in batch.rows)
        fits = len(batch.rows) <= limits.items and size <= (limits.size or size) and tokens <= (limits.tokens or tokens)
        return not fits

    def split(self, row: int, found: Measured) -> None:
        """Add rows for the parts of a text; those of a part, which the server has refused, take its place."""
        whole = self.parent.get(row, row)
        texts = [text for text, _ in found.parts]
        encoded = [text.encode() for text in texts]
        keys = self.make_keys(self.rules, encoded)
        with self.lock:  # batches that are delivered side by side split texts at the same time
            parts = list(range(len(self.keys), len(self.keys) + len(texts)))
            self.keys += keys
            self.texts += texts
            self.sizes += [len(text) for text in encoded]
            self.have += [False] * len(texts)
            self.counted.update(zip(parts, (tokens for _, tokens in found.parts), strict=True))
            self.parent.update(dict.fromkeys(parts, whole))
            if whole != row:
                self.replaced.add(row)
                at = self.pieces[whole].index(row)
                self.pieces[whole][at : at + 1] = parts
            else:
                self.counted[row], self.cuts[row] = found.tokens, (found.tokens, found.tokens)
                self.pieces[row] = parts

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
        identity = self.setting.identity
        place = self.places(rows)[:1] if len(rows) == 1 else ()
        at = f" at {identity.endpoint}" if identity.endpoint else ""
        return f"{identity.provider}:{identity.model}{at}" + (f", text {place[0]}" if place else "")

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

    def refuse(self, errors: Mapping[int, InputTooLongError]) -> None:
        """Texts longer than the model reads, under `too_long="error"`: nothing is sent."""
        first, index = errors[min(errors)], self.places([min(errors)])[0]
        error = InputTooLongError(
            f"text {index} has {first}; shorten it, or set too_long='truncate' or 'mean'",
            index=index,
            tokens=first.tokens,
            limit=first.limit,
        )
        error.failed_indices = self.places(errors)
        self.fail(list(errors), error, fatal=True)

    def outcome(self) -> EmbeddingError | None:
        """The error that this call ends with, if any: the fatal one, else that of the first row."""
        missing = [row for row, got in enumerate(self.have) if not got and row not in self.replaced]
        if not missing:
            return None
        error = self.stop or (self.failures[min(self.failures)] if self.failures else self._unexplained(missing[0]))
        failed = error.failed_indices or self.places(missing)
        lacking = set(self.places(missing))
        error.failed_indices = failed
        error.completed = tuple(index for index in range(len(self.sheet.where)) if index not in lacking)
        error.provider, error.model = self.setting.identity.provider, self.setting.identity.model
        return error

    def _unexplained(self, row: int) -> EmbeddingError:
        return EmbeddingError(f"{self.where(row)}: neither a vector nor an error came of it, a fault of embedbridge")

    # What it costs.

    def left(self) -> float | None:
        """Seconds until the deadline, never negative; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - self.setting.clock())

    def out_of_time(self) -> bool:
        """Whether the deadline has come, for a clock that another one's timeout may be a little ahead of."""
        left = self.left()
        return left is not None and left < 0.01

    def timeout(self) -> float:
        """Seconds that a request may take."""
        left = self.left()
        return self.setting.timeout if left is None else min(self.setting.timeout, left)

    def expect(self, seconds: float) -> None:
        """What this call begins now takes at most so many seconds, and what comes next no longer than a request."""
        self.setting.flights.expect(self.setting.clock() + seconds + self.setting.timeout + SLACK)

    def text_limit(self) -> int | None:
        """Tokens that are read of one text, as far as it is known."""
        known = (self.setting.limits.text_tokens, self.setting.learnt.text_tokens)
        return min((limit for limit in known if limit is not None), default=None)

    def is_first_contact(self, batches: Sequence[Batch]) -> bool:
        """Whether nobody knows if the server takes requests as large as these."""
        setting = self.setting
        return setting.limits.guessed and not setting.learnt.most_items and len(batches) > 1

    def limits(self) -> Limits:
        """What one request may hold, the provider's own rate bucket and what was learnt included."""
        limits, ceiling = self.setting.learnt.apply(self.setting.limits), self.setting.limiter.token_ceiling()
        if ceiling is None or limits.padded:
            return limits
        return replace(limits, tokens=min(limits.tokens or int(ceiling), int(ceiling)))

    def padded(self, batch: Batch) -> int | None:
        """Tokens of a batch whose texts are padded to the longest; None where they are not."""
        if not self.setting.limits.padded:
            return None
        return len(batch.rows) * max(self.counted.get(row) or estimate_tokens(self.sizes[row]) for row in batch.rows)

    def at_most(self, batch: Batch) -> int:
        """Tokens that a request can cost at most, whatever its texts are."""
        bound = self.setting.bound
        most = (most_tokens(text, utf8_size(text), normalised=bound.normalises) for text in batch.texts)
        return sum(most) + bound.added * len(batch.texts)

    def count(self, batch: Batch) -> int | None:
        """Tokens that a request costs, where the provider's own tokenizer is at hand."""
        counter = self.setting.billed_by()
        return None if counter is None else sum(counter.counts(batch.texts)) + counter.overhead * len(batch.texts)

    def begin(self, booking: Booking) -> None:
        """A request is being sent."""
        booking.sent = True
        with self.lock:
            self.report.requests += 1
            self.pending += booking.at_most

    def settle(self, booking: Booking, tokens: int, told: int | None = None) -> None:
        """A request cost so many tokens, or at most so many; the report tells `told`, if that is another number."""
        if self.setting.purse.settle(booking, tokens) and booking.sent:
            with self.lock:
                self.pending -= booking.at_most
                self.paid += tokens if told is None else told

    def answer(self, batch: Batch, reply: Reply, sound: Sound, tokens: Mapping[int, int]) -> list[int]:
        """Book an answered request; returns the rows that have a sound vector."""
        total = sum(tokens.values()) if reply.tokens is None else reply.tokens
        with self.lock:
            self.answered += 1
            self.report.tokens += total
            self.report.tokens_from = "estimate" if reply.tokens is None else "provider"
            for position, kept in reply.cut.items():
                row = batch.rows[position]
                # At least one token more than was sent: that is how the cache knows a cut text.
                self.cuts.setdefault(row, (max(tokens[row] + 1, estimate_tokens(self.sizes[row])), kept))
        return [batch.rows[position] for position in sound.positions]

    def finish(self) -> None:
        """Complete the report of a call that has ended; what is still under way counts at the most that it can cost."""
        report = self.report
        if self.cuts:
            places = enumerate(self.sheet.where.tolist())
            report.cut = tuple(Cut(index, *self.cuts[row]) for index, row in places if row in self.cuts)
            report.cut_texts = len(report.cut)
        purse = self.setting.purse
        report.cost = purse.dollars(self.paid + self.pending) if purse.priced else None
        report.saved = purse.dollars(report.tokens_saved) if purse.priced else None
