"""What LlamaIndex's stand-ins share: LlamaIndex's own keywords, and how an object is stored and read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from llama_index.core.callbacks import CallbackManager
from llama_index.core.embeddings.loading import RECOGNIZED_EMBEDDINGS
from pydantic import Field, SerializationInfo, SerializerFunctionWrapHandler, model_serializer

from embedbridge._frameworks.stand_in import StandIn
from embedbridge._run.stored import FINGERPRINT, check_made
from embedbridge.errors import ConfigurationError

from .bridge import CHANGING, EMBEDDINGS_CACHE
from .face import LlamaIndexFace

__all__ = ["LlamaIndexStandIn", "recognise"]

SPEED = {
    *("embed_batch_size", "num_workers", "max_retries", "timeout", "reuse_client", "show_progress_bar", "keep_alive"),
    *("callback_manager", "show_progress", "batch_size", "cache", "cache_ttl", "cache_size_limit", "cache_dtype"),
    *("concurrency", "requests_per_minute", "tokens_per_minute", "rate_limiter", "deadline", "max_cost", "observers"),
}
"""Keywords that decide no vector."""


class LlamaIndexStandIn(StandIn, LlamaIndexFace):
    """`embed_batch_size` bounds the texts of a request and of an event, `num_workers` the requests under way."""

    settable = frozenset({"callback_manager"})

    num_workers: int | None = Field(default=None, ge=1)

    def __init__(self, given: Mapping[str, Any]) -> None:
        if given["ours"].get("embeddings_cache") is not None:
            raise ConfigurationError(EMBEDDINGS_CACHE)
        own = {"class_name": self.class_name()}  # LlamaIndex adds it to every dump; any other is an unknown option
        ours = {name: value for name, value in given["ours"].items() if (name, value) not in own.items()}
        super().__init__({**given, "ours": ours})

    @classmethod
    def class_name(cls) -> str:
        """That of the original."""
        return cls._own().__name__

    def _stated(self) -> dict[str, Any]:
        shared = {"batch_size": self.embed_batch_size, "concurrency": self.num_workers}
        found = {**shared, "rate_limiter": self.rate_limiter}
        return {name: value for name, value in found.items() if value is not None} | super()._stated()

    @model_serializer(mode="wrap")
    def custom_model_dump(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """As of LlamaIndex's face."""
        return LlamaIndexFace.custom_model_dump(self, handler, info)

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        state["fields"]["callback_manager"] = CallbackManager(
            []
        )  # handlers belong to the process in which they were set
        return state

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """The keywords that decide vectors, without secrets, as the original has them; and our fingerprint of them."""
        given = {**self.stored(), "model_name": self.model_name}
        said = {name for name, value in given.items() if value is not None or name.endswith("_prefix")}
        kept = {name: given[name] for name in given if name in said - SPEED}
        return kept | {"class_name": self.class_name(), FINGERPRINT: self.embedder.space.fingerprint}

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """What `to_dict` gave, with a cache, limits and keys of its own; `kwargs` stand over it.

        Raises:
            ConfigurationError: this makes another embedder, because of something that is not stored.
        """
        stored = {name: value for name, value in data.items() if name not in {FINGERPRINT, "class_name"}}
        made = cls(**{**stored, **kwargs})
        if not {*CHANGING, "model_name"} & set(kwargs):
            check_made(made.embedder, data)
        return made


class _Recognised:
    """In LlamaIndex's table of classes to load: ours loads what ours stored, and leaves the rest to the original."""

    def __init__(self, ours: type[LlamaIndexStandIn], theirs: Any) -> None:
        self._ours, self._theirs = ours, theirs or ours

    def from_dict(self, data: dict[str, Any], **kwargs: Any) -> Any:
        return (self._ours if FINGERPRINT in data else self._theirs).from_dict(data, **kwargs)


def recognise(*kinds: type[LlamaIndexStandIn]) -> None:
    """Have LlamaIndex's `load_embed_model` read what these classes store.

    Args:
        *kinds: the classes, by their `class_name`.
    """
    table: dict[str, Any] = RECOGNIZED_EMBEDDINGS
    for kind in kinds:
        table[kind.class_name()] = _Recognised(kind, table.get(kind.class_name()))
