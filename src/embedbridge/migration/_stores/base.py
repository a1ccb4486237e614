"""What a migration asks of a store: named indexes that are read by the page, filled by id, and change names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from embedbridge._core.types import Vectors
from embedbridge.errors import ConfigurationError, InvalidInputError, MissingExtraError

T = TypeVar("T")

NO_ID = object()
"""In place of an id that is not there at all."""
PAGE = 1000
"""Documents that are in memory together."""


@dataclass(frozen=True, slots=True)
class Row:
    """One document of an index, without its vector."""

    id: str
    """As text; a store that has others translates."""
    text: str
    """What is embedded, in the role of a document. LlamaIndex embeds metadata with it."""
    record: Any
    """All else that the store has of it, fit for JSON where it can be: it is written to the new index unchanged, and a
    change of it counts as a change of the document."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the three indexes that a migration knows."""

    current: str
    """What applications open."""
    new: str
    """What is built beside it."""
    previous: str
    """What the old index is called after the switch."""


class Store(ABC):
    """A place, on disk or on a server, with named indexes of one kind.

    Steps that write may be killed at any point, and are then called again: each of them is safe to repeat.

    Args:
        name: of the index that is to be moved, as applications open it.
        shown: the address for messages, without a password.
    """

    kind: ClassVar[str]
    """As in an address: `chroma` of `chroma:folder#docs`."""
    written_whole: ClassVar[bool] = False
    """An index is one file or folder that is written anew each time: `create` begins, `upsert` adds, and `commit` puts
    it in its place at once. Otherwise each `upsert` lasts."""
    longest_name: ClassVar[int] = 190
    """Bytes of a name of an index. A file's has 255, of which the guard and the journal add some to it."""
    joint: ClassVar[str] = "-"
    """Between the name of an index and what is added to it."""
    noun: ClassVar[str] = "row"
    """What a document is in this store, for messages."""
    carries_stamp: ClassVar[bool] = False
    """The guard's file lies within the index, and goes where the index goes."""

    def __init__(self, name: str, shown: str) -> None:
        self.name, self.shown = name, shown

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its package raises, to be told as an `EmbeddingError`."""
        return ()

    # Opening, and where things lie.

    @staticmethod
    @abstractmethod
    def recognises(place: str) -> bool:
        """Whether a path or URL without a kind is one of these. Imports nothing heavy, and sends nothing."""

    @classmethod
    @abstractmethod
    def at(cls, place: str, name: str | None, options: Mapping[str, Any]) -> Self:
        """Open the index `name` of a place; None: the only one, as `only_name` finds it. It need not be there.

        Raises `ConfigurationError` where there is no such place, and for options that the kind does not know, and
        `MissingExtraError` where its package is not installed.
        """

    @property
    @abstractmethod
    def beside(self) -> Path | None:
        """The path to which the journal's ending is added. None: on a server, so the user says where."""

    @abstractmethod
    def guard_path(self, name: str) -> Path | None:
        """What is given to `embedbridge.guard` for an index. None: on a server, so the user says it."""

    def names(self, fingerprint: str) -> Names:
        """The names of a migration to the space of this fingerprint; asked once, and kept in the journal."""
        return Names(self.name, self.name_with(fingerprint[:8]), self.name_with("previous"))

    def name_with(self, ending: str) -> str:
        """The name of the index and an ending; shortened where it is too long, and then still its own."""
        return joined(self.name, f"{self.joint}{ending}", self.longest_name)

    # Reading. Nothing of this changes an index.

    @abstractmethod
    def indexes(self) -> list[str]:
        """The names of all indexes of the place."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is an index of this name."""

    @abstractmethod
    def count(self, name: str) -> int:
        """Its documents."""

    @abstractmethod
    def dimensions(self, name: str) -> int | None:
        """Of its vectors; None where it has none."""

    @abstractmethod
    def rows(self, name: str) -> Iterator[list[Row]]:
        """All documents, by pages of at most `PAGE`, in bounded memory."""

    def ids(self, name: str) -> Iterator[tuple[int, Any]]:
        """The place of each document and its id as it is stored; nothing where the store itself keeps ids apart."""
        return iter(())

    @abstractmethod
    def vectors(self, name: str, ids: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """The vectors of some documents; those that are not there are left out."""

    def differing_files(self, old: str, new: str) -> list[str]:
        """Names of files without vectors that the new index has not as the old one has them."""
        return []

    # Writing the new index.

    @abstractmethod
    def create(self, name: str, like: str, dimensions: int) -> None:
        """Make an empty index with the settings of another (its distance, its fields) and vectors so wide.

        Where there is one already it stays as it is, unless the store is `written_whole`, which begins anew.
        """

    @abstractmethod
    def upsert(self, name: str, rows: Sequence[Row], vectors: Vectors) -> None:
        """Put documents in, in place of those of the same ids. It lasts when this returns, unless `written_whole`.

        `create` comes before it in each run, and no id comes twice after that. Killed, it may have taken those of the
        same ids out.
        """

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Take documents out; those that are not there do not matter. Never called where `written_whole`."""
        raise NotImplementedError

    def commit(self, name: str) -> None:  # noqa: B027 - most stores have nothing to do
        """The index is complete: write it where it is `written_whole`."""

    # Changing names.

    def rename(self, name: str, to: str) -> None:
        """Change a name, in one step that happens or does not."""
        raise NotImplementedError

    def switch(self, names: Names) -> None:
        """Have `current` name the new index, and `previous` the old one; completes what was killed.

        Here by two renames, between which there is no `current`. A store that can do it in one step overrides this.
        """
        if self.exists(names.new) and self.exists(names.current):
            self.rename(names.current, names.previous)
        if self.exists(names.new):
            self.rename(names.new, names.current)

    def back(self, names: Names) -> None:
        """Undo `switch`, from whatever point it has reached; completes what was killed."""
        if self.exists(names.previous) and self.exists(names.current):
            self.rename(names.current, names.new)
        if self.exists(names.previous):
            self.rename(names.previous, names.current)

    def why_no_switch(self, names: Names) -> str:
        """Why `switch` cannot do its work here, and what to do about it; asked before anything is paid. "": it can."""
        return ""

    def close(self) -> None:  # noqa: B027 - most stores have nothing to do
        """Give back what is open."""


def joined(name: str, ending: str, longest: int) -> str:
    """A name and an ending, in at most so many bytes; one that is shortened has a digest of the name in it."""
    content = name.encode("utf-8", "surrogateescape")
    if len(content) + len(ending.encode()) <= longest:
        return name + ending
    ending = f"{ending[0]}{sha256(content).hexdigest()[:8]}{ending}"
    return content[: longest - len(ending)].decode(errors="ignore") + ending


def pages(items: Iterable[T], most: int = PAGE) -> Iterator[list[T]]:
    """Documents, or what is known of them, by pages of `most`."""
    rest = iter(items)
    while page := list(islice(rest, most)):
        yield page


@contextmanager
def naming(rows: Sequence[Row]) -> Iterator[None]:
    """Have an error of one of these texts name its document."""
    try:
        yield
    except InvalidInputError as error:
        if error.index is not None:
            error.args = (f"document {rows[error.index].id!r}: {error}",)
        raise


def package(name: str, told: str) -> Any:
    """A package that a store is read with; where it is absent, `told` says what to do."""
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(told) from None


JOURNAL = ".embedbridge-migration.db"
"""Added to `beside`."""


TIMES = ("timeout",)
"""Options in seconds."""


def without_password(place: str) -> str:
    """A path, or a URL without what may be secret in it."""
    return place if "://" not in place else place.partition("?")[0].rpartition("@")[2]


def check_options(kind: str, options: Mapping[str, Any], known: Sequence[str] = (), of: type = str) -> None:
    """Raise `ConfigurationError` for options that a kind of store does not know, and values of another type."""
    for option, value in options.items():
        if option not in known:
            told = f"it knows {', '.join(known)}" if known else "it has none"
            raise ConfigurationError(f"a store of the kind {kind!r} has no option {option!r}; {told}")
        if option in TIMES:
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ConfigurationError(f"{option}: write seconds, more than 0, not {value!r}")
        elif not isinstance(value, of) or value == "":
            shown = "True or False" if of is bool else "a text"
            raise ConfigurationError(f"{option}: write {shown}, not {type(value).__name__}")
