"""`run`: the new index is built beside the old one, and a later run takes the difference only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from embedbridge._batch.desk import ledger_of
from embedbridge._core.types import EmbeddingResult
from embedbridge._run.watches import building
from embedbridge._threads.telling import warn
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, EmbeddingError, InvalidInputError, SpaceMismatchError

from ._handing import TEXTS, hand_over
from ._ids import id_faults
from ._indexes import Index
from ._journal import BACKING, BUILDING, BUILT, SWITCHED, SWITCHING, Journal, State, digest
from ._stamps import check_guard_is_there, guard_of, stamp_new
from ._stores.base import PAGE, Names, Row, Store, naming, pages

NO_CACHE = "a migration that is cut off goes on with the vectors that its cache has: leave cache=False out"

Tell = Callable[[int], object]
"""Is told how many documents are done since the last time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has done."""

    index: str
    """The name of the new index."""
    documents: int
    """Documents of the old index."""
    written: int
    """Of these, documents that were new or changed since the run before, and were written."""
    removed: int
    """Documents that the old index had no more, and that were taken out."""
    requests: int
    """Requests that were sent."""
    tokens: int
    """Tokens that were billed."""
    cost: float | None
    """Dollars for these, without those of batches; None where the price is not known."""
    waiting: int
    """Texts that a batch API has: run again when it has answered, and the index is built. 0: it is built."""


@dataclass(slots=True)
class _Count:
    written: int = 0
    requests: int = 0
    tokens: int = 0
    cost: float | None = 0.0

    def add(self, result: EmbeddingResult) -> None:
        report = result.report
        self.written += len(result.vectors)
        self.requests += report.requests
        self.tokens += report.tokens
        self.cost = None if self.cost is None or report.cost is None else self.cost + report.cost


def build(
    index: Index, embedder: Embedder, tell: Tell, *, batch: bool, wait: bool, queue_tokens: int | None
) -> Outcome:
    """Build the new index, or what of it is missing."""
    check_embedder(embedder)
    if not index.journal.exists():
        check_there(index.store, str(index))
    with Journal(index.journal) as journal:
        state = begin(index, journal, embedder)
        if batch:

            def changed_pages() -> Iterator[list[Row]]:
                return (changed for _, changed in changes(index.store, journal, state, TEXTS))

            if waiting := hand_over(journal, embedder, changed_pages, wait=wait, queue_tokens=queue_tokens):
                documents = index.store.count(state.names.current)
                return Outcome(state.names.new, documents, 0, 0, 0, 0, 0.0, waiting)
        count = _Count()
        seen = 0
        for page, changed in changes(index.store, journal, state, PAGE):
            if changed:
                if not index.store.written_whole:  # an `upsert` that is killed may have taken them out
                    journal.drop([row.id for row in changed])
                _write(index.store, state, changed, _embed(journal, embedder, changed), count)
            if not index.store.written_whole:
                journal.mark({row.id: digest(row) for row in page}, state.round)
            seen += len(page)
            tell(len(page))
            journal.check_process()  # before more is read: a child of a fork reads on in its parent's file
        if not seen:
            raise EmbeddingError(f"{index} has no documents, so there is nothing to move")
        removed = _remove_unseen(index.store, journal, state)
        index.store.commit(state.names.new)
        stamp_new(index, state)
        journal.forget_handed()
        journal.forget_paid()
        journal.write(replace(state, stage=BUILT))
    return Outcome(state.names.new, seen, count.written, removed, count.requests, count.tokens, count.cost, 0)


def check_embedder(embedder: Embedder) -> None:
    """Raise `ConfigurationError` unless its vectors outlive the process."""
    check_kind(embedder)
    cache = embedder._parts.cache  # noqa: SLF001 - our own
    if cache is None:
        raise ConfigurationError(NO_CACHE)
    ledger_of(cache)


def check_kind(embedder: object) -> None:
    """Raise `ConfigurationError` for what is no embedder, such as a model's name."""
    if not isinstance(embedder, Embedder):
        raise ConfigurationError(f"the new model is given as an Embedder, not {type(embedder).__name__}")


# The beginning.


def begin(index: Index, journal: Journal, embedder: Embedder) -> State:
    """The state of this round. Raises `EmbeddingError` where a migration stands that must be ended first."""
    store, state, space = index.store, journal.read(), embedder.space
    if state is not None and state.stage in {SWITCHING, BACKING}:
        raise EmbeddingError(f"{index}: a switch was cut off; `switch` completes it, `back` undoes it")
    if state is not None and state.stage == SWITCHED:
        if store.exists(state.names.previous):
            raise EmbeddingError(
                f"{index} was switched to {state.model}, and the index before is kept as {state.names.previous!r}: "
                "`back` returns to it; delete it to move the index again"
            )
        state = None
    check_there(store, str(index))
    check_ids(store)
    if state is not None and not store.exists(state.names.new):
        journal.forget()
        state = state if state.fingerprint == space.fingerprint else None
    if state is None:
        journal.forget()
        journal.forget_handed()
        state = _first(index, embedder)
    elif state.fingerprint != space.fingerprint:
        raise SpaceMismatchError(
            f"{index} is being moved to {state.model}, as {state.names.new!r}, and not to {embedder.options.model} "
            f"with these options; give the same, or delete {state.names.new!r} first",
        )
    if index.guard is None:
        check_guard_is_there(index, state)
    else:
        state = replace(state, guard=str(index.guard), guard_said=True)
    return journal.write(replace(state, stage=BUILDING, round=state.round + 1))


def check_there(store: Store, shown: str) -> None:
    """Raise `ConfigurationError` where there is no such index."""
    if not store.exists(store.name):
        found = ", ".join(sorted(store.indexes())) or "none"
        raise ConfigurationError(f"{shown}: there is no index {store.name!r}; there is: {found}")


def check_ids(store: Store) -> None:
    """Raise `InvalidInputError` where documents of the current index have no ids of their own."""
    if faults := id_faults(store, store.name):
        raise InvalidInputError(faults)


def _first(index: Index, embedder: Embedder) -> State:
    """The state of a migration that nothing has been done for."""
    store, space = index.store, embedder.space
    names = store.names(space.fingerprint)
    if reason := store.why_no_switch(names):
        raise ConfigurationError(f"{index}: {reason}")
    for name in (names.new, names.previous):
        if store.exists(name):
            raise ConfigurationError(f"{index}: there is an index {name!r} already; delete it, or give it another name")
    guard = guard_of(index)
    if not guard and not store.carries_stamp:
        warn(
            f"{index} has no guard, so who holds it open at the switch goes on with the old model, and may get wrong "
            "answers: give guard=, the path that they give to embedbridge.guard, or stop them before the switch"
        )
    content, model = space.content().decode(), f"{space.provider}:{space.model}"
    return State(BUILDING, store.kind, names, content, space.fingerprint, model, guard)


# The documents.


def changes(store: Store, journal: Journal, state: State, most: int) -> Iterator[tuple[list[Row], list[Row]]]:
    """All documents by pages of `most`, and of these the ones that the new index has not, or has otherwise."""
    for page in pages(chain.from_iterable(store.rows(state.names.current)), most):
        yield page, _changed(store, journal, state, page)


def _changed(store: Store, journal: Journal, state: State, page: list[Row]) -> list[Row]:
    if store.written_whole:
        return page
    ids = [row.id for row in page]
    if journal.seen_already(ids, state.round):  # though `begin` has looked at all ids
        raise EmbeddingError(f"{store.shown} was written to while it was read; run the migration again")
    known = journal.digests(ids)
    return [row for row in page if known.get(row.id) != digest(row)]


def _embed(journal: Journal, embedder: Embedder, rows: Sequence[Row]) -> EmbeddingResult:
    """As `embed`; what it cost is written down, and a child of a fork, as of an observer's, writes nothing."""
    before = embedder.usage.cost or 0.0
    try:
        return embed(embedder, rows)
    finally:
        journal.pay((embedder.usage.cost or 0.0) - before)


def _write(store: Store, state: State, rows: Sequence[Row], result: EmbeddingResult, count: _Count) -> None:
    """Put documents into the new index, which the first of them makes."""
    if not count.written:
        store.create(state.names.new, state.names.current, result.vectors.shape[1])
    store.upsert(state.names.new, rows, result.vectors)
    count.add(result)


def _remove_unseen(store: Store, journal: Journal, state: State) -> int:
    """Take out what the old index has no more."""
    removed, new = 0, state.names.new
    if store.written_whole:
        return removed
    while gone := journal.unseen(state.round, PAGE):
        store.delete(new, gone)
        journal.drop(gone)
        removed += len(gone)
    if store.count(new) != journal.count():  # an application has written to it, before `back`
        foreign: list[str] = []
        for page in store.rows(new):
            ids = [row.id for row in page]
            foreign += {*ids} - {*journal.digests(ids)}
        for some in pages(foreign):
            store.delete(new, some)
        removed += len(foreign)
    return removed


def embed(embedder: Embedder, rows: Sequence[Row]) -> EmbeddingResult:
    """The vectors of documents. An error names the document."""
    with building(), naming(rows):
        return embedder.embed([row.text for row in rows])


def names_now(state: State) -> tuple[str, str]:
    """What the old index and the new one are called at this stage."""
    names: Names = state.names
    return (names.previous, names.current) if state.stage == SWITCHED else (names.current, names.new)
