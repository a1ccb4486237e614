"""`Embedder`: turns a call into a flow and runs it, in threads or in tasks."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
import warnings
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from .cache import GuardedStore, open_cache
from .catalogue import cards, look_up
from .core import events, flow
from .core.errors import ConfigurationError, EmbeddingError
from .core.finish import Finish, plan_width
from .core.flights import Flights
from .core.job import Job, Setting
from .core.keys import key_base
from .core.limits import Limiter
from .core.prepare import check_input_type, check_text, check_texts, prepare
from .core.retry import Backoff, RetryBudget
from .core.routing import choose_route
from .core.space import VectorSpace
from .core.tokens import truncation_part
from .core.types import INPUT_TYPES, EmbeddingResult, Estimate, InputType, Limits, Report, Route, Vectors
from .drivers import AsyncDriver, SyncDriver
from .observers import Emitter, log_event
from .options import DEFAULT_MODEL, EmbedderOptions
from .providers import ProviderConfig, canonical_name, provider_class
from .throttle import adapt

INLINE = 64
"""Lists up to this long are prepared on the event loop; longer ones in a thread, so that the loop is never blocked."""

_calls = itertools.count(1)
_flights = Flights()
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
        """An embedder of ready-made options, those of an adapter included."""
        embedder = cls.__new__(cls)
        embedder._set_up(options)  # noqa: SLF001 - our own
        return embedder

    def _set_up(self, options: EmbedderOptions) -> None:
        self.options = options
        name, _, model = options.model.partition(":")
        provider_name = canonical_name(name)
        kind = provider_class(provider_name)
        self._card = look_up(provider_name, model)
        own = dict(options.provider_options)
        force, self._task = bool(own.pop("force_dimensions", False)), own.pop("task", None)
        self._emit = Emitter([log_event, *_progress(options), *options.observers])
        config = ProviderConfig(
            model=model,
            card=self._card,
            api_key=options.api_key,
            base_url=options.base_url,
            too_long=options.too_long,
            options=own,
            notify=self._emit,
        )
        self._provider, self._finish = _plan(kind, config, options, force=force)
        self._cache = open_cache(options.cache, ttl=options.cache_ttl, size_limit=options.cache_size_limit)
        self._throttle = adapt(options.rate_limiter)
        self._lock = threading.Lock()
        self._live: _Live | None = None
        self._warned: set[str] = set()
        self.usage = Report()
        """What all calls so far did and cost together."""
        _embedders.add(self)

    # The public calls.

    def embed(self, texts: Iterable[str], *, input_type: InputType = "document") -> EmbeddingResult:
        """Vectors and a report; `result.vectors[i]` belongs to the i-th text, shape `(n, dimensions)`, float32."""
        call = self._begin(check_texts(texts), input_type)
        with call:
            call.live.sync.run(flow.embed(call.job))
        return call.result()

    async def aembed(self, texts: Iterable[str], *, input_type: InputType = "document") -> EmbeddingResult:
        """`embed` for event loops, never blocking them."""
        listed = check_texts(texts)
        quick = len(listed) <= INLINE and self._live is not None
        call = self._begin(listed, input_type) if quick else await asyncio.to_thread(self._begin, listed, input_type)
        with call:
            await call.live.tasks.run(flow.embed(call.job))
        return call.result() if quick else await asyncio.to_thread(call.result)

    def embed_documents(self, texts: Iterable[str]) -> Vectors:
        """Shape `(n, dimensions)`, float32."""
        return self.embed(texts, input_type="document").vectors

    async def aembed_documents(self, texts: Iterable[str]) -> Vectors:
        """Shape `(n, dimensions)`, float32."""
        return (await self.aembed(texts, input_type="document")).vectors

    def embed_query(self, text: str) -> Vectors:
        """Shape `(dimensions,)`, float32."""
        vector: Vectors = self.embed([check_text(text)], input_type="query").vectors[0]
        return vector

    async def aembed_query(self, text: str) -> Vectors:
        """Shape `(dimensions,)`, float32."""
        vector: Vectors = (await self.aembed([check_text(text)], input_type="query")).vectors[0]
        return vector

    def stream(
        self, texts: Iterable[str], *, input_type: InputType = "document", chunk_size: int = 1024
    ) -> Iterator[EmbeddingResult]:
        """One result for every `chunk_size` texts of an iterable that may have no end."""
        if chunk_size < 1:
            raise ConfigurationError(f"chunk_size must be at least 1, not {chunk_size}")
        if isinstance(texts, str):
            check_texts(texts)
        source = iter(texts)
        while chunk := list(itertools.islice(source, chunk_size)):
            yield self.embed(chunk, input_type=input_type)

    def estimate(self, texts: Iterable[str], *, input_type: InputType = "document") -> Estimate:
        """What `embed` would ask for and cost, by a look into the cache. Sends nothing."""
        job = self._begin(check_texts(texts), input_type).job
        rows = self._running().sync.run(flow.look_up(job, range(len(job.keys))))
        batches = flow.plan(job, rows)
        tokens = sum(batch.tokens for batch in batches)
        cost = None if job.setting.price is None else job.price(tokens)
        cached = len(job.places(row for row, got in enumerate(job.have) if got))
        return Estimate(len(job.sheet.where), cached, len(batches), tokens, cost)

    @property
    def space(self) -> VectorSpace:
        """Everything that decides a vector."""
        identity, routes = self._provider.identity, {kind: self.route(kind) for kind in INPUT_TYPES}
        return VectorSpace(
            provider=identity.provider,
            model=identity.model,
            endpoint=identity.endpoint,
            revision=identity.revision,
            details=identity.details,
            dimensions=self.options.dimensions,
            normalize=self.options.normalize,
            reduction=getattr(self._finish.reduce, "fingerprint", ""),
            too_long=truncation_part(self.options.too_long, self._provider.limits.text_tokens),
            routes={
                kind: route.prefix + (f" ({route.wire_type})" if route.wire_type else "")
                for kind, route in routes.items()
            },
        )

    def route(self, input_type: InputType) -> Route:
        """How a role reaches the model."""
        kind = check_input_type(input_type)
        return choose_route(
            kind,
            option={"query": self.options.query_prefix, "document": self.options.document_prefix}.get(kind),
            wire_type=self._provider.wire_type(kind),
            beside=self._provider.beside,
            saved={} if self._task else self._provider.prompts(),
            catalogue=self._card.prefix(kind, self._task) if self._card else None,
        )

    def as_langchain(self) -> Any:
        """The same embedder as a LangChain `Embeddings`."""
        from .langchain import BridgeEmbeddings  # noqa: PLC0415 - the framework loads only when it is wanted

        return BridgeEmbeddings.of(self)

    def as_llama_index(self) -> Any:
        """The same embedder as a LlamaIndex `BaseEmbedding`."""
        from .llama_index import BridgeEmbedding  # noqa: PLC0415 - as above

        return BridgeEmbedding.of(self)

    # Its life.

    def close(self) -> None:
        """Let go of connections and files. The embedder can be used again and opens what it needs."""
        with self._lock:
            live, self._live = self._live, None
        self._provider.close()
        if live is not None and live.setting.store is not None:
            live.setting.store.close()

    async def aclose(self) -> None:
        """`close` for event loops."""
        await self._provider.aclose()
        await asyncio.to_thread(self.close)

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
        return _rebuild, (type(self), self.options.portable())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self).from_options(self.options)

    # Behind them.

    def _running(self) -> _Live:
        live = self._live
        if live is None:
            with self._lock:
                live = self._live = self._live or self._start()
        return live

    def _start(self) -> _Live:
        options, provider, limits = self.options, self._provider, self._limits()
        setting = Setting(
            identity=provider.identity,
            limits=limits,
            limiter=Limiter(
                requests_per_minute=options.requests_per_minute,
                tokens_per_minute=options.tokens_per_minute,
                clock=time.monotonic,
            ),
            backoff=Backoff(retries=options.max_retries),
            budget=RetryBudget(),
            flights=_flights,
            store=self._store(),
            counter=provider.counter,
            policy=options.too_long,
            timeout=options.timeout,
            price=self._card.price if self._card else None,
            max_cost=options.max_cost,
            clock=time.monotonic,
            emit=self._emit,
            throttle=self._throttle,
            other_models=self._other_models(),
            width=provider.width(),
        )
        return _Live(setting, SyncDriver(provider, limits.concurrency), AsyncDriver(provider, limits.concurrency))

    def _store(self) -> GuardedStore | None:
        if self._cache is None:
            return None
        return GuardedStore(self._cache, label=self.options.model, shared=self._cache is self.options.cache)

    def _limits(self) -> Limits:
        own, options = self._provider.limits, self.options
        ceiling = self._throttle.ceiling if self._throttle else None
        tokens = [limit for limit in (own.tokens, options.tokens_per_minute, ceiling) if limit is not None]
        return Limits(
            items=min(own.items, options.batch_size or own.items),
            tokens=int(min(tokens)) if tokens else None,
            text_tokens=own.text_tokens,
            concurrency=options.concurrency or own.concurrency,
            padded=own.padded,
            trims=own.trims,
        )

    def _other_models(self) -> frozenset[str]:
        """Names that an answer may not bear: the provider's other models, where ours is a known one."""
        if self._card is None or self.options.base_url is not None:
            return frozenset()
        ours = {self._card.name, *self._card.aliases}
        names = {name for card in cards(self._card.provider) for name in (card.name, *card.aliases)}
        return frozenset(names - ours)

    def _begin(self, texts: list[str], input_type: InputType) -> _Call:
        live, route = self._running(), self.route(input_type)
        sheet = prepare(texts, route, empty=self.options.empty)
        if sheet.prefixed is not None:
            self._warn_once(
                f"text {sheet.prefixed} already begins with the {input_type} prefix {route.prefix!r}; "
                "it is not put there twice"
            )
        setting = live.setting
        base = key_base(
            setting.identity,
            wire_type=route.wire_type,
            truncation=truncation_part(setting.policy, setting.limits.text_tokens),
        )
        deadline = None if self.options.deadline is None else setting.clock() + self.options.deadline
        return _Call(self, live, Job(setting, route, sheet, base, next(_calls), deadline))

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(message, stacklevel=4)

    def _add(self, report: Report) -> None:
        with self._lock:
            self.usage = _sum(self.usage, report)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._live = None
        self._provider.after_fork()


@dataclass(slots=True)
class _Live:
    """What an embedder holds while it runs, in one process."""

    setting: Setting
    sync: SyncDriver
    tasks: AsyncDriver


class _Call:
    """One call between its check and its result."""

    def __init__(self, embedder: Embedder, live: _Live, job: Job) -> None:
        self.live, self.job = live, job
        self._embedder = embedder

    def __enter__(self) -> None:
        job, identity = self.job, self.job.setting.identity
        self._begun = time.perf_counter()
        job.setting.emit(
            events.CallStarted(
                job.number, identity.provider, identity.model, job.route.input_type, len(job.sheet.where), len(job.keys)
            )
        )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        report = self.job.report
        report.texts, report.unique = len(self.job.sheet.where), len(self.job.sheet.texts)
        report.seconds = time.perf_counter() - self._begun
        self._embedder._add(report)  # noqa: SLF001 - one module, one thing
        self.job.setting.emit(
            events.CallFinished(self.job.number, report)
            if kind is None
            else events.CallFailed(self.job.number, kind.__name__, report)
        )

    def result(self) -> EmbeddingResult:
        """The rows as the caller's list wants them."""
        job, where = self.job, self.job.sheet.where
        table = job.table[: len(job.sheet.texts)]
        if not len(table):
            table = np.zeros((0, job.setting.width or 0), dtype=np.float32)
        finished = self._embedder._finish(table)  # noqa: SLF001 - one module, one thing
        blank = where < 0
        if blank.any():
            job.report.empty = tuple(np.nonzero(blank)[0].tolist())
            vectors = np.zeros((len(where), finished.shape[1]), dtype=np.float32)
            vectors[~blank] = finished[where[~blank]]
        elif len(finished) == len(where):
            vectors = finished
        else:
            vectors = finished[where]
        return EmbeddingResult(vectors, job.report)


def _plan(kind: Any, config: ProviderConfig, options: EmbedderOptions, *, force: bool) -> tuple[Any, Finish]:
    """The provider, and what is left for us to do to its vectors."""
    card = config.card
    provider = kind(config)
    width = plan_width(
        options.dimensions,
        native=provider.width(),
        by_api=kind.reduces(config.model, card),
        trained=card.reductions if card else provider.reductions(),
        model=options.model,
        force=force,
    )
    if width.asked is not None:
        provider = kind(replace(config, dimensions=width.asked))
    reduce = None
    if options.reduction is not None:
        from .reduction import PCA  # noqa: PLC0415 - few need it

        reduce = PCA.load(options.reduction).transform
    return provider, Finish(width.cut, reduce, options.normalize)


def _progress(options: EmbedderOptions) -> list[Any]:
    if not options.show_progress:
        return []
    from .observers.progress import ProgressBar  # noqa: PLC0415 - the bar's library loads only when it is wanted

    return [ProgressBar()]


def _sum(total: Report, more: Report) -> Report:
    """Two reports as one; what speaks of single texts is left out."""
    added = Report()
    for part in fields(Report):
        first, second = getattr(total, part.name), getattr(more, part.name)
        if isinstance(second, int | float):
            setattr(added, part.name, (first or 0) + second)
        elif not isinstance(first, tuple):
            setattr(added, part.name, second if second is not None else first)
    return added


def _rebuild(kind: type[Embedder], options: dict[str, Any]) -> Embedder:
    return kind.from_options(EmbedderOptions(**options))


def _after_fork() -> None:
    global _flights  # noqa: PLW0603 - a child has none of its parent's calls
    _flights = Flights()
    for embedder in tuple(_embedders):
        embedder._after_fork()  # noqa: SLF001 - one module, one thing


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

__all__ = ["Embedder", "EmbeddingError"]
