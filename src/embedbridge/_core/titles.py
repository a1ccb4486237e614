"""The title of a document, as it is written before its text for models that read one: `title: TITLE | text: TEXT`."""

from __future__ import annotations

PLACE = "{title}"
NONE = "none"
"""What stands in a title's place where there is none."""
LONGEST = 1000
"""Characters of a title."""


def title_before(text: str, form: str) -> str:
    """What stands before a document's text for its title; "" where it has none. Arguments as of `split_title`."""
    found = split_title(text, form)
    return text[: len(text) - len(found[1])] if found else ""


def split_title(text: str, form: str) -> tuple[str, str] | None:
    """A document's title and its text; None where it has no title.

    Args:
        text: as the caller gives it.
        form: what stands before the text, with `{title}` in the title's place; "": the model reads no titles.
    """
    head, _, tail = form.partition(PLACE)
    if not form or not text.startswith(head):
        return None
    end = text.find(tail, len(head), len(head) + LONGEST + len(tail))
    title, rest = text[len(head) : end], text[end + len(tail) :]
    if end < 0 or not title.strip() or "\n" in title or not rest.strip():
        return None
    return ("" if title == NONE else title), rest
