"""Which index is meant: an address becomes a store, with the places of its journal and of the guard's file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit

from embedbridge.errors import ConfigurationError, EmbeddingError

from ._forks import check_process
from ._journal import Journal, State, peek, peek_paid
from ._stores import ADAPTERS, adapter
from ._stores.base import JOURNAL, Store, joined, without_password

EXPORT = (
    'export its documents to a JSONL file with "id", "text" and "metadata" in each line, and move that: '
    "embedbridge migrate run docs.jsonl --to MODEL writes the vectors beside them, to be loaded into the store"
)


LONGEST = 240
"""Bytes of the name of a journal; most file systems take 255, of which SQLite adds some to it."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index that is to be moved, or was. Made by `open_index`."""

    store: Store
    journal: Path
    """The file in which the migration is written down."""
    guard: Path | None
    """What `embedbridge.guard` is given for it; None: what the store has for that."""
    process: int = field(default_factory=os.getpid, init=False, repr=False, compare=False)
    """The number of the process that opened it, and that alone uses it."""

    @property
    def paid(self) -> float:
        """Dollars that runs have paid, without batches, since one last came to its end."""
        return peek_paid(self.journal)

    def close(self) -> None:
        """Give back what is open. A child of a fork leaves it to its parent."""
        if self.process == os.getpid():
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
    words = _checked("an index", address, "say where the index is kept")
    for what, path in (("guard", guard), ("journal", journal)):
        if path is not None:
            _checked(f"{what}=", path, f"{what}= is a path")
    try:
        kind, place, name = _parsed(words)
        given = {option: value for option, value in options.items() if value is not None}
        store = adapter(kind).at(place, name, given)
    except EmbeddingError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # such as a name that is too long, or a damaged table
        told = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"{without_password(words)} cannot be opened: {told}") from error
    beside = store.beside
    if journal is not None:
        file = Path(journal)
    elif beside is not None:
        file = beside.with_name(joined(beside.name, JOURNAL, LONGEST))
    else:
        raise ConfigurationError(
            f"{store.shown} is on a server: say in which file of yours the migration is to be written down (journal=…)"
        )
    return Index(store, file.absolute(), None if guard is None else Path(guard).absolute())


@contextmanager
def opened(address: Address) -> Iterator[Index]:
    """The index of an address, closed at the end; one that is open stays open."""
    index = address if isinstance(address, Index) else open_index(address)
    check_process(index.process, index)
    try:
        yield index
    except EmbeddingError:
        raise
    except (OSError, sqlite3.Error) as error:
        where = getattr(error, "filename", None)
        raise EmbeddingError(f"{index}: {f'{where}: ' if where else ''}{getattr(error, 'strerror', error)}") from error
    except index.store.errors as error:
        raise EmbeddingError(
            f"{index}: {type(error).__name__} of its store's package, whose own words (the cause of this error) may "
            "quote a document"
        ) from error
    finally:
        if index is not address:
            index.close()


@contextmanager
def begun(index: Index) -> Iterator[tuple[Journal, State]]:
    """The journal of a migration that has begun, and how far it is. Raises `ConfigurationError` where none has."""
    if not index.journal.is_file():
        raise ConfigurationError(f"{index} was never moved: there is no {index.journal.name}; run the migration first")
    with Journal(index.journal) as journal:
        if (state := journal.read()) is None:
            raise ConfigurationError(f"{index}: its migration has not begun; run it first")
        yield journal, state


def _checked(what: str, value: object, told: str) -> str:
    """A path or an address, as text."""
    words = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(words, str) or not words.strip():
        raise ConfigurationError(f"{told}, not {value!r}")
    if "\0" in words:
        raise ConfigurationError(f"{told}; {what} has no character of the code 0 in it")
    return words


def _parsed(address: str) -> tuple[str, str, str | None]:
    """Kind, place and name of an address."""
    kind, colon, place = address.partition(":")
    if not colon or kind not in ADAPTERS:
        kind, place = "", address
    if "://" in place:
        try:
            parts = urlsplit(place)
            _ = parts.scheme.startswith("postgres") or parts.port  # which may have several hosts
        except ValueError:
            raise ConfigurationError(
                f"{without_password(place)!r} is no URL: write scheme://host:port/path, an IPv6 address in [], and "
                "special characters of a user and a password as %-codes"
            ) from None
    place, hash_sign, name = place.rpartition("#") if "#" in place and not os.path.lexists(place) else (place, "", "")
    found = kind or next((each for each in ADAPTERS if adapter(each).recognises(place)), None)
    if found is None and (state := peek(Path(f"{place}{JOURNAL}"))) is not None:  # killed between two renames
        found = state.kind
    if found is None:
        known = ", ".join(ADAPTERS)
        if "://" not in place and not os.path.lexists(place):
            raise ConfigurationError(
                f"there is no index at {place!r}; the kinds known are {known}, as in kind:place#name"
            )
        raise ConfigurationError(f"{without_password(place)!r} is no store of a kind that is known ({known}); {EXPORT}")
    return found, place, name if hash_sign else None
