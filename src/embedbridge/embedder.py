"""`Embedder`: turns a call into a flow and runs it, in threads or in tasks."""

from __future__ import annotations

import itertools
import logging
import os
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any, Self

from ._core import flow
from ._core.canary import TEXTS, Canary
from ._core.flights import Flights
from ._core.job import Job
from ._core.keys import key_rules
from ._core.locks import OwnLock
from ._core.prepare import check_container, check_input_type, check_text, check_texts, prepare
from ._core.setting import Setting
from ._core.signals import Signal
from ._core.space import INDEXED, LENGTHS, VectorSpace
from ._core.types import Batch, EmbeddingResult, Estimate, Identity, InputType, Report, Route, Vectors
from ._run import stream as streams
from ._run.call import Call, add_report
from ._run.describe import Description, describe_parts
from ._run.drivers import Stopped
from ._run.parts import Live, make_parts, resolve_in_time, start
from ._run.roles import find_route, unlisted
from ._threads.background import check_asyncio, check_not_ended, run_in_background, run_in_thread, undisturbed
from ._threads.telling import warn, write_log
from .errors import ConfigurationError, DeadlineExceededError, EmbeddingError
from .observers import in_stream
from .options import DEFAULT_MODEL, EmbedderOptions, check_settable

__all__ = ["Canary", "Description", "Embedder", "Route"]

INLINE = 64
INLINE_CHARACTERS = 1 << 18
"""Up to so many texts and characters are prepared on the event loop; more in a thread, so that it is never blocked."""

_calls = itertools.count(1)
_flights: weakref.WeakValueDictionary[object, Flights] = weakref.WeakValueDictionary()
"""Cache → the texts that are being fetched for it, by all embedders that share it."""
_embedders: weakref.WeakSet[Embedder] = weakref.WeakSet()


class Embedder:
    """Texts to vectors, by any provider, asking only for what the cache does not have.

    Args:
        model: `provider:model`, for example `openai:text-embedding-3-small`.
        **options: see `EmbedderOptions`.

    Raises:
        ConfigurationError: at construction, for unknown options, providers and bad values; nothing is opened yet.
    """

    def __init__(self, model: str = DEFAULT_MODEL, **options: Any) -> None:
        self._set_up(EmbedderOptions(model=model, **options))

    @classmethod
    def from_options(cls, options: EmbedderOptions) -> Self:
        """An embedder of options that are made already, those of an adapter included.

        Args:
            options: checked when they were made.

        Returns:
            An embedder with money, limits and usage of its own.
        """
        embedder = cls.__new__(cls)
        embedder._set_up(options)  # noqa: SLF001 - our own
        return embedder

    def _set_up(self, options: EmbedderOptions) -> None:
        self.options = options
        self._parts = make_parts(options)
        self._lock = OwnLock()
        self._live: Live | None = None
        self._parent: Setting | None = None
        """In a forked child: what its parent had spent and learnt."""
        self._said: set[str] = set()
        self._expected: Mapping[str, Any] | None = None
        """Of a copy whose model is not here yet: what decides the vectors of its original."""
        self.usage = Report()
        """What all calls so far did and cost together."""
        _embedders.add(self)

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
        return self._embed(listed, input_type, deadline=deadline)

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
        call, quick = await self._abegin(texts, input_type)
        call.job.in_loop = True
        async with call:
            await call.live.tasks.run(flow.embed(call.job), apart=not quick)
        return call.result() if quick else await run_in_thread(call.result)

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
        vector: Vectors = self.embed([check_text(text)], input_type="query").vectors[0]
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

        def embed(chunk: list[str], stop: Signal) -> EmbeddingResult:
            in_stream.set(True)  # this thread is the chunk's own
            call = self._begin(check_texts(chunk), role)
            with suppress(Stopped):
                return self._run(call, stop)
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

        async def aembed(chunk: list[str]) -> EmbeddingResult:
            in_stream.set(True)  # this task is the chunk's own
            return await self.aembed(chunk, input_type=role)

        return streams.astream(aembed, texts, chunk_size, self._stream_bar(role))

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
        listed, deadline = self._read(texts)

        def estimate(stop: Signal | None) -> Estimate:
            call = self._begin(listed, input_type, deadline=deadline)
            return self._estimated(call, call.live.sync.run(flow.estimate(call.job), stop))

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
        call, quick = await self._abegin(texts, input_type)
        batches = await call.live.tasks.run(flow.estimate(call.job), apart=not quick)
        return self._estimated(call, batches) if quick else await run_in_thread(partial(self._estimated, call, batches))

    def _estimated(self, call: Call, batches: Sequence[Batch]) -> Estimate:
        job, tokens = call.job, sum(batch.tokens for batch in batches)
        purse, cost, most = job.setting.purse, None, None
        if purse.priced:
            cost, most = purse.dollars(tokens), purse.dollars(sum(map(job.at_most, batches)))
        cached = len(job.places(row for row, got in enumerate(job.have) if got and row not in job.parent))
        api = self._parts.provider.batch_api
        by_batch = None if cost is None or api is None else cost * float(api.share)
        return Estimate(len(job.sheet.where), cached, len(batches), tokens, cost, most, by_batch)

    @property
    def space(self) -> VectorSpace:
        """All that decides the numbers of a vector; vectors of equal spaces can be compared.

        Of a local model that is not on this machine yet it is known once the model is downloaded, which this does and
        waits for: in an event loop, ask for it in a thread, or after a first call.
        """
        resolve_in_time(self._parts, None)
        provider, finish = self._parts.provider, self._parts.finish
        identity, headers = provider.identity, frozenset(getattr(provider, "header_details", ()))
        named = frozenset(part for part in provider.former_details(identity)[0] if not part.startswith(LENGTHS))
        routes = {role: self._route(role) for role in INDEXED}
        return VectorSpace(
            provider=identity.provider,
            model=identity.model,
            endpoint=identity.endpoint,
            revision=identity.revision,
            details=identity.details,
            dimensions=finish.cut or provider.config.dimensions,
            normalize=self.options.normalize,
            reduction=finish.reduction.fingerprint if finish.reduction else "",
            too_long=" ".join((self.options.too_long, *provider.length_asked())),
            routes={
                role: route.prefix + (f" ({route.wire_type})" if route.wire_type else "")
                for role, route in routes.items()
            },
            former=(named - headers, headers),
        )

    def canary(self) -> Canary:
        """The model's vectors of six fixed texts, to be compared with those of another day.

        It costs one small request: the cache is neither read nor written.

        Returns:
            Six vectors, with `save`, `load` and `compare`.

        Raises:
            EmbeddingError: as `embed`.
        """
        return Canary(self._embed(list(TEXTS), "document", fresh=True).vectors)

    async def acanary(self) -> Canary:
        """`canary` as a coroutine.

        Returns:
            The same as `canary`.

        Raises:
            EmbeddingError: as `embed`.
        """
        check_asyncio()
        call = await run_in_thread(partial(self._begin, list(TEXTS), "document", fresh=True))
        async with call:
            await call.live.tasks.run(flow.embed(call.job))
        return Canary(call.result().vectors)

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
        resolve_in_time(self._parts, None)
        return self._route(input_type)

    def describe(self) -> Description:
        """The exact text that is sent for each role, and what is known of the model. Sends nothing.

        Returns:
            A value whose `str()` is a page to read.
        """
        return describe_parts(self._parts)

    def as_langchain(self) -> Any:
        """The same embedder as a LangChain `Embeddings`.

        Returns:
            A `BridgeEmbeddings` over this embedder.

        Raises:
            MissingExtraError: langchain-core is not installed.
        """
        from .langchain import BridgeEmbeddings

        return BridgeEmbeddings.of(self)

    def as_llama_index(self) -> Any:
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
        await self._parts.provider.aclose()
        await run_in_background(self.close)

    def __setattr__(self, name: str, value: Any) -> None:
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
        return _rebuild, (type(self), self.options.portable(), self.space_known())

    def __copy__(self) -> Self:
        # Another embedder, with money, limits and usage of its own.
        made = type(self).from_options(self.options)
        made.check_space(self.space_known())
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def space_known(self) -> dict[str, Any] | None:
        """What decides vectors, without secrets.

        Returns:
            The parts of `space` by name; None where a model must be downloaded to know them.
        """
        return self.space.parts() if self._parts.provider.known_offline else None

    def check_space(self, expected: Mapping[str, Any] | None) -> None:
        """Compare this embedder with the one of which it is a copy.

        Args:
            expected: what `space_known` of the original gives; None: nothing is known of it.

        Raises:
            ConfigurationError: this one gives other vectors, because its surroundings are others.
        """
        ours = self.space_known()
        self._expected = expected  # until it is checked: where the model is not here yet, by the first call
        if expected is None or ours is None:
            return
        for name, value in expected.items():
            if name in ours and ours[name] != value:
                raise ConfigurationError(
                    f"this copy of an embedder would not ask as its original, because its surroundings are others: "
                    f"{name} is {ours[name]!r} here and {value!r} there. Have the same environment variables, model "
                    "files and reduction in both places, or give as options what the variables say"
                )
        self._expected = None

    # Internals.

    def _route(self, input_type: InputType) -> Route:
        return find_route(self._parts, check_input_type(input_type), saved=self._parts.provider.prompts())

    def _running(self) -> Live:
        live = self._live
        if live is None:
            with self._lock:
                live = self._live = self._live or start(self._parts, _flights, self._parent)
        return live

    def _deadline(self) -> float | None:
        """When a call that begins now has to end."""
        return None if self.options.deadline is None else time.monotonic() + self.options.deadline

    def _read(self, texts: Iterable[str]) -> tuple[list[str], float | None]:
        """The texts of a call that begins now, checked, and when it has to end."""
        deadline = self._deadline()
        listed = check_texts(texts)
        self._check_in_time(texts, listed, deadline)
        return listed, deadline

    def _check_in_time(self, texts: Iterable[str], listed: Sequence[str], deadline: float | None) -> None:
        """Raise `DeadlineExceededError` where an iterable gave its texts too slowly."""
        if not isinstance(texts, list | tuple) and deadline and time.monotonic() >= deadline:
            error = DeadlineExceededError(f"{self.options.model}: the deadline passed while the texts were read")
            error.failed_indices = tuple(range(len(listed)))
            error.provider, error.model = self._parts.provider.name, self._parts.provider.model
            raise error

    def _begin(
        self, texts: list[str], input_type: InputType, *, deadline: float | None = None, fresh: bool = False
    ) -> Call:
        check_not_ended()
        deadline = deadline or self._deadline()
        resolve_in_time(self._parts, deadline)
        if self._expected is not None:
            self.check_space(self._expected)
        live, route = self._running(), self._route(input_type)
        sheet = prepare(texts, route, empty=self.options.empty)
        self._warn_of_roles(route, sheet.prefixed)
        setting, provider = live.setting, self._parts.provider
        rules = partial(
            key_rules,
            wire_type=route.wire_type,
            policy=setting.policy,
            limit=setting.limits.text_tokens,
            prefix=route.prefix,
            prefix_apart=provider.prefix_apart,
        )
        full = setting.full_width

        def former(identity: Identity) -> tuple[str, ...] | None:
            details, whole = provider.former_details(identity)
            return details if whole else None

        job = Job(
            setting,
            route,
            sheet,
            rules(setting.identity, former=former(setting.identity)),
            next(_calls),
            deadline=deadline,
            full_width_rules=rules(full[0], former=former(full[0])) if full else None,
            fresh=fresh,
        )
        return Call(live, job, self._parts.finish, self._book)

    async def _abegin(self, texts: Iterable[str], input_type: InputType) -> tuple[Call, bool]:
        """`_begin` for an event loop; also whether so little is to be done that all of it may be done there."""
        check_asyncio()
        check_container(texts)
        deadline = self._deadline()
        # A list can be read in a thread. Anything else may be bound to this one, as a generator over a database is.
        items = texts if isinstance(texts, list | tuple) else list(texts)
        self._check_in_time(texts, items, deadline)
        quick = False
        if len(items) <= INLINE:
            items = check_texts(items)
            quick = sum(map(len, items)) <= INLINE_CHARACTERS and self._live is not None
        begin = partial(self._checked, items, input_type, deadline)
        if quick:
            return begin(), quick
        # The first call may have to download a model, which takes longer than the threads for short work are for.
        return await (run_in_background if self._live is None else run_in_thread)(begin), quick

    def _close(self, _: Signal | None) -> None:
        self._parts.provider.close()
        if self._live is not None and self._live.setting.store is not None:
            self._live.setting.store.close()

    def _embed(
        self, texts: list[str], input_type: InputType, *, deadline: float | None = None, fresh: bool = False
    ) -> EmbeddingResult:
        begin = partial(self._begin, texts, input_type, deadline=deadline, fresh=fresh)
        return undisturbed(lambda stop: self._run(begin(), stop))

    def _checked(self, texts: Iterable[str], input_type: InputType, deadline: float | None) -> Call:
        return self._begin(check_texts(texts), input_type, deadline=deadline)

    def _run(self, call: Call, stop: Signal | None = None) -> EmbeddingResult:
        with call:
            call.live.sync.run(flow.embed(call.job), stop)
        return call.result()

    def _stream_bar(self, input_type: InputType) -> streams.Bar:
        if not self.options.show_progress:
            return nullcontext(lambda _: None)
        from .observers.progress import stream_bar

        return stream_bar(input_type)

    def _warn_of_roles(self, route: Route, prefixed: int | None) -> None:
        """Report once what may be wrong with prefixes: in the log, or as a warning where the caller's code is wrong."""
        said = unlisted(self._parts, route)
        if said is not None and "unlisted" not in self._said:
            self._said.add("unlisted")
            write_log(logging.WARNING, said)
        if prefixed is not None and route.input_type not in self._said:
            self._said.add(route.input_type)
            warn(
                f"text {prefixed} already begins with the {route.input_type} prefix {route.prefix!r}; "
                "it is not put there twice",
                stacklevel=4,
            )

    def _book(self, report: Report) -> None:
        with self._lock:
            add_report(self.usage, report)

    def _after_fork(self) -> None:
        self._lock = OwnLock()
        if self._live is not None:
            self._parent, self._live = self._live.setting, None
        self._parts.provider.after_fork()


def _rebuild(kind: type[Embedder], options: dict[str, Any], space: Mapping[str, Any] | None = None) -> Embedder:
    made = kind.from_options(EmbedderOptions(**options))
    made.check_space(space)
    return made


def _after_fork() -> None:
    global _flights  # noqa: PLW0603 - a child has none of its parent's calls
    _flights = weakref.WeakValueDictionary()
    for embedder in tuple(_embedders):
        embedder._after_fork()  # noqa: SLF001 - one module, one thing


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
