"""`switch` and `back`: names change, and the guard's files with them. What was killed, either call brings to an end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from embedbridge.errors import EmbeddingError

from ._building import check_there
from ._comparing import compare
from ._ids import id_faults
from ._indexes import Address, Index, begun, opened
from ._journal import BACKING, BUILDING, BUILT, SWITCHED, SWITCHING, State
from ._planning import old_model
from ._stamps import check_guard, refuse_all, stamp_back, stamp_switched, stamps_of


@dataclass(frozen=True, slots=True)
class Switched:
    """Which index is asked now."""

    index: str
    """The name that applications open."""
    model: str
    """`provider:model` that it must be asked with; "" where nobody wrote down what the old index was made with."""
    kept: str
    """The name of the index that is not asked now; "" where there is none, because a run wrote nothing yet."""
    left_behind: int = 0
    """Of `back`: documents that were written since the switch, and are in the other index alone."""


def switch(address: Address) -> Switched:
    """Have the current name mean the new index."""
    with opened(address) as index, begun(index) as (journal, found):
        state = check_guard(index, found)
        if state.stage == BUILDING:
            raise EmbeddingError(f"{index}: the new index is not complete; run the migration to its end first")
        if state.stage == BUILT:
            _check_same(index, state)
            state = journal.write(replace(state, stage=SWITCHING, stamps=stamps_of(state.guard)))
        elif state.stage == BACKING:
            state = journal.write(replace(state, stage=SWITCHING))
        if state.stage == SWITCHING:
            refuse_all(state)
            index.store.switch(state.names)
            stamp_switched(index, state)
            journal.write(replace(state, stage=SWITCHED))
    return Switched(state.names.current, state.model, state.names.previous)


def back(address: Address) -> Switched:
    """Have the current name mean the old index again."""
    with opened(address) as index, begun(index) as (journal, found):
        state = check_guard(index, found)
        if state.stage in {BUILDING, BUILT}:
            check_there(index.store, str(index))
            return _old(index, state)
        if state.stage == SWITCHED and not index.store.exists(state.names.previous):
            raise EmbeddingError(f"{index}: there is no way back, because {state.names.previous!r} was deleted")
        names, left = state.names, 0
        if state.stage == SWITCHED and index.store.exists(names.current):
            left = compare(index.store, names.previous, names.current).differing
        state = journal.write(replace(state, stage=BACKING))
        refuse_all(state)
        index.store.back(names)
        stamp_back(index, state)
        journal.forget()  # the next run writes all of them, in place of what was changed since the switch
        journal.write(replace(state, stage=BUILT))
        return _old(index, state, left)


def _old(index: Index, state: State, left: int = 0) -> Switched:
    """The old index is asked, and the new one kept."""
    kept = state.names.new if index.store.exists(state.names.new) else ""
    return Switched(state.names.current, ":".join(old_model(index, state.guard) or ()), kept, left)


def _check_same(index: Index, state: State) -> None:
    """Nothing that was written to the old index since the last run may be lost."""
    for name in (state.names.current, state.names.new):
        if not index.store.exists(name):
            raise EmbeddingError(f"{index}: there is no index {name!r} now; run the migration again, and switch then")
        if faults := id_faults(index.store, name):
            raise EmbeddingError(f"{index}: {faults}; run the migration again, and switch then")
    found = compare(index.store, state.names.current, state.names.new)
    if found.differing:
        raise EmbeddingError(
            f"{index}: {found.differing} documents differ from the new index, such as {', '.join(found.examples)}; run "
            "the migration again, which takes the difference, and switch then"
        )
    if files := index.store.differing_files(state.names.current, state.names.new):
        told = f"{index}: {', '.join(files)} is not in the new index as in the old one"
        raise EmbeddingError(f"{told}; run the migration again, and switch then")
