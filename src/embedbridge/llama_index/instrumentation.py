"""What LlamaIndex's instrumentation and callbacks hear of a call: the same events as from its own base class."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from llama_index.core.base.embeddings.base import Embedding, dispatcher
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.callbacks.base import EventContext
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent

__all__ = ["Announced"]


class Announced:
    """Announces groups of texts on entry; called with their vectors, announces those and returns them.

    Args:
        groups: the texts, those of one event together.
        callbacks: whom to tell besides the dispatcher.
        payload: what to tell of the model.
    """

    __slots__ = ("_begun", "_callbacks", "_groups", "_payload")

    def __init__(self, groups: Sequence[Sequence[str]], callbacks: CallbackManager, payload: dict[str, Any]) -> None:
        self._groups, self._callbacks, self._payload = groups, callbacks, payload
        self._begun: list[EventContext] = []

    def __enter__(self) -> Self:
        for _ in self._groups:
            dispatcher.event(EmbeddingStartEvent(model_dict=self._payload))
            event = EventContext(self._callbacks, CBEventType.EMBEDDING)
            event.on_start(payload={EventPayload.SERIALIZED: self._payload})
            self._begun.append(event)
        return self

    def __call__(self, vectors: list[Embedding]) -> list[Embedding]:
        """All groups have their vectors."""
        at = 0
        for group, event in zip(self._groups, self._begun, strict=True):
            chunks, found = list(group), vectors[at : at + len(group)]
            at += len(group)
            event.on_end(payload={EventPayload.CHUNKS: chunks, EventPayload.EMBEDDINGS: found})
            told = EmbeddingEndEvent(chunks=chunks, embeddings=[])
            told.embeddings = found  # not validated: that would look at every number, and copy the lists
            dispatcher.event(told)
        return vectors

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        unfinished = [event for event in self._begun if not event.finished]
        for event in unfinished:
            event.on_end(payload={EventPayload.EXCEPTION: error})
        if unfinished and error is not None:
            vars(error)["event_added"] = True  # LlamaIndex's mark: events around these do not tell of it again
