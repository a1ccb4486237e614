"""`BaseEmbedding` over an `Embedder`. Method names, shapes and the framework's own events, no decisions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding, mean_agg
from llama_index.core.callbacks import CallbackManager
from pydantic import (
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from embedbridge._core.prepare import check_texts
from embedbridge._frameworks.face import Face, alists, lists
from embedbridge._run.stored import FINGERPRINT, as_data, check_made
from embedbridge._secrets import changed
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, InvalidInputError
from embedbridge.observers import watching

from .instrumentation import Announced
from .tables import EVENT

__all__ = ["BridgeEmbedding"]

WHOLE = "embedbridge: all options"
"""In the context of a dump: it is of the object itself, and not of another that holds it."""
SYNONYMS = {"model_name": "model", "num_workers": "concurrency"}
"""LlamaIndex's name → the option that it is another name for."""
CHANGING = {"model", "dimensions", "reduction", "normalize", "query_prefix", "document_prefix", "too_long", "base_url"}
"""Options that make another embedder of stored data on purpose."""


class BridgeEmbedding(Face, BaseEmbedding):
    """LlamaIndex `BaseEmbedding` by any provider: `BridgeEmbedding(model="openai:text-embedding-3-small")`.

    Takes the options of `EmbedderOptions`, and of LlamaIndex's own: `callback_manager`; `embed_batch_size`, the texts
    that one event of the instrumentation tells of; `num_workers`, another name for `concurrency`. `embeddings_cache` is
    refused. Raises `ConfigurationError` at construction for wrong ones.
    """

    framework = "llama-index"
    fixed = frozenset({"model_name", "num_workers", "embeddings_cache", "embed_batch_size"})

    embed_batch_size: int = Field(default=EVENT, gt=0)
    num_workers: int | None = Field(default=None, ge=1)

    def model_post_init(self, context: Any, /) -> None:
        """Make the embedder."""
        if self.embeddings_cache is not None:
            raise ConfigurationError(
                "embeddings_cache: LlamaIndex files vectors there under the bare text, so that queries, documents and "
                "models are given each other's; use cache=, which keeps them apart, on disk or in Redis"
            )
        for name, ours in SYNONYMS.items():
            given, wanted = getattr(self, name), getattr(self, ours)
            if name in self.model_fields_set and given not in {None, wanted} and (wanted or name == "model_name"):
                raise ConfigurationError(f"{name}={given!r}: it is another name for {ours}, which is {wanted!r} here")
        self.__dict__ |= {"concurrency": self.concurrency or self.num_workers, "model_name": self.model}
        self.__dict__ |= {"num_workers": self.concurrency}
        super().model_post_init(context)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As of `EmbedderOptions`; a name of LlamaIndex's follows the option that it is another name for."""
        kept = {name: getattr(self, name) for name in type(self).model_fields if name not in SYNONYMS}
        if "num_workers" in (update or {}):
            kept["concurrency"] = None
        return self._made(**changed(kept, update or {}))

    @classmethod
    def class_name(cls) -> str:
        """Under which LlamaIndex stores it; stand-ins for integrations can be read back as what they are."""
        return "BridgeEmbedding"

    def as_langchain(self) -> Any:
        """The same embedder as a LangChain `Embeddings`.

        Returns:
            A `BridgeEmbeddings` over the same embedder.
        """
        return self.embedder.as_langchain()

    # What LlamaIndex stores and shows.

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """What decides vectors, without secrets: an ingestion cache files them under this."""
        return as_data(self.embedder) | {"class_name": self.class_name()}

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """What `to_dict` gave, with a cache, limits and keys of its own.

        Args:
            data: of `to_dict`.
            **kwargs: options besides; headers that are no part of `data` among `provider_options`.

        Raises:
            ConfigurationError: this makes another embedder, because of something that is not stored.
        """
        own = {"provider_options": {**data.get("provider_options", {}), **kwargs.get("provider_options", {})}}
        stored = {name: value for name, value in data.items() if name not in {FINGERPRINT, "class_name"}}
        made = cls._made(**changed(stored, kwargs) | own)
        if not CHANGING & set(kwargs):
            check_made(made.embedder, data)
        return made

    @model_serializer(mode="wrap")
    def custom_model_dump(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Within another component, such as a splitter, as `to_dict`: that is filed under what decides its vectors."""
        if not (info.context or {}).get(WHOLE):
            return self.to_dict()
        return {**handler(self), "class_name": self.class_name()}

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """All options, without secrets, as pydantic gives them."""
        return super().model_dump(**options | {"context": {**(options.get("context") or {}), WHOLE: True}})

    def model_dump_json(self, **options: Any) -> str:
        """`model_dump` as JSON."""
        return super().model_dump_json(**options | {"context": {**(options.get("context") or {}), WHOLE: True}})

    @field_validator("callback_manager", mode="before")
    @classmethod
    def _callbacks_are_managed(cls, manager: Any) -> Any:
        if manager is not None and not isinstance(manager, CallbackManager):
            raise ValueError(f"it is a CallbackManager of LlamaIndex, not {type(manager).__name__}")
        return manager

    @field_validator("embed_batch_size", "num_workers", mode="before")
    @classmethod
    def _count_is_not_a_bool(cls, number: Any) -> Any:
        return cls._number_is_not_a_bool(number)

    @model_validator(mode="before")
    @classmethod
    def _without_class_name(cls, options: Any) -> Any:
        """LlamaIndex adds it to every dump; any other is an unknown option."""
        if not isinstance(options, dict):
            return options
        own = {"class_name": cls.class_name()}
        return {name: value for name, value in options.items() if (name, value) not in own.items()}

    def to_payload(self) -> dict[str, Any]:
        """For instrumentation; without secrets and addresses."""
        return {
            "class_name": self.class_name(),
            "model_name": self.model,
            "embed_batch_size": self.embed_batch_size,
            "dimensions": self.dimensions,
        }

    def __getstate__(self) -> dict[Any, Any]:
        # Handlers belong to the process in which they were set.
        return super().__getstate__() | {"callback_manager": CallbackManager([])}

    def _restore(self, values: dict[str, Any], embedder: Embedder | None) -> None:
        super()._restore(values | {name: values[ours] for name, ours in SYNONYMS.items()}, embedder)

    # The public calls. They tell LlamaIndex of each group of texts as its base class does, and hand over all at once.

    def get_query_embedding(self, query: str) -> Embedding:
        """The list of floats of one query."""
        with self._told([[query]]) as told:
            return told([self._get_query_embedding(query)])[0]

    async def aget_query_embedding(self, query: str) -> Embedding:
        """The list of floats of one query."""
        with self._told([[query]]) as told:
            return told([await self._aget_query_embedding(query)])[0]

    def get_text_embedding(self, text: str) -> Embedding:
        """The list of floats of one document."""
        with self._told([[text]]) as told:
            return told([self._get_text_embedding(text)])[0]

    async def aget_text_embedding(self, text: str) -> Embedding:
        """The list of floats of one document."""
        with self._told([[text]]) as told:
            return told([await self._aget_text_embedding(text)])[0]

    def get_text_embedding_batch(
        self,
        texts: Iterable[str],
        show_progress: bool = False,  # noqa: FBT001, FBT002 - the base's signature
        **kwargs: Any,
    ) -> list[Embedding]:
        """One list of floats for each document."""
        listed = check_texts(texts)
        with self._told(self._groups(listed)) as told, self._bar(shown=show_progress):
            return told(self._get_text_embeddings(listed))

    async def aget_text_embedding_batch(
        self,
        texts: Iterable[str],
        show_progress: bool = False,  # noqa: FBT001, FBT002 - the base's signature
        **kwargs: Any,
    ) -> list[Embedding]:
        """One list of floats for each document."""
        listed = check_texts(texts)
        with self._told(self._groups(listed)) as told, self._bar(shown=show_progress):
            return told(await self._aget_text_embeddings(listed))

    def get_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """The mean of several queries' vectors, or what `agg_fn` makes of them."""
        return (agg_fn or mean_agg)([self.get_query_embedding(query) for query in _some(queries)])

    async def aget_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """The mean of several queries' vectors, or what `agg_fn` makes of them."""
        return (agg_fn or mean_agg)(list(await asyncio.gather(*map(self.aget_query_embedding, _some(queries)))))

    def _groups(self, texts: Sequence[str]) -> list[Sequence[str]]:
        size = self.embed_batch_size
        return [texts[at : at + size] for at in range(0, len(texts), size)]

    def _told(self, groups: Sequence[Sequence[str]]) -> Announced:
        return Announced(groups, self.callback_manager, self.to_payload())

    def _bar(self, *, shown: bool) -> AbstractContextManager[None]:
        """A bar for one call, unless this embedder draws one for every call."""
        if not shown or self.show_progress:
            return nullcontext()
        from embedbridge.observers.progress import ProgressBar

        return watching(ProgressBar())

    # What subclasses of the base class provide.

    def _get_query_embedding(self, query: str) -> Embedding:
        vector: Embedding = self.embedder.embed_query(query).tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> Embedding:
        vector: Embedding = (await self.embedder.aembed_query(query)).tolist()
        return vector

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return lists(self.embedder.embed_documents(texts))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await alists(await self.embedder.aembed_documents(texts))


def _some(queries: Iterable[str]) -> list[str]:
    """Queries to be made one vector of. Raises `InvalidInputError` where there is none, or one is no text."""
    listed = check_texts(queries)
    if not listed:
        raise InvalidInputError("there is no query, and so nothing to make a vector of")
    return listed
