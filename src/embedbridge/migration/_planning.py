"""`plan`: what a move will cost and how long it will take, and what is known of the model that is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain

from embedbridge._core.types import Estimate
from embedbridge._core.words import counted, dollars
from embedbridge._run.watches import MOVING
from embedbridge.catalogue import look_up
from embedbridge.embedder import Embedder

from ._building import check_embedder, check_ids, check_there
from ._indexes import Index
from ._journal import peek
from ._stamps import guard_of, stamps_of
from ._stores.base import Store, naming, pages

IN_MEMORY = 5_000
"""Documents whose texts are in memory together."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a move will take. `str()` is a page to read."""

    index: str
    """Its address, without a password."""
    documents: int
    cached: int
    """Of these, documents whose vectors the cache has already."""
    tokens: int
    """Of the others, estimated."""
    requests: int
    """For the others."""
    cost: float | None
    """Dollars by ordinary requests; None where the price is not known."""
    batch_cost: float | None
    """Dollars by the provider's batch API; None where it has none, or the price is not known."""
    seconds: float | None
    """What `tokens_per_minute` and `requests_per_minute` make of it; None where neither was given."""
    old_model: str
    """`provider:model`, as the guard has it; "" where nobody has called the guard."""
    old_dimensions: int | None
    """Of the vectors of the old index."""
    retires: date | None
    """The day from which the old model is served no more; None where none is known."""
    new_model: str
    """`provider:model`."""
    new_index: str
    """The name that the new index will have beside the old one."""
    stage: str
    """How far a move is that has begun; "" where none has."""
    obstacle: str
    """Why this store cannot be switched, and what to do about it; "" where it can."""

    def __str__(self) -> str:
        old = self.old_model or "a model that the guard does not know"
        width = f"{self.old_dimensions} dimensions" if self.old_dimensions else "no vectors"
        rest = self.documents - self.cached
        asked = f"about {counted(self.tokens, 'token')} in {counted(self.requests, 'request')}"
        lines = [
            f"{self.index}: {counted(self.documents, 'document')}, {width}, of {old}",
            *([f"  {old} is served until {self.retires}"] if self.retires else []),
            f"  to {self.new_model}, as {self.new_index}" + (f" ({self.stage})" if self.stage else ""),
            f"  {self.cached:,} in the cache; {counted(rest, 'document')} to embed: {asked}",
            f"  {self._prices()}",
            *([f"  about {self.seconds / 60:,.0f} minutes by your limits"] if self.seconds is not None else []),
            *([f"  {self.obstacle}"] if self.obstacle else []),
        ]
        return "\n".join(lines)

    def _prices(self) -> str:
        if self.cost is None:
            return "no price is known"
        by_batch = "" if self.batch_cost is None else f", {dollars(self.batch_cost)} by batch"
        return f"{dollars(self.cost)} now{by_batch}"


def planned(index: Index, embedder: Embedder) -> Plan:
    """Read all documents, and work out what they cost."""
    check_embedder(embedder)
    store, state, space = index.store, peek(index.journal), embedder.space
    check_there(store, str(index))
    check_ids(store)
    estimates = list(_estimates(store, embedder))
    names = state.names if state is not None and state.fingerprint == space.fingerprint else None
    known, tokens, requests = (
        old_model(index),
        sum(each.tokens for each in estimates),
        sum(each.requests for each in estimates),
    )
    card = look_up(*known) if known else None
    options = embedder.options
    minutes = [
        amount / limit
        for amount, limit in ((tokens, options.tokens_per_minute), (requests, options.requests_per_minute))
        if limit
    ]
    return Plan(
        index=store.shown,
        documents=sum(each.texts for each in estimates),
        cached=sum(each.cached for each in estimates),
        tokens=tokens,
        requests=requests,
        cost=_sum([each.cost for each in estimates]),
        batch_cost=_sum([each.batch_cost for each in estimates]),
        seconds=60 * max(minutes) if minutes else None,
        old_model=":".join(known) if known else "",
        old_dimensions=store.dimensions(store.name),
        retires=card.retires if card is not None else None,
        new_model=f"{space.provider}:{space.model}",
        new_index=(names or store.names(space.fingerprint)).new,
        stage=state.stage if state is not None else "",
        obstacle="" if names else store.why_no_switch(store.names(space.fingerprint)),
    )


def old_model(index: Index, guard: str = "") -> tuple[str, str] | None:
    """Provider and model of the current index, as the guard has them; `guard` is what a journal has of it."""
    path = guard or guard_of(index)
    if not path and index.store.carries_stamp:
        path = str(index.store.guard_path(index.store.name))
    for content in stamps_of(path).values():
        try:
            stored = json.loads(content)
            if MOVING not in stored:
                return str(stored["provider"]), str(stored["model"])
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _estimates(store: Store, embedder: Embedder) -> Iterator[Estimate]:
    for rows in pages(chain.from_iterable(store.rows(store.name)), IN_MEMORY):
        with naming(rows):
            yield embedder.estimate([row.text for row in rows])


def _sum(dollars_of_each: list[float | None]) -> float | None:
    known = [each for each in dollars_of_each if each is not None]
    return sum(known) if len(known) == len(dollars_of_each) else None
