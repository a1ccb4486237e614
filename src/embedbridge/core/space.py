"""The space of vectors: everything that decides their numbers, as a value that can be saved and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from pathlib import Path

from embedbridge.files import replace_file

from .canary import Canary, read_stored
from .errors import SpaceMismatchError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class VectorSpace:
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
    routes: Mapping[str, str] = field(default_factory=dict)
    """Input type → the prefix or the request's own type, as sent."""

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that are equal exactly for equal spaces."""
        return blake2b(self._json().encode(), digest_size=8).hexdigest()

    def save(self, path: str | Path, *, canary: Canary | None = None) -> None:
        """Write the space to a JSON file, and with it the canary vectors of `Embedder.canary`, if given."""
        content = self.content(canary)
        replace_file(Path(path), lambda stream: stream.write(content))

    def content(self, canary: Canary | None = None) -> bytes:
        """What `save` writes."""
        stored = {"embedbridge_space": FORMAT, **json.loads(self._json())}
        if canary is not None:
            stored["canary"] = canary.plain()
        return (json.dumps(stored, indent=2) + "\n").encode()

    @classmethod
    def load(cls, path: str | Path) -> VectorSpace:
        """Read a space that `save` wrote.

        Raises:
            SpaceMismatchError: the file is not one of those.
            ConfigurationError: it cannot be read, or is no regular file.
            FileNotFoundError: there is none.
        """
        stored = read_stored(path)
        try:
            if stored.pop("embedbridge_space") != FORMAT:
                raise SpaceMismatchError(f"{path} holds a space of another format; save it again with this version")
            stored.pop("canary", None)
            values = {part.name: stored.pop(part.name) for part in fields(cls)}
            values["details"] = tuple(values["details"])
            return cls(**values, **stored)  # a part that this version does not know is a TypeError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SpaceMismatchError(f"{path} is no saved vector space") from None

    def check(self, other: VectorSpace | str | Path) -> None:
        """Raise `SpaceMismatchError`, with `.parts` naming what differs, unless `other` is the same space."""
        space = other if isinstance(other, VectorSpace) else VectorSpace.load(other)
        ours, theirs = asdict(self), asdict(space)
        parts = [name for name in ours if ours[name] != theirs[name]]
        if parts:
            told = "; ".join(f"{name}: {ours[name]!r} here, {theirs[name]!r} there" for name in parts)
            raise SpaceMismatchError(f"these vectors cannot be compared with those: {told}", parts=parts)

    def _json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
