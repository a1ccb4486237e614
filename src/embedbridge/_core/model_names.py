"""Whether the model that an answer names is the one that was asked for: an exact rule over names, no resemblance."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

_SHOWN = re.compile(r"[\w./:@+-]{1,100}")


class Named(Enum):
    """Which model an answer names."""

    OURS = "ours"
    """The model that was asked for, under this or another name; or none at all."""
    SIBLING = "sibling"
    """Another model of the same provider: the answer is wrong."""
    FOREIGN = "foreign"
    """A name that has nothing in common with ours: perhaps another model, perhaps a name of the server's own."""


@dataclass(frozen=True, slots=True)
class ModelNames:
    """What names an answer may have.

    Attributes:
        ours: names of the model that was asked for; empty: any name is ours.
        siblings: names of the provider's other models.
        accepted: names that the user has accepted; None: the user accepts every name.
    """

    ours: Collection[str] = ()
    siblings: frozenset[str] = frozenset()
    accepted: frozenset[str] | None = frozenset()
    told: set[str] = field(default_factory=set)
    """Foreign names that the user was told of."""

    def judge(self, name: str | None) -> Named:
        """Which model an answer's name is that of."""
        if not name or self.accepted is None or name in self.accepted or name in self.ours:
            return Named.OURS
        if name in self.siblings:
            return Named.SIBLING
        if not self.ours or any(_is_part(name, own) for own in self.ours):
            return Named.OURS
        return Named.FOREIGN

    def tell(self, name: str) -> str:
        """What to warn of the first time that an answer has a foreign name; "" afterwards."""
        if name in self.told:
            return ""
        self.told.add(name)
        shown = repr(name) if _SHOWN.fullmatch(name) else "a name that cannot be shown"
        return (
            f"the answer names another model than the one asked for: {shown}. Its vectors are returned and not stored; "
            f"where that is the model that you mean, pass provider_options={{'accept_model': {shown}}}"
        )


def _is_part(first: str, second: str) -> bool:
    """Whether one name stands as words in the other: with a path before, or a date, tag or format behind it.

    `nomic-embed-text` and `nomic-ai/nomic-embed-text:latest`; `text-embedding-3-small` and its `-2024-01-25`.
    """
    short, long = sorted((_plain(first), _plain(second)), key=len)
    return bool(short) and re.search(rf"(?<![a-z0-9]){re.escape(short)}(?![a-z0-9])", long) is not None


def _plain(name: str) -> str:
    """A name in lower case, without the path before it."""
    return re.split(r"[/\\]", name.casefold().rstrip("/\\"))[-1]
