"""Any other embedding object of either framework as a provider, so that it gains the cache, the checks and the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from embedbridge.core.errors import ConfigurationError, RequestFailed
from embedbridge.core.types import Batch, Identity, InputType, Limits, Reply

from .base import BaseProvider, NoOptions, ProviderConfig


class WrappedOptions(NoOptions):
    """The object that does the work."""

    embeddings: Any


class WrappedProvider(BaseProvider):
    """The object's own retries stay its own: switch them off there, or set `max_retries=0` here."""

    options_type = WrappedOptions
    beside = True

    def __init__(self, config: ProviderConfig) -> None:
        if config.options.get("embeddings") is None:
            raise ConfigurationError(f"{self.name}:{config.model} needs its object; use wrap(…, name={config.model!r})")
        super().__init__(config)
        self.embeddings = self.options.embeddings

    @property
    def identity(self) -> Identity:
        """The name that the user gave: it must change when the object's model does."""
        return Identity(self.name, self.model)

    @property
    def limits(self) -> Limits:
        """One at a time, since nobody promises that the object can be shared between threads."""
        return Limits(items=256, concurrency=1)

    def wire_type(self, input_type: InputType) -> str:
        """Which of its two methods is called."""
        return "query" if input_type == "query" else "document"

    def ask(self, batch: Batch, *, timeout: float) -> Reply:  # noqa: ARG002 - the object has a timeout of its own
        """Call the object. Raises `RequestFailed`."""
        try:
            return Reply(self.vectors(batch))
        except Exception as error:  # noqa: BLE001 - a foreign object raises what it likes
            failure = _failure(error)
        raise failure

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:  # noqa: ARG002 - as above
        """Call the object's async methods. Raises `RequestFailed`."""
        try:
            return Reply(await self.avectors(batch))
        except Exception as error:  # noqa: BLE001 - as above
            failure = _failure(error)
        raise failure

    def vectors(self, batch: Batch) -> Sequence[Any]:
        """One list of numbers for each text."""
        raise NotImplementedError

    async def avectors(self, batch: Batch) -> Sequence[Any]:
        """One list of numbers for each text."""
        raise NotImplementedError


def _failure(error: Exception) -> RequestFailed:
    """What can be said of a foreign error. Its own words may quote texts and keys, in any disguise: they stay out."""
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    lost = isinstance(error, ConnectionError | TimeoutError) or re.search("Timeout|Connect", type(error).__name__)
    return RequestFailed(
        f"the wrapped object raised {type(error).__name__}",
        status=status if type(status) is int else None,
        kind="connection" if lost else "",
    )
