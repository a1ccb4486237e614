"""Turns the caller's texts into the texts to send: checked, with their prefix, and each distinct one once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from embedbridge.errors import ConfigurationError, InvalidInputError

from .titles import split_title
from .types import INPUT_TYPES, InputType, Route

Empty = Literal["error", "zero"]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The distinct texts of a call, and which of them each of the caller's texts is."""

    texts: list[str]
    """As sent, prefix included; distinct, in order of first appearance."""
    encoded: list[bytes]
    """The same in UTF-8."""
    where: npt.NDArray[np.intp]
    """Place among the texts of the call → row in `texts`, shape `(n,)`; -1 for an empty text."""
    prefixed: int | None
    """Index of the first text that had its prefix already, which was not added again; None: there was none."""
    empty: tuple[int, ...] = ()
    """Places of empty texts among those of the call."""
    titled: str = ""
    """How a text's own title is written in place of the prefix; "": none is."""
    first: int = 0
    """Index of the call's first text in the caller's list, or stream, of which the call has a chunk."""

    def places(self, rows: Iterable[int]) -> tuple[int, ...]:
        """Indices in the caller's list of the texts that are these rows, ascending."""
        found = np.isin(self.where, np.fromiter(rows, dtype=np.intp))
        return tuple((np.nonzero(found)[0] + self.first).tolist())

    def other_places(self, places: Collection[int]) -> tuple[int, ...]:
        """Indices in the caller's list of all other texts of the call."""
        every = range(self.first, self.first + len(self.where))
        return tuple(index for index in every if index not in places)


def check_input_type(input_type: object) -> InputType:
    """The input type, checked. Raises `InvalidInputError`."""
    if isinstance(input_type, str):  # an array would be compared with each
        for known in INPUT_TYPES:
            if input_type == known:
                return known
    raise InvalidInputError(f"input_type={input_type!r} is not known; use one of {', '.join(INPUT_TYPES)}")


def check_texts(texts: Iterable[str], first: int = 0) -> list[str]:
    """The texts as a list of plain str. Raises `InvalidInputError` with the index of the first item that is none.

    `first` is the index of the first one.
    """
    if type(texts) is not list:
        check_container(texts)
    items: list[Any] = list(texts)
    for at, item in enumerate(items):
        if type(item) is not str:
            index = first + at
            if not isinstance(item, str):
                raise InvalidInputError(
                    f"text {index} is {_kind(item)}, not str; convert it or leave it out", index=index
                )
            items[at] = str.__str__(item)
    return items


def check_container(texts: object) -> None:
    """Raise `InvalidInputError` for anything but a one-dimensional iterable, before an item of it is read."""
    if isinstance(texts, str):
        raise InvalidInputError("texts is one string, not a list of strings; write [text]")
    # More dimensions than one: a data frame gives its columns' names, a table its rows, a scalar nothing.
    listed = isinstance(texts, Iterable) and getattr(texts, "ndim", 1) == 1
    if isinstance(texts, bytes | bytearray | memoryview | Mapping | AbstractSet) or not listed:
        raise InvalidInputError(f"texts is {_kind(texts)}; pass a list of strings")


def as_path(path: object) -> Path:
    """A path. Raises `ConfigurationError` for what is none."""
    try:
        return Path(path)  # type: ignore[arg-type]
    except TypeError:
        raise ConfigurationError(f"write a path, as a text or a Path, not {_kind(path)}") from None


def check_word(name: str, value: object) -> None:
    """Raise `ConfigurationError` for an argument that is no text."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: write a text, not {_kind(value)}")


def check_text(text: object) -> str:
    """One text as a plain str. Raises `InvalidInputError`."""
    if not isinstance(text, str):
        raise InvalidInputError(f"the text is {_kind(text)}, not str", index=0)
    return str.__str__(text)


def prepare(texts: list[str], route: Route, *, empty: Empty, titled: str = "", first: int = 0) -> Sheet:
    """Route and de-duplicate. Raises `InvalidInputError` for empty texts (unless `empty="zero"`) and broken Unicode.

    A text that begins with its own title, written as `titled`, gets no prefix: the title stands in its place. The
    first text is text `first` of the caller's list.
    """
    where: list[int] = []
    rows: dict[str, int] = {}
    prefix, prefixed, blank = route.prefix, None, []
    for at, text in enumerate(texts):
        if not text or text.isspace():
            blank.append(at)
            where.append(-1)
            continue
        sent = text
        if prefix:
            if not text.startswith(prefix):
                sent = text if split_title(text, titled) else prefix + text
            elif prefixed is None:
                prefixed = first + at
        where.append(rows.setdefault(sent, len(rows)))
    if blank and empty == "error":
        raise _blank([first + at for at in blank])
    distinct = list(rows)
    try:
        encoded = [text.encode() for text in distinct]
    except UnicodeEncodeError:
        encoded = []  # the error is no cause of ours: it holds the text
    if len(encoded) < len(distinct):
        raise _broken(distinct, where, first)
    return Sheet(distinct, encoded, np.array(where, np.intp), prefixed, tuple(blank), titled, first)


def _broken(texts: list[str], where: list[int], first: int) -> InvalidInputError:
    row = next(row for row, text in enumerate(texts) if not is_utf8(text))
    index = first + where.index(row)
    return InvalidInputError(
        f"text {index} holds a lone surrogate, which no UTF-8 text can; "
        'clean it with text.encode("utf-8", "replace").decode()',
        index=index,
    )


def is_utf8(text: str) -> bool:
    """Whether a text can be encoded as UTF-8, which has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _blank(indices: list[int]) -> InvalidInputError:
    shown = ", ".join(map(str, indices[:10])) + (", …" if len(indices) > 10 else "")
    error = InvalidInputError(
        f"{len(indices)} empty text(s), at {shown}; leave them out, or set empty='zero' to get zero vectors",
        index=indices[0],
    )
    error.failed_indices = tuple(indices)
    return error


def _kind(item: object) -> str:
    return "None" if item is None else type(item).__name__
