"""Ties an index to the model that made it, so that querying it with another one is an error instead of bad results.

The first use writes the vector space to a file beside the index; every later use compares it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from embedbridge._core.canary import Canary, read_stored
from embedbridge._files import create_file, replace_file
from embedbridge._run.watches import MOVING, Watch, watched_with
from embedbridge._threads.telling import warn
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, SpaceMismatchError

if TYPE_CHECKING:
    from .face import Face

Using = TypeVar("Using")

NAME = "embedbridge-space.json"
"""The file in the folder of an index."""
ENDING = ".embedbridge-space.json"
"""Added to the name of an index that is one file."""

HOLDERS = ("embeddings", "embedding", "vectorstore", "_embed_model", "retriever")
"""Attributes under which the frameworks' objects hold their embedding object, or another object that holds it."""
MOST_STEPS = 4
"""Objects to look through for an embedder."""


def guard(index: str | os.PathLike[str], using: Using, *, canary: bool = False, today: date | None = None) -> Using:
    """Check that an index is used with the embedder that it was made with.

    The first call stores the vector space of `using` beside the index, which is assumed to be made with it. Delete that
    file when you rebuild the index with another model. From then on, `using` looks at that file at each query and each
    write, and refuses both when the index has moved to another model: by `embedbridge migrate switch` of any process
    that shares the file, or because it was built anew. What it looks for is an object's own: give each index an object
    of its own, such as `embedder.as_langchain()` makes over one embedder.

    Args:
        index: where the index is kept: a folder (Chroma's, FAISS's or LanceDB's, LlamaIndex's `persist_dir`), or a
            file. For an index on a server, any path of yours that represents it. A folder is made where there is none.
        using: what is to query or fill it: an `Embedder`, our class of either framework, a LangChain vector store or
            retriever, a LlamaIndex index, retriever or query engine.
        canary: also store canary vectors at the first call with this on, and compare them later. That sends six short
            texts to the provider, and notices a model that has changed though its name has not.
        today: the day on which to look whether the model is retired, or will be within 90 days, which is warned of;
            None: today.

    Returns:
        `using`, so that the call can stand in its place.

    Raises:
        SpaceMismatchError: the index was made by another model, or with other options; `.parts` names them.
        ConfigurationError: `using` does not embed with embedbridge, or the file cannot be written.
    """
    if not isinstance(index, str | os.PathLike) or not os.fspath(index):
        raise ConfigurationError(f"say where the index is kept, not {index!r}")
    if not isinstance(canary, bool) or not isinstance(today, date | None):
        told = f"canary: write True or False, not {canary!r}" if not isinstance(canary, bool) else "today: give a date"
        raise ConfigurationError(told)
    place, holder = Path(index), find_holder(using)
    embedder = holder if isinstance(holder, Embedder) else holder.embedder
    card = embedder.describe().card
    if card is not None and (told := card.retirement(today or datetime.now(UTC).date())):
        warn(f"{index}: {told}", stacklevel=2)
    if not any(space_files(place)) and _store_first(place, embedder, canary=canary):
        _watch(place, holder, embedder)
        return using
    kept = list(space_files(place))
    if any(map(_is_moving, kept)):
        raise SpaceMismatchError(
            f"{index} is being moved to another model, and the switch was cut off: `embedbridge migrate switch` "
            "completes it, `embedbridge migrate back` undoes it"
        )
    try:
        for file in kept:
            embedder.space.check(file)
        if canary:
            _check_canary(kept[0], embedder)
    except SpaceMismatchError as error:
        raise SpaceMismatchError(
            f"{index} was built otherwise: {error}. Query it with what built it (see {kept[0].name}), or delete that "
            "file and build it anew",
            parts=error.parts,
        ) from error
    _watch(place, holder, embedder)
    return using


def _watch(index: Path, holder: Embedder | Face, embedder: Embedder) -> None:
    """Have an object look, at each query and each write, whether the index still has its model."""
    for file in space_files(index):
        holder._watches = watched_with(holder._watches, Watch(index, file, embedder.space))  # noqa: SLF001 - our own


def _store_first(index: Path, embedder: Embedder, *, canary: bool) -> bool:
    """Store the space of an index that has none. False: another call was faster."""
    file, content = space_file(index), embedder.space.content(embedder.canary() if canary else None)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return create_file(file, lambda stream: stream.write(content))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from error


def find_holder(using: object) -> Embedder | Face:
    """What embeds for an object of either framework. Raises `ConfigurationError` where it is not one of ours."""
    from .face import Face  # with its first model, pydantic reads what all installed packages say of themselves

    found: Any = using
    for _ in range(MOST_STEPS):
        if isinstance(found, Embedder | Face):
            return found
        held = [*(getattr(found, name, None) for name in HOLDERS), *_ours(found)]
        found = next((part for part in held if part is not None), None)
    raise ConfigurationError(
        f"a {type(using).__name__} does not embed with embedbridge, so the space of its vectors is not known; give it "
        "BridgeEmbeddings or BridgeEmbedding (their wrap(…, name=…) takes any other embedding object)"
    )


def _ours(holder: Any) -> list[Any]:
    """What an object holds of ours, under whatever name."""
    from .face import Face

    return [part for part in getattr(holder, "__dict__", {}).values() if isinstance(part, Embedder | Face)]


def space_files(index: Path) -> Iterator[Path]:
    """The files that store the vector space of an index: one, or none before the first use; two by earlier releases."""
    beside = index.with_name(index.name + ENDING) if index.name else None
    yield from (file for file in (index / NAME, beside) if file is not None and os.path.lexists(file))


def space_file(index: Path) -> Path:
    """Where the vector space of an index is stored at its first use.

    The name decides, not what stands there yet: so all that are first at one moment want the same file.
    """
    return index.with_name(index.name + ENDING) if index.suffix or index.is_file() else index / NAME


def _is_moving(file: Path) -> bool:
    try:
        stored = read_stored(file)
    except SpaceMismatchError:  # which is told when it is compared
        return False
    return isinstance(stored, dict) and MOVING in stored


def _check_canary(file: Path, embedder: Embedder) -> None:
    """Compare canary vectors with those kept, or keep today's where there are none."""
    today, kept = embedder.canary(), Canary.load(file)
    if kept is not None:
        today.check(kept)
        return
    content = embedder.space.content(today)
    try:
        replace_file(file, lambda stream: stream.write(content))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from error
