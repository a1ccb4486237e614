"""Canary vectors: a model's vectors of a few fixed texts, kept to notice when another model has the same name."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedbridge._files import read_text
from embedbridge.errors import ConfigurationError, SpaceMismatchError

from .quiet import without_warnings
from .types import Vectors

TEXTS = (
    "canary",
    "The ferry leaves at half past six, unless the wind turns north.",
    "Die Grenzen meiner Sprache bedeuten die Grenzen meiner Welt.",
    "def area(radius): return 3.14159 * radius ** 2",
    "光合作用把二氧化碳和水变成糖和氧气。",
    "Invoice 4711: 3 x 19.90 EUR, due 2024-02-29; pay the first instalment by bank transfer, not by card.",
)
"""Never changed, or canaries that were kept could not be compared. Other texts would need another FORMAT."""
FORMAT = 1

TOLERANCE = 0.01
"""The largest 1 - cosine that is still the same model. For all-MiniLM-L6-v2, other batches make it less than 1e-6,
bfloat16 0.0001, crude 8-bit weights 0.09, and another model about 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Canary:
    """The vectors of the fixed texts, as documents."""

    vectors: Vectors
    """Shape `(6, dimensions)`."""

    @without_warnings
    def drift(self, kept: Canary) -> float:
        """How far vectors of the same texts are apart.

        Args:
            kept: of another day.

        Returns:
            The largest 1 - cosine, 0 to 2; 2 where the dimensions differ.
        """
        if self.vectors.shape != kept.vectors.shape:
            return 2.0
        ours, theirs = (each.astype(np.float64) for each in (self.vectors, kept.vectors))
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        cosines = (ours * theirs).sum(axis=1) / np.where(lengths == 0, 1.0, lengths)
        return float(1 - cosines.min())

    def check(self, kept: Canary | str | Path, *, tolerance: float = TOLERANCE) -> None:
        """Compare with the model's vectors of another day.

        Args:
            kept: the earlier canary, or the file in which `VectorSpace.save` stored it.
            tolerance: the largest drift allowed.

        Raises:
            SpaceMismatchError: they differ by more, or the file holds none.
        """
        other = kept if isinstance(kept, Canary) else Canary.load(kept)
        if other is None:
            raise SpaceMismatchError(f"{kept} holds no canary vectors: save the space with canary=embedder.canary()")
        drift = self.drift(other)
        if not drift <= tolerance:
            raise SpaceMismatchError(
                f"the model answers the same texts otherwise than it did: 1 - cosine is {drift:.3g}, over "
                f"{tolerance:g}. It was changed behind its name; build the index anew",
                parts=("canary",),
            )

    @classmethod
    def load(cls, path: str | Path) -> Canary | None:
        """The canary in a file that `VectorSpace.save` wrote.

        Args:
            path: of the file.

        Returns:
            None where the space was saved without one.

        Raises:
            SpaceMismatchError: the file is not one of those.
            ConfigurationError: it cannot be read, or is no regular file.
        """
        whole = read_stored(path)
        try:
            stored = whole.get("canary")
            if stored is None:
                return None
            if stored["format"] != FORMAT:
                raise SpaceMismatchError(f"{path} holds canary vectors of another format; save them anew")
            numbers = np.frombuffer(base64.b64decode(stored["vectors"]), "<f4")
            return cls(numbers.reshape(len(TEXTS), -1).astype(np.float32))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SpaceMismatchError(f"{path} is no saved vector space") from None

    def plain(self) -> dict[str, Any]:
        """The vectors as data for JSON.

        Returns:
            What `load` reads.
        """
        return {"format": FORMAT, "vectors": base64.b64encode(self.vectors.astype("<f4").tobytes()).decode()}


def read_stored(path: str | Path) -> Any:
    """The JSON in a file that `VectorSpace.save` wrote.

    Raises:
        SpaceMismatchError: it holds no JSON.
        ConfigurationError: it cannot be read, or is no regular file.
        FileNotFoundError: there is none.
    """
    try:
        return json.loads(read_text(Path(path)))
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise SpaceMismatchError(f"{path} is no saved vector space") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
