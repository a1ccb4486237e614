"""The APIs the server speaks, one file each, and which of them a path means."""

from __future__ import annotations

from embedbridge.testing.request import Request

from .base import Dialect
from .cohere import Cohere
from .ollama import Ollama
from .openai import OpenAI
from .quirky import Quirky
from .voyage import Voyage, VoyageContextualized

__all__ = ["DIALECTS", "Dialect", "Quirky", "dialect_for"]

DIALECTS: tuple[Dialect, ...] = (OpenAI(), Voyage(), VoyageContextualized(), Cohere(), Ollama())
"""All that a `FaultServer` speaks; the first that fits a path answers."""


def dialect_for(request: Request) -> Dialect | None:
    """The API that a request speaks.

    It is the one that the path begins with (`/voyage/v1/embeddings`), or the one that path and model mean.

    Args:
        request: as it was received.

    Returns:
        None where no API has this path.
    """
    first, _, rest = request.path.lstrip("/").partition("/")
    names = {dialect.name for dialect in DIALECTS}
    path = request.path
    if first in names:
        names, path = {first}, "/" + rest
    able = [dialect for dialect in DIALECTS if dialect.name in names and dialect.speaks(path.rstrip("/"))]
    if request.model.startswith("voyage"):
        able.sort(key=lambda dialect: dialect.name != "voyage")
    return able[0] if able else None
