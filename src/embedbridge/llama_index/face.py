"""LlamaIndex's methods and events over an embedder. Names and shapes, no decisions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding, mean_agg
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import BaseNode
from pydantic import (
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from embedbridge._core.prepare import check_texts
from embedbridge._frameworks.face import Face, alists, lists
from embedbridge._value_faults import kind_of
from embedbridge.errors import ConfigurationError, InvalidInputError
from embedbridge.observers import watching

from .instrumentation import Announced

if TYPE_CHECKING:
    from embedbridge.langchain import BridgeEmbeddings

__all__ = ["LlamaIndexFace"]

WHOLE = "embedbridge: all options"
"""In the context of a dump: it is of the object itself, and not of another that holds it."""


class LlamaIndexFace(Face, BaseEmbedding):
    """LlamaIndex `BaseEmbedding` over `self.embedder`."""

    def _compared(self) -> tuple[Any, ...]:
        """As of every face; managers of callbacks are equal where their handlers are."""
        fields, *more = super()._compared()
        return {**fields, "callback_manager": self.callback_manager.handlers}, *more

    def as_langchain(self) -> BridgeEmbeddings:
        """The same embedder as a LangChain `Embeddings`.

        Returns:
            A `BridgeEmbeddings` over the same embedder.
        """
        return self.embedder.as_langchain()

    # What LlamaIndex stores and shows.

    @model_serializer(mode="wrap")
    def custom_model_dump(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Within another component, such as a splitter, as `to_dict`: that is filed under what decides its vectors."""
        if not (info.context or {}).get(WHOLE):
            return self.to_dict()
        return {**self._dumped(handler(self), masked=info.mode == "json"), "class_name": self.class_name()}

    def _dumped(self, fields: dict[str, Any], *, masked: bool) -> dict[str, Any]:
        return fields

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
            "model_name": self.model_name,
            "embed_batch_size": self.embed_batch_size,
            "dimensions": self.embedder.options.dimensions,
        }

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """The nodes, each with its vector."""
        return super().__call__(_nodes(nodes), **kwargs)

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """The nodes, each with its vector."""
        return await super().acall(_nodes(nodes), **kwargs)

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
        show_progress: bool = False,
        **kwargs: Any,
    ) -> list[Embedding]:
        """One list of floats for each document."""
        listed = check_texts(texts)
        with self._told(self._groups(listed)) as told, self._bar(shown=show_progress):
            return told(self._get_text_embeddings(listed))

    async def aget_text_embedding_batch(
        self,
        texts: Iterable[str],
        show_progress: bool = False,
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
        return _mean_by(agg_fn)([self.get_query_embedding(query) for query in _some(queries)])

    async def aget_agg_embedding_from_queries(
        self, queries: list[str], agg_fn: Callable[..., Embedding] | None = None
    ) -> Embedding:
        """The mean of several queries' vectors, or what `agg_fn` makes of them."""
        return _mean_by(agg_fn)(list(await asyncio.gather(*map(self.aget_query_embedding, _some(queries)))))

    def _groups(self, texts: Sequence[str]) -> list[Sequence[str]]:
        size = self.embed_batch_size
        return [texts[at : at + size] for at in range(0, len(texts), size)]

    def _told(self, groups: Sequence[Sequence[str]]) -> Announced:
        return Announced(groups, self.callback_manager, self.to_payload())

    def _bar(self, *, shown: bool) -> AbstractContextManager[None]:
        """A bar for one call, unless this embedder draws one for every call."""
        if not isinstance(shown, bool):
            raise ConfigurationError(f"show_progress: write True or False, not {kind_of(shown)}")
        if not shown or self.embedder.options.show_progress:
            return nullcontext()
        from embedbridge.observers.progress import ProgressBar

        return watching(ProgressBar())

    # What subclasses of the base class provide. LlamaIndex traces each of these that a class defines: one class does.

    def _as_sent(self, texts: list[str]) -> list[str]:
        """Texts of any role, where an original sends others than it was given."""
        return texts

    def _begin_query(self) -> None:
        """Before the query of a blocking call."""

    def _get_query_embedding(self, query: str) -> Embedding:
        self._begin_query()
        vector: Embedding = self._asked().embed_query(*self._as_sent([query])).tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> Embedding:
        vector: Embedding = (await self._asked().aembed_query(*self._as_sent([query]))).tolist()
        return vector

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return lists(self._asked().embed_documents(self._as_sent(texts)))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await alists(await self._asked().aembed_documents(self._as_sent(texts)))


def _nodes(nodes: Iterable[BaseNode]) -> Sequence[BaseNode]:
    """Nodes, which are gone through twice. Raises `InvalidInputError` where one is none."""
    if not isinstance(nodes, Iterable) or getattr(nodes, "ndim", 1) != 1:
        raise InvalidInputError(f"nodes is {kind_of(nodes)}; give a list of nodes of LlamaIndex")
    listed = nodes if isinstance(nodes, list) else list(nodes)
    for index, node in enumerate(listed):
        if not isinstance(node, BaseNode):
            told = f"node {index} is {kind_of(node)}, and no node of LlamaIndex; texts go to get_text_embedding_batch"
            raise InvalidInputError(told, index=index)
    return listed


def _mean_by(function: Callable[..., Embedding] | None) -> Callable[..., Embedding]:
    if function is not None and not callable(function):
        raise ConfigurationError(f"agg_fn: give a function of a list of vectors, not {kind_of(function)}")
    return function or mean_agg


def _some(queries: Iterable[str]) -> list[str]:
    """Queries to be made one vector of. Raises `InvalidInputError` where there is none, or one is no text."""
    listed = check_texts(queries)
    if not listed:
        raise InvalidInputError("there is no query, and so nothing to make a vector of")
    return listed
