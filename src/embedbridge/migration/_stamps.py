"""The guard's files of the three indexes: each says which model may ask that index, at every moment of a switch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from embedbridge._files import replace_file
from embedbridge._frameworks.index_guard import space_file, space_files
from embedbridge._run.watches import MOVING
from embedbridge.errors import ConfigurationError

from ._indexes import Index
from ._journal import State, peek

MARKER = json.dumps({MOVING: True}) + "\n"
"""In place of a vector space: no model may ask this index until the switch is through."""


def guard_of(index: Index) -> str:
    """What the guard is given for the index as it is now; "" where nobody has said it, or its file lies within it."""
    if index.guard is not None:
        return str(index.guard)
    if (state := peek(index.journal)) is not None and state.guard:
        return state.guard
    path = None if index.store.carries_stamp else index.store.guard_path(index.store.name)
    return "" if path is None else str(path.absolute())


def check_guard(index: Index, state: State) -> State:
    """The state; raises `ConfigurationError` where the index is given with another guard than its run was."""
    run_with = Path(state.guard) if state.guard else index.store.guard_path(state.names.current)
    if index.guard not in {None, run_with}:
        raise ConfigurationError(
            f"{index}: its migration was run with guard={str(run_with) if run_with else None!r}, and not with "
            f"{str(index.guard)!r}; give the same, or run it again with this one before a switch"
        )
    check_guard_is_there(index, state)
    return state


def check_guard_is_there(index: Index, state: State) -> None:
    """Raise `ConfigurationError` where what the guard was given lay in a folder that is gone."""
    folder = Path(state.guard).parent
    if state.round and state.guard and not folder.is_dir():
        raise ConfigurationError(
            f"{index}: its migration was run with guard={state.guard!r}, and there is no folder {str(folder)!r} now: "
            "run it again with guard=, the path of today, or, after a switch, move the folder back first"
        )


def guard_of_new(index: Index, state: State) -> Path | None:
    """What the guard is given for the new index, as long as it lies beside the old one."""
    return _beside(index, state, state.names.new)


def stamp_new(index: Index, state: State) -> None:
    """Have the new index asked with its own model only."""
    if (path := guard_of_new(index, state)) is not None:
        put(space_file(path), state.space)


def stamps_of(guard: str) -> dict[str, str]:
    """Path → content of the guard's files; none where it was never called."""
    files = space_files(Path(guard)) if guard else ()
    return {str(file): file.read_text(encoding="utf-8", errors="surrogateescape") for file in files}


def refuse_all(state: State) -> None:
    """Let no model ask the current index, while nobody knows which one it is."""
    for file in _files(state):
        put(Path(file), MARKER)


def stamp_switched(index: Index, state: State) -> None:
    """The current index is the new one; that before, which bears another name, is asked with its own model."""
    if not index.store.carries_stamp or state.guard_said:
        _remove(guard_of_new(index, state))
        old, previous = next(iter(state.stamps.values()), None), _beside(index, state, state.names.previous)
        if old is not None and previous is not None:
            put(space_file(previous), old)
    for file in _files(state):
        put(Path(file), state.space)


def stamp_back(index: Index, state: State) -> None:
    """The current index is the old one again."""
    if not index.store.carries_stamp or state.guard_said:
        _remove(_beside(index, state, state.names.previous))
        stamp_new(index, state)
    for file in _files(state):
        if (old := state.stamps.get(file)) is not None:
            put(Path(file), old)
        else:
            Path(file).unlink(missing_ok=True)


def put(file: Path, content: str) -> None:
    """Write a file of the guard's, whole or not at all. Raises `ConfigurationError`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, lambda stream: stream.write(content.encode("utf-8", "surrogateescape")))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from error


def _files(state: State) -> Iterable[str]:
    """The guard's files of the current index: those that there were, or the one that will be."""
    stamps: Mapping[str, str] = state.stamps
    return stamps or ([str(space_file(Path(state.guard)))] if state.guard else [])


def _beside(index: Index, state: State, name: str) -> Path | None:
    """What the guard is given for an index that is not the current one."""
    if state.guard_said:
        role = "new" if name == state.names.new else "previous"
        return Path(f"{state.guard}-{role}")
    return index.store.guard_path(name)


def _remove(path: Path | None) -> None:
    """Take the guard's file of an index away, and the folder that was made for it."""
    if path is None:
        return
    for file in list(space_files(path)):
        file.unlink(missing_ok=True)
        if file.parent == path and not any(path.iterdir()):
            path.rmdir()
