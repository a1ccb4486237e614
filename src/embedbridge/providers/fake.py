"""Vectors without a model, for tests: the same text gives the same unit vector, everywhere and always."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from hashlib import shake_128

import numpy as np
from pydantic import Field

from embedbridge._core.types import Batch, Limits, Reply, Vectors
from embedbridge._threads.background import run_in_thread
from embedbridge.errors import ConfigurationError

from .base import BaseProvider, NoOptions, ProviderConfig

__all__ = ["FakeOptions", "FakeProvider", "fake_vectors"]

INLINE = 1 << 16
"""Characters and numbers that are hashed on the event loop; more of them in a thread."""

WIDEST = 1 << 20
"""Dimensions: many more than any model has."""


class FakeOptions(NoOptions):
    """Options of the fake provider."""

    aside = frozenset({"latency"})

    latency: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Seconds that each request takes."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens (four bytes each) that it reads of a text; None: all."""


class FakeProvider(BaseProvider):
    """`fake:256` gives vectors of 256 dimensions.

    Args:
        config: whose model is the number of dimensions.

    Raises:
        ConfigurationError: it is no number of dimensions.
    """

    name = "fake"
    asks_server = False
    options_type = FakeOptions

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        if not self.model.isdecimal() or not 1 <= int(self.model) <= WIDEST:
            raise ConfigurationError(
                f"the fake provider's model is its dimensions, up to {WIDEST}, as in 'fake:256', not {self.model!r}"
            )

    @property
    def limits(self) -> Limits:
        """Small batches, so that progress can be seen."""
        return Limits(items=256, text_tokens=self.options.max_tokens)

    def reductions(self) -> range:
        """Every number of dimensions, because all numbers of its vectors are equally important."""
        return range(1, self.width() + 1)

    def width(self) -> int:
        """The number that the model's name is."""
        return int(self.model)

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Hash the texts."""
        time.sleep(self.options.latency)
        return Reply(fake_vectors(batch.texts, self.width()), tokens=batch.tokens, model=self.model)

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """Hash the texts."""
        await asyncio.sleep(self.options.latency)
        hashed = partial(fake_vectors, batch.texts, self.width())
        size = sum(map(len, batch.texts)) + len(batch.texts) * self.width()
        vectors = await run_in_thread(hashed) if size > INLINE else hashed()
        return Reply(vectors, tokens=batch.tokens, model=self.model)


def fake_vectors(texts: tuple[str, ...] | list[str], width: int) -> Vectors:
    """Unit vectors from a hash of each text.

    Args:
        texts: any.
        width: dimensions.

    Returns:
        Shape `(n, width)`, float32.
    """
    digests = b"".join(shake_128(text.encode()).digest(2 * width) for text in texts)
    numbers = np.frombuffer(digests, dtype="<i2").reshape(len(texts), width).astype(np.float32)
    numbers += numbers == 0
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    return numbers
