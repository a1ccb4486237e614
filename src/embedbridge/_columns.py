"""How text fits the columns of a terminal: what is too long is wrapped or shortened with a mark."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

ANY = 1_000_000
"""Columns where there is no terminal, as in a file, a pipe and a notebook: nothing is wrapped there."""


def room_for_text(elsewhere: int = ANY) -> int:
    """The columns of the terminal, or of `COLUMNS`; `elsewhere` where there is none."""
    import shutil

    return shutil.get_terminal_size((elsewhere, 24)).columns


def columns_of(text: str) -> int:
    """The columns that a text takes: two for each wide character."""
    return len(text) if text.isascii() else sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def wrapped(text: str, room: int) -> list[str]:
    """A text in lines of at most `room` columns, except that a longer word, such as an address, stays whole."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}"
        if not lines[-1]:
            lines[-1] = word
        elif columns_of(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def aligned(lines: Sequence[Sequence[str]], words: int) -> list[str]:
    """Cells in columns, of which so many at the left are words and the others numbers."""
    widths = [max(map(columns_of, column)) for column in zip(*lines, strict=True)]
    texts = []
    for line in lines:
        blanks = (" " * (width - columns_of(cell)) for cell, width in zip(line, widths, strict=True))
        cells = (
            cell + blank if at < words else blank + cell
            for at, (cell, blank) in enumerate(zip(line, blanks, strict=True))
        )
        texts.append("  ".join(cells).rstrip())
    return texts


def room_beside(lines: Sequence[Sequence[str]], room: int) -> int:
    """The columns that are left for the first column of cells beside the others."""
    return room - sum(max(map(columns_of, column)) + 2 for column in list(zip(*lines, strict=True))[1:])


def indented(head: str, text: str, room: int) -> str:
    """A text behind a head, with its further lines below its own beginning; one too long for that starts a line."""
    indent, first = " " * columns_of(head), ""
    if max(map(columns_of, text.split(" "))) + columns_of(head) > room:  # it has a long word
        indent, first = "  ", f"{head.rstrip()}\n  "
    return (first or head) + f"\n{indent}".join(wrapped(text, room - len(indent)))


def literals(text: str, room: int) -> list[str]:
    """A text as Python writes it, in pieces of at most `room` columns that Python would join to the same text."""
    pieces = []
    while text:
        end = min(len(text), room)
        while end > 1 and columns_of(repr(text[:end])) > room:
            end -= 1
        if end < len(text):
            end = text.rfind(" ", 0, end) + 1 or end
        pieces.append(repr(text[:end]))
        text = text[end:]
    return pieces


def beginning(text: str, room: int) -> str:
    """The beginning of a text that is too long, with a mark."""
    if columns_of(text) <= room:
        return text
    while text and columns_of(text) >= room:
        text = text[:-1]
    return f"{text}…"


def ending(text: str, room: int) -> str:
    """The end of a text that is too long, with a mark: of a path or a model's name it tells more."""
    if columns_of(text) <= room:
        return text
    while text and columns_of(text) >= room:
        text = text[1:]
    return f"…{text}"
