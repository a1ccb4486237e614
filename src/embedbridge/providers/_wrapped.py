"""Any other embedding object of either framework as a provider, so that it gets the cache, the checks and the rest."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from embedbridge._core.kinds import Kind
from embedbridge._core.locks import TOO_DEEP
from embedbridge._core.rate_headers import ABOUT_RATES, reset_after, retry_after
from embedbridge._core.refusals import understand
from embedbridge._core.said import Said
from embedbridge._core.space import VectorSpace
from embedbridge._core.types import Batch, Identity, InputType, Limits, Reply
from embedbridge._threads.background import run_in_background
from embedbridge._threads.gate import Gate
from embedbridge.errors import ConfigurationError, EmbeddingError, RequestFailed

from ._refusal import wait_in
from .base import BaseProvider, NoOptions, ProviderConfig

FRAMEWORKS = ("langchain_core.", "llama_index.core.")
"""Where the coroutines are defined that every object inherits."""
SAYING = ("model", "model_name", "dimensions")
"""Attributes by which the frameworks' objects name their model."""
OURS = "space="
"""The beginning of the detail of an object of ours."""
UNNAMED = "unknown"
"""LlamaIndex's default for a model's name."""
BORROWERS = ("to_thread", "run_in_executor", "run_sync")
"""By what a coroutine runs something in a thread of the application."""
NO_TURN = "the wrapped object is still at work for another caller"


class WrappedOptions(NoOptions):
    """The object that does the work."""

    aside = frozenset({"embeddings"})

    embeddings: Any


class WrappedProvider(BaseProvider):
    """Calls a framework's object. It may retry by itself: switch that off there, or set `max_retries=0` here."""

    options_type = WrappedOptions
    asks_server = False
    one_at_a_time = True
    may_bill = True
    prefix_with_wire_type = True

    methods: ClassVar[tuple[str, ...]] = ()
    """What an object of the framework has for documents and for a query; its coroutines are called so with an `a`."""

    def __init__(self, config: ProviderConfig) -> None:
        if config.options.get("embeddings") is None:
            raise ConfigurationError(f"{self.name}:{config.model} needs its object; use wrap(…, name={config.model!r})")
        super().__init__(config)
        self.embeddings = self.options.embeddings
        lacking = [name for name in self.methods if not callable(_attribute(self.embeddings, name))]
        if isinstance(self.embeddings, type) or lacking:
            told = self.embeddings.__name__ if isinstance(self.embeddings, type) else type(self.embeddings).__name__
            why = f"has no {lacking[0]}" if lacking else "is a class; make an object of it"
            raise ConfigurationError(
                f"{self.name}:{config.model} takes an embedding object of that framework, and {told} {why}"
            )
        self._turns = Gate(1)
        self._says = tuple(_said_of(self.embeddings))

    @property
    def identity(self) -> Identity:
        """The name that the user gives, and what the object says of itself: two under one name are not one."""
        own = super().identity
        return replace(own, details=(*own.details, *self._says))

    def former_details(self, identity: Identity) -> tuple[tuple[str, ...], bool]:
        """Releases before went by the name alone."""
        whole = not any(part.startswith(OURS) for part in self._says)
        return identity.without(self._says).details, whole

    @property
    def limits(self) -> Limits:
        """One at a time, sync and async alike: nobody promises that the object can be shared between threads."""
        return Limits(items=256, concurrency=1)

    def wire_type(self, input_type: InputType) -> str:
        """Which of its two methods is called."""
        return "query" if input_type == "query" else "document"

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Call the object; `timeout` bounds the wait for one's turn. Raises `RequestFailed`."""
        with _in_turn(), self._turns.take(timeout):
            return self._answer(batch)

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """Call the object's own coroutines; where it has none, its methods in a thread. Raises `RequestFailed`."""
        awaited = _attribute(self.embeddings, f"a{self.methods[batch.route.wire_type == 'query']}")
        if awaited is None or not any(map(self._is_native, self.coroutines(batch))):
            return await run_in_background(partial(self.ask, batch, timeout=timeout))
        with _in_turn():
            async with self._turns.atake(timeout):
                try:
                    return Reply(await self.avectors(batch))
                except BaseException as error:
                    if isinstance(error, GeneratorExit) or _ends_call(error):
                        raise
                    failure = _failure(error)
                raise failure

    def _is_native(self, name: str) -> bool:
        """Whether a coroutine of the object does more than call the blocking method, on the loop or in a thread.

        The framework's own do no more, and wait for threads of the application, which may all wait for this very call.
        """
        method = inspect.unwrap(getattr(type(self.embeddings), name, None) or _none)
        names = {*getattr(method, "__code__", _none.__code__).co_names}
        blocking = name.replace("aembed", "embed").replace("aget", "get")
        return not method.__module__.startswith(FRAMEWORKS) and not names & {blocking, *BORROWERS}

    def _answer(self, batch: Batch) -> Reply:
        try:
            return Reply(self.vectors(batch))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            failure = _failure(error)
        raise failure

    def after_fork(self) -> None:
        """Whoever had the turn stayed behind."""
        self._turns = Gate(1)

    def vectors(self, batch: Batch) -> Sequence[Any]:
        """One list of numbers for each text; queries one by one, since the interface knows no other way."""
        is_query = batch.route.wire_type == "query"
        embed = getattr(self.embeddings, self.methods[is_query])
        return [embed(text) for text in batch.texts] if is_query else list(embed(list(batch.texts)))

    async def avectors(self, batch: Batch) -> Sequence[Any]:
        """The same by the object's own coroutines."""
        is_query = batch.route.wire_type == "query"
        embed = getattr(self.embeddings, f"a{self.methods[is_query]}")
        return [await embed(text) for text in batch.texts] if is_query else list(await embed(list(batch.texts)))

    def coroutines(self, batch: Batch) -> Sequence[str]:
        """The object's coroutines that `avectors` comes to in the end."""
        return (f"a{self.methods[batch.route.wire_type == 'query']}",)


@contextmanager
def _in_turn() -> Iterator[None]:
    """Tell a wait in vain from an error of the object's own."""
    try:
        yield
    except TimeoutError:
        raise RequestFailed(NO_TURN, kind="timeout", doing=NO_TURN) from None


def _said_of(thing: Any) -> Iterator[str]:
    """The space of an object of ours; of another its model's name and width, where it has such attributes."""
    ours = _attribute(_attribute(thing, "embedder"), "space")
    if isinstance(ours, VectorSpace):
        yield f"{OURS}{ours.fingerprint}"
        return
    for name in SAYING:
        value = _attribute(thing, name)
        if isinstance(value, str | int) and value != UNNAMED:
            yield f"{name}={json.dumps(value)}"


def _attribute(thing: object, name: str) -> Any:
    """An attribute of a foreign object; None where it has none, or raises something in its place."""
    try:
        return getattr(thing, name, None)
    except Exception:  # a property may run anything
        return None


def _ends_call(error: BaseException) -> bool:
    """Whether an exception in a task is for whoever runs it. Others, such as a panic in Rust, are the object's own."""
    if isinstance(error, asyncio.CancelledError):  # the object may have cancelled a task of its own
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | SystemExit)


def _none() -> None:
    """Stands for a method that an object does not have."""


def _failure(error: BaseException) -> RequestFailed:
    """A foreign error as `RequestFailed`, without its message, which may quote texts and keys."""
    ours = error.__cause__ if isinstance(error, EmbeddingError) else None
    if str(ours) == TOO_DEEP:
        return RequestFailed(TOO_DEEP, kind=Kind.CONFIGURATION)
    response, said = getattr(error, "response", None), _words(error)
    status, headers = _status(error) or _status(response), _headers(error) | _headers(response)
    lost = isinstance(error, ConnectionError | TimeoutError) or re.search("Timeout|Connect", type(error).__name__)
    wait = retry_after(headers, time.time()) or (wait_in(Said(said)) if status is not None else None)
    kind = Kind.CONNECTION if lost else _kind(status, said, wait)
    if wait is None and kind.is_of_rates(status):
        wait = reset_after(headers, time.time())
    told = f"the wrapped object raised {type(error).__name__}"
    if isinstance(ours, RequestFailed):
        told += f": {ours}"
    return RequestFailed(told, status=status, retry_after=wait, kind=kind)


def _headers(thing: object) -> dict[str, str]:
    """The headers that an error or a response has, about waits and rates."""
    found = getattr(thing, "headers", None)
    headers = {str(name).lower(): str(found[name]) for name in found} if isinstance(found, Mapping) else {}
    return {name: value for name, value in headers.items() if ABOUT_RATES.match(name)}


def _status(thing: object) -> int | None:
    """The HTTP status that an error or a response has, by any of the names that SDKs give it."""
    found = (getattr(thing, name, None) for name in ("status_code", "status", "http_status"))
    return next((status for status in found if type(status) is int), None)


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # as above
        return ""


def _kind(status: int | None, said: str, wait: float | None) -> Kind:
    """What the error's message means, which is not kept. Without a status only its size can be at fault."""
    kind = understand(status, (), said, wait=wait).kind
    return kind if status is not None or kind in {Kind.TOO_LONG, Kind.OUT_OF_MEMORY} else Kind.NONE
