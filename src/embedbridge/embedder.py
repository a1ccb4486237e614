"""`Embedder`: turns a call into a flow and runs it, in threads or in tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self, Unpack

from ._core import flow
from ._core.canary import TEXTS, Canary
from ._core.prepare import check_text, check_texts
from ._core.signals import Signal
from ._core.space import VectorSpace
from ._core.types import EmbeddingResult, Estimate, InputType, Report, Route, Vectors
from ._run import stream as streams
from ._run.describe import Description, describe_parts
from ._run.drivers import Stopped
from ._run.engine import Engine
from ._run.explained import explained_later, loaded_later
from ._run.spaces import route_of, space_of
from ._run.watches import Watch, check_watches, is_building
from ._threads.background import check_asyncio, run_in_background, run_in_thread, undisturbed
from ._threads.imports import importing
from ._value_faults import kind_of
from .catalogue.known import KnownModel
from .catalogue.rows import DEFAULT_MODEL
from .errors import ConfigurationError, EmbeddingError
from .observers import in_stream

if TYPE_CHECKING:
    from . import keywords
    from .langchain import BridgeEmbeddings
    from .llama_index import BridgeEmbedding
    from .options import EmbedderOptions
else:
    keywords = loaded_later("embedbridge.keywords")

__all__ = ["Canary", "Description", "Embedder", "Route"]


@explained_later
class Embedder(Engine):
    """Texts to vectors, by any provider, asking only for what the cache does not have.

    Args:
        model: `provider:model`, for example `openai:text-embedding-3-small`.
        **options: those of `EmbedderOptions`.

    Raises:
        ConfigurationError: at construction, for unknown options, providers and bad values; nothing is opened yet.
    """

    def __init__(self, model: KnownModel | str = DEFAULT_MODEL, **options: Unpack[keywords.Options]) -> None:
        """Check the options; nothing is opened yet."""
        with importing():
            from .options import EmbedderOptions

        self._set_up(EmbedderOptions(model, **options))

    @classmethod
    def from_options(cls, options: EmbedderOptions) -> Self:
        """An embedder of options that are made already, those of an adapter included.

        Args:
            options: checked when they were made.

        Returns:
            An embedder with money, limits and usage of its own.

        Raises:
            ConfigurationError: they are none.
        """
        from .options import EmbedderOptions

        if not isinstance(options, EmbedderOptions):
            raise ConfigurationError(f"options: give EmbedderOptions, not {kind_of(options)}")
        embedder = cls.__new__(cls)
        embedder._set_up(options)  # noqa: SLF001 - our own
        return embedder

    # The public calls.

    def embed(self, texts: Iterable[str], *, input_type: InputType = "document") -> EmbeddingResult:
        """Embed texts; only those that are not in the cache are sent to the provider.

        Args:
            texts: read once. Equal texts are sent once.
            input_type: their role: `query`, `document`, `classification` or `clustering`.

        Returns:
            `vectors`, shape `(n, dimensions)`, float32, in which row i belongs to text i; and a `report`.

        Raises:
            InvalidInputError: something is not a text, or a text is empty; nothing was sent.
            EmbeddingError: `failed_indices` have no vector; those of `completed` are in the cache, if there is one.
        """
        listed, deadline = self._read(texts)
        return self._embed(listed, input_type, deadline)

    async def aembed(self, texts: Iterable[str], *, input_type: InputType = "document") -> EmbeddingResult:
        """`embed` as a coroutine, which never blocks the event loop.

        Args:
            texts: read once. Equal texts are sent once.
            input_type: their role: `query`, `document`, `classification` or `clustering`.

        Returns:
            The same as `embed`.

        Raises:
            InvalidInputError: something is not a text, or a text is empty; nothing was sent.
            EmbeddingError: `failed_indices` have no vector; those of `completed` are in the cache, if there is one.
        """
        return await self._aembed(texts, input_type)

    def embed_documents(self, texts: Iterable[str]) -> Vectors:
        """The vectors of documents.

        Args:
            texts: read once. Equal texts are sent once.

        Returns:
            Shape `(n, dimensions)`, float32; row i belongs to text i.

        Raises:
            InvalidInputError: something is not a text, or a text is empty; nothing was sent.
            EmbeddingError: `failed_indices` have no vector; those of `completed` are in the cache, if there is one.
        """
        return self.embed(texts, input_type="document").vectors

    async def aembed_documents(self, texts: Iterable[str]) -> Vectors:
        """`embed_documents` as a coroutine.

        Args:
            texts: read once. Equal texts are sent once.

        Returns:
            Shape `(n, dimensions)`, float32; row i belongs to text i.

        Raises:
            InvalidInputError: something is not a text, or a text is empty; nothing was sent.
            EmbeddingError: `failed_indices` have no vector; those of `completed` are in the cache, if there is one.
        """
        return (await self.aembed(texts, input_type="document")).vectors

    def embed_query(self, text: str) -> Vectors:
        """The vector of one query.

        Args:
            text: the query, without a prefix.

        Returns:
            Shape `(dimensions,)`, float32.

        Raises:
            InvalidInputError: something is not a text, or a text is empty; nothing was sent.
            EmbeddingError: `failed_indices` have no vector; those of `completed` are in the cache, if there is one.
        """
        vector: Vectors = self._embed([check_text(text)], "query", self._deadline()).vectors[0]
        return vector

    async def aembed_query(self, text: str) -> Vectors:
        """`embed_query` as a coroutine.

        Args:
            text: the query, without a prefix.

        Returns:
            Shape `(dimensions,)`, float32.

        Raises:
            InvalidInputError: something is not a text, or a text is empty; nothing was sent.
            EmbeddingError: `failed_indices` have no vector; those of `completed` are in the cache, if there is one.
        """
        vector: Vectors = (await self.aembed([check_text(text)], input_type="query")).vectors[0]
        return vector

    def stream(
        self, texts: Iterable[str], *, input_type: InputType = "document", chunk_size: int = 1024
    ) -> Generator[EmbeddingResult]:
        """Embed an iterable of any length in bounded memory.

        A stream that is left early (`break`, `close`, Ctrl-C) sends nothing more. `deadline` holds for each chunk.

        Args:
            texts: read as they are needed, never all at once.
            input_type: their role.
            chunk_size: texts per result, at least 1.

        Yields:
            One result for every `chunk_size` texts, in order.

        Raises:
            InvalidInputError: at once, for wrong arguments.
            EmbeddingError: after the results of all chunks before it; its indices count from the first text of the
                stream.
        """
        role = streams.check_stream(texts, chunk_size, input_type)
        watches = () if is_building() else self._watches

        def embed(chunk: list[str], at: int, stop: Signal) -> EmbeddingResult:
            in_stream.set(True)  # this thread is the chunk's own
            check_watches(watches)
            with suppress(Stopped):
                return self._run(self._begin(check_texts(chunk, at), role, self._deadline(), first=at), stop)
            raise EmbeddingError("the program ends, and the stream with it: nothing more is sent")

        return streams.stream(embed, texts, chunk_size, self._stream_bar(role))

    def astream(
        self,
        texts: Iterable[str] | AsyncIterable[str],
        *,
        input_type: InputType = "document",
        chunk_size: int = 1024,
    ) -> AsyncGenerator[EmbeddingResult]:
        """`stream` as an async iterator.

        Args:
            texts: an iterable, or an async one. One that is not async is read on the event loop.
            input_type: their role.
            chunk_size: texts per result, at least 1.

        Yields:
            One result for every `chunk_size` texts, in order.

        Raises:
            InvalidInputError: at once, for wrong arguments.
            EmbeddingError: as in `stream`.
        """
        role = streams.check_stream(texts, chunk_size, input_type, may_be_async=True)

        async def aembed(chunk: list[str], at: int) -> EmbeddingResult:
            in_stream.set(True)  # this task is the chunk's own
            return await self._aembed(chunk, role, at)

        from ._run.astream import astream

        return astream(aembed, texts, chunk_size, self._stream_bar(role))

    def estimate(self, texts: Iterable[str], *, input_type: InputType = "document") -> Estimate:
        """Tokens, requests and dollars that `embed` would take, given what the cache has. Sends nothing.

        Args:
            texts: read once. Equal texts are sent once.
            input_type: their role: `query`, `document`, `classification` or `clustering`.

        Returns:
            Counts of texts, requests and tokens, and dollars where the price is known.

        Raises:
            InvalidInputError: something is not a text, or a text is empty.
            InputTooLongError: under `too_long="error"`, as `embed` raises it.
        """
        return self._estimate(texts, input_type)

    def _estimate(self, texts: Iterable[str], input_type: InputType, first: int = 0) -> Estimate:
        """`estimate`, of a chunk whose first text is text `first` of the caller's."""
        listed, deadline = self._read(texts, first)

        from ._run.estimates import estimated

        def estimate(stop: Signal | None) -> Estimate:
            job = self._begin(listed, input_type, deadline, first=first)
            return estimated(self._parts, job, self._threads.run(flow.estimate(job), stop))

        return undisturbed(estimate)

    async def aestimate(self, texts: Iterable[str], *, input_type: InputType = "document") -> Estimate:
        """`estimate` as a coroutine.

        Args:
            texts: read once. Equal texts are sent once.
            input_type: their role: `query`, `document`, `classification` or `clustering`.

        Returns:
            The same as `estimate`.

        Raises:
            InvalidInputError: something is not a text, or a text is empty.
            InputTooLongError: under `too_long="error"`, as `embed` raises it.
        """
        from ._run.estimates import estimated

        listed, deadline, quick = self._read_in_loop(texts)
        job = await self._abegin(listed, input_type, deadline, quick=quick)
        batches = await self._tasks.run(flow.estimate(job), apart=not quick)
        if quick and self._parts.provider.batch_api is None:
            return estimated(self._parts, job, batches)
        return await run_in_background(partial(estimated, self._parts, job, batches))  # which looks into a ledger

    @property
    def usage(self) -> Report:
        """What all calls so far did and cost together."""
        return self._usage

    @property
    def space(self) -> VectorSpace:
        """All that decides the numbers of a vector; vectors of equal spaces can be compared.

        Of a local model that is not on this machine yet it is known once the model is downloaded, which this does and
        waits for: in an event loop, ask for it in a thread, or after a first call.
        """
        self._resolve()
        return space_of(self._parts)

    def canary(self) -> Canary:
        """The model's vectors of six fixed texts, to be compared with those of another day.

        It costs one small request: the cache is neither read nor written.

        Returns:
            Six vectors, with `save`, `load` and `compare`.

        Raises:
            EmbeddingError: as `embed`.
        """
        return Canary(self._embed(list(TEXTS), "document", self._deadline(), fresh=True).vectors)

    async def acanary(self) -> Canary:
        """`canary` as a coroutine.

        Returns:
            The same as `canary`.

        Raises:
            EmbeddingError: as `embed`.
        """
        check_asyncio()
        begin = partial(self._begin, list(TEXTS), "document", self._deadline(), fresh=True)
        job = await run_in_thread(begin)
        await self._arun(job)
        return Canary(job.result().vectors)

    def route(self, input_type: InputType) -> Route:
        """The prefix of a role, or the request's own name for it.

        Like `space`, it downloads a local model that is not on this machine yet.

        Args:
            input_type: the role.

        Returns:
            The prefix, the request's own name for the role, and which source decided.

        Raises:
            InvalidInputError: it is no role.
        """
        self._resolve()
        return route_of(self._parts, input_type)

    def describe(self) -> Description:
        """The exact text that is sent for each role, and what is known of the model. Sends nothing.

        Returns:
            A value whose `str()` is a page to read.
        """
        return describe_parts(self._parts)

    def as_langchain(self) -> BridgeEmbeddings:
        """The same embedder as a LangChain `Embeddings`.

        Returns:
            A `BridgeEmbeddings` over this embedder.

        Raises:
            MissingExtraError: langchain-core is not installed.
        """
        from .langchain import BridgeEmbeddings

        return BridgeEmbeddings.of(self)

    def as_llama_index(self) -> BridgeEmbedding:
        """The same embedder as a LlamaIndex `BaseEmbedding`.

        Returns:
            A `BridgeEmbedding` over this embedder.

        Raises:
            MissingExtraError: llama-index-core is not installed.
        """
        from .llama_index import BridgeEmbedding

        return BridgeEmbedding.of(self)

    # Closing and copying.

    def close(self) -> None:
        """Close connections and files. The embedder can be used again; it opens them anew.

        Calls under way in other threads go on. What was spent and learnt stays: money, rate limits, pauses, usage.
        """
        undisturbed(self._close)

    async def aclose(self) -> None:
        """`close` as a coroutine."""
        check_asyncio()
        for provider in self._parts.providers():
            await provider.aclose()
        await run_in_background(self.close)

    def __setattr__(self, name: str, value: Any) -> None:
        from .options import check_settable

        check_settable(self, name)
        super().__setattr__(name, value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"Embedder({self.options.model!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A key never enters a pickle; the process that reads it takes its own from the environment.
        return _rebuild, (type(self), self.options.portable(), self.space_known(), self._watches)

    def __copy__(self) -> Self:
        # Another embedder, with money, limits and usage of its own.
        made = type(self).from_options(self.options)
        made.check_space(self.space_known())
        made._watches = self._watches  # noqa: SLF001 - our own
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()


def _rebuild(
    kind: type[Embedder],
    options: dict[str, Any],
    space: Mapping[str, Any] | None = None,
    watches: tuple[Watch, ...] = (),
) -> Embedder:
    with importing():
        from .options import EmbedderOptions

    made = kind.from_options(EmbedderOptions(**options))
    made.check_space(space)
    made._watches = watches  # noqa: SLF001 - our own
    return made
