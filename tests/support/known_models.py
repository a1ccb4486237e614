"""Writes `embedbridge/catalogue/known.py` anew, after rows of the catalogue have changed.

`PYTHONPATH=tests python -m support.known_models`
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from embedbridge.catalogue import cards
from embedbridge.providers import BUILT_IN

FILE = Path(str(files("embedbridge.catalogue") / "known.py"))
SPELT = {"sentence-transformers": "local"}
"""Provider → what people write for it."""
HEAD = '''"""The catalogue's models by name, so that an editor completes them. Made by `support.known_models`."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["KnownModel"]

KnownModel: TypeAlias = Literal[
'''
TAIL = '''
]
"""Models that the catalogue lists; every other `provider:model` is taken too."""
'''


def names() -> list[str]:
    """Each model of a provider that comes with the package, as it is written in `model=`."""
    known = [card for card in cards() if card.provider in BUILT_IN and card.status != "retired" and not card.endpoint]
    return sorted(f"{SPELT.get(card.provider, card.provider)}:{card.name}" for card in known)


def text() -> str:
    """What the file holds."""
    return HEAD + "\n".join(f'    "{name}",' for name in names()) + TAIL


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
