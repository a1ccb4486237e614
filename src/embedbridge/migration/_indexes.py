"""Which index is meant: an address becomes a store, with the places of its journal and of the guard's file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

from embedbridge.errors import ConfigurationError

from ._journal import peek
from ._stores import ADAPTERS, adapter
from ._stores.base import JOURNAL, Store, without_password

EXPORT = (
    'export its documents to a JSONL file with "id", "text" and "metadata" in each line, and move that: '
    "embedbridge migrate run docs.jsonl --to MODEL writes the vectors beside them, to be loaded into the store"
)


@dataclass(frozen=True, slots=True)
class Index:
    """An index that is to be moved, or was. Made by `open_index`."""

    store: Store
    journal: Path
    """The file in which the migration is written down."""
    guard: Path | None
    """What `embedbridge.guard` is given for it; None: what the store has for that."""

    def close(self) -> None:
        """Give back what is open."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return self.store.shown


Address: TypeAlias = str | os.PathLike[str] | Index


def open_index(
    address: str | os.PathLike[str],
    *,
    guard: str | os.PathLike[str] | None = None,
    journal: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Index:
    """Open an index that is to be moved. Nothing is read or written yet.

    Args:
        address: a path or URL, after its kind and before the name of the index where these do not follow from it:
            `docs.jsonl`, `storage`, `chroma:folder#docs`.
        guard: what `embedbridge.guard` is given for this index, where it is another path than the index itself.
        journal: the file in which the migration is written down; needed for an index on a server, else it lies beside
            the index.
        **options: of this kind of store, such as `allow_dangerous_deserialization` of FAISS.

    Returns:
        The index, to be closed, or used in a `with` statement.

    Raises:
        ConfigurationError: it is no index of a kind that is known, several could be meant, or an option is wrong.
        MissingExtraError: the package of its store is not installed.
    """
    if not isinstance(address, str | os.PathLike) or not os.fspath(address):
        raise ConfigurationError(f"say where the index is kept, not {address!r}")
    kind, place, name = _parsed(os.fspath(address))
    store = adapter(kind).at(place, name, options)
    beside = store.beside
    if journal is None and beside is None:
        raise ConfigurationError(
            f"{store.shown} is on a server: say in which file of yours the migration is to be written down (journal=…)"
        )
    file = Path(journal) if journal is not None else Path(f"{beside}{JOURNAL}")
    return Index(store, file.absolute(), None if guard is None else Path(guard).absolute())


@contextmanager
def opened(address: Address) -> Iterator[Index]:
    """The index of an address, closed at the end; one that is open stays open."""
    if isinstance(address, Index):
        yield address
        return
    with open_index(address) as index:
        yield index


def _parsed(address: str) -> tuple[str, str, str | None]:
    """Kind, place and name of an address."""
    kind, colon, place = address.partition(":")
    if not colon or kind not in ADAPTERS:
        kind, place = "", address
    place, hash_sign, name = place.rpartition("#") if "#" in place and not Path(place).exists() else (place, "", "")
    found = kind or next((each for each in ADAPTERS if adapter(each).recognises(place)), None)
    if found is None and (state := peek(Path(f"{place}{JOURNAL}"))) is not None:  # killed between two renames
        found = state.kind
    if found is None:
        known = ", ".join(ADAPTERS)
        if "://" not in place and not Path(place).exists():
            raise ConfigurationError(
                f"there is no index at {place!r}; the kinds known are {known}, as in kind:place#name"
            )
        raise ConfigurationError(f"{without_password(place)!r} is no store of a kind that is known ({known}); {EXPORT}")
    return found, place, name if hash_sign else None
