"""The space of vectors: everything that decides their numbers, as a value that can be saved and compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from embedbridge._files import replace_file
from embedbridge.errors import SpaceMismatchError

from .canary import Canary, read_stored
from .prepare import as_path
from .types import InputType
from .words import Shown, full_name

FORMAT = 2
FIRST = 1
"""The format of releases before. It named all roles, the limit of a text, and headers only where their name said so."""
INDEXED: tuple[InputType, ...] = ("query", "document")
"""The roles that an index uses."""
USUAL_PORT = re.compile(r"^(http://[^/]+(?=:80(?:/|$))|https://[^/]+(?=:443(?:/|$))):\d+")
"""An address up to the port that its scheme has anyway; the first format kept it."""
LENGTHS = ("num_ctx=", "num_batch=")
"""Details of the first format that decide nothing but where a text is cut."""


@dataclass(frozen=True, slots=True)
class VectorSpace(Shown):
    """All that decides vectors. Vectors can be compared with each other if, and only if, their spaces are equal."""

    provider: str
    model: str
    endpoint: str = ""
    revision: str = ""
    details: tuple[str, ...] = ()
    dimensions: int | None = None
    """None: the model's own."""
    normalize: bool | None = None
    reduction: str = ""
    """Fingerprint of the fitted reduction, or ""."""
    too_long: str = ""
    """What becomes of texts that are too long, and the length that the user asks for; not the model's own limit."""
    routes: Mapping[str, str] = field(default_factory=dict)
    """`query` and `document` → the prefix or the request's own type, as sent."""
    former: tuple[frozenset[str], frozenset[str]] = field(default=(frozenset(), frozenset()), compare=False, repr=False)
    """Details that files of the first format name, and those that they may name. No part of the space."""

    def __str__(self) -> str:
        told = {
            "endpoint": self.endpoint,
            "revision": self.revision,
            "reduction": self.reduction,
            "unit length": {None: "", True: "yes", False: "as the model gives it"}[self.normalize],
            "too long": self.too_long,
            "details": ", ".join(self.details),
            **{f"a {role}": f"{sent!r} + text" if sent else "text" for role, sent in self.routes.items()},
            "fingerprint": self.fingerprint,
        }
        size = f"{self.dimensions} dimensions" if self.dimensions else "the model's own dimensions"
        lines = (f"  {name:11}  {value}" for name, value in told.items() if value)
        return "\n".join([f"{full_name(self.provider, self.model)}, {size}", *lines])

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that are equal exactly for equal spaces."""
        return blake2b(self._json().encode(), digest_size=8).hexdigest()

    def save(self, path: str | Path, *, canary: Canary | None = None) -> None:
        """Write the space to a JSON file.

        Args:
            path: of the file, which is replaced at once or not at all.
            canary: vectors of `Embedder.canary`, stored with it.
        """
        content = self.content(canary)
        replace_file(as_path(path), lambda stream: stream.write(content))

    def content(self, canary: Canary | None = None) -> bytes:
        """What `save` writes.

        Args:
            canary: vectors of `Embedder.canary`, stored with it.

        Returns:
            JSON.
        """
        stored = {"embedbridge_space": FORMAT, **json.loads(self._json())}
        if canary is not None:
            stored["canary"] = canary.plain()
        return (json.dumps(stored, indent=2) + "\n").encode()

    @classmethod
    def load(cls, path: str | Path) -> VectorSpace:
        """Read a space that `save` wrote.

        Args:
            path: of the file.

        Returns:
            The space.

        Raises:
            SpaceMismatchError: the file is not one of those.
            ConfigurationError: it cannot be read, or is no regular file.
            FileNotFoundError: there is none.
        """
        space, _, unknown = cls._read(path)
        if unknown:
            raise newer(path, unknown)
        return space

    @classmethod
    def _read(cls, path: str | Path) -> tuple[VectorSpace, int, list[str]]:
        """The space in a file, the file's format, and what of it this version does not know."""
        stored = read_stored(as_path(path))
        try:
            stored.pop("canary", None)
            number = stored.pop("embedbridge_space")
            names = {part.name for part in fields(cls) if part.compare}
            values = {name: value for name, value in stored.items() if name in names}  # absent ones: as they were then
            space = cls(**values | {"details": tuple(values.get("details", ()))})
            "".join((space.provider, space.model, space.too_long, *space.details))  # a TypeError unless it is text
            if int(number) == FIRST:
                space = replace(space, endpoint=USUAL_PORT.sub(r"\1", space.endpoint))
                space = replace(space, too_long=space.too_long.partition(":")[0], routes=_of_an_index(space.routes))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SpaceMismatchError(f"{path} is no saved vector space") from None
        unknown = sorted(set(stored) - names)
        return space, number, unknown or (["format"] if number > FORMAT else [])

    def check(self, other: VectorSpace | str | Path) -> None:
        """Check that another space is the same, so that vectors of both can be compared.

        Args:
            other: a space, or the file in which `save` stored one.

        Raises:
            SpaceMismatchError: they differ; `.parts` names what does.
        """
        if isinstance(other, VectorSpace):
            space, number, unknown = other, FORMAT, list[str]()
        else:
            space, number, unknown = self._read(other)
        ours, theirs = self.parts(), space.parts()
        if number == FIRST:
            ours["too_long"] = self.too_long.partition(" ")[0]
            if self._may_have_been(space.details):
                theirs["details"] = ours["details"]
        parts = [name for name in ours if ours[name] != theirs[name]]
        if parts:
            told = "; ".join(f"{name}: {ours[name]!r} here, {theirs[name]!r} there" for name in parts)
            raise SpaceMismatchError(f"these vectors cannot be compared with those: {told}", parts=parts)
        if unknown:
            raise newer(other, unknown)

    def parts(self) -> dict[str, Any]:
        """What is compared.

        Returns:
            Values by name.
        """
        return {part.name: getattr(self, part.name) for part in fields(self) if part.compare}

    def _may_have_been(self, details: Iterable[str]) -> bool:
        """Whether a release before may have told this space by these details."""
        named, (sure, optional) = {part for part in details if not part.startswith(LENGTHS)}, self.former
        return sure <= named <= sure | optional

    def _json(self) -> str:
        """Without parts that have their default: one that a later version adds changes no space that lacks it."""
        usual = {part.name: part.default for part in fields(self)} | {"routes": {}}
        stored = {name: value for name, value in self.parts().items() if value != usual[name]}
        return json.dumps(stored, sort_keys=True, ensure_ascii=False)


def newer(path: object, unknown: list[str]) -> SpaceMismatchError:
    """The error for a file that holds more than this version can compare."""
    return SpaceMismatchError(
        f"{path} was written by a newer version of embedbridge, and this one cannot compare all of it "
        f"({', '.join(unknown)}); upgrade embedbridge",
        parts=unknown,
    )


def _of_an_index(routes: Any) -> dict[str, str]:
    return {role: routes[role] for role in INDEXED if role in routes}
