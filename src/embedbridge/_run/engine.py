"""What is behind an embedder's public calls: begins a call, runs its flow in threads or in tasks, and ends it."""

from __future__ import annotations

import itertools
import logging
import os
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from embedbridge._core import flow
from embedbridge._core.bills import add_report
from embedbridge._core.flights import Flights
from embedbridge._core.job import Job
from embedbridge._core.locks import OwnLock
from embedbridge._core.prepare import check_container, check_input_type, check_texts, prepare
from embedbridge._core.recall import Missed, plain_key, recall
from embedbridge._core.shared import Role, Shared
from embedbridge._core.signals import Signal
from embedbridge._core.types import EmbeddingResult, InputType, Report, Route
from embedbridge._threads.background import (
    check_asyncio,
    check_not_ended,
    run_in_background,
    run_in_thread,
    undisturbed,
)
from embedbridge._threads.gate import Gate
from embedbridge._threads.imports import importing
from embedbridge._threads.telling import aflush, flush, warn, write_log
from embedbridge._value_faults import kind_of
from embedbridge.errors import ConfigurationError, DeadlineExceededError

from . import stream as streams
from .drivers import SyncDriver
from .roles import find_role, unlisted
from .spaces import check_same, space_of
from .watches import Watch, check_watches

if TYPE_CHECKING:
    from embedbridge.options import EmbedderOptions

    from .task_driver import AsyncDriver

INLINE = 64
INLINE_CHARACTERS = 1 << 18
"""Up to so many texts and characters are prepared on the event loop; more in a thread, so that it is never blocked."""

_calls = itertools.count(1)
_flights: weakref.WeakValueDictionary[object, Flights] = weakref.WeakValueDictionary()
"""Cache → the texts that are being fetched for it, by all embedders that share it."""
_embedders: weakref.WeakSet[Engine] = weakref.WeakSet()


class Engine:
    """Runs the calls of one embedder."""

    def _set_up(self, options: EmbedderOptions) -> None:
        self.options = options
        with importing():
            # Here, because an event loop must not wait for an import: another thread may be in one that takes long.
            from . import astream, estimates, sharing, task_driver  # noqa: F401
            from .parts import make_parts

            self._parts = make_parts(options)
        self._lock = OwnLock()
        self._shared: Shared | None = None
        self._parent: Shared | None = None
        """In a forked child: what its parent had spent and learnt."""
        self._said: set[str] = set()
        """What is told once: roles whose prefix was there already, and that the model is not listed."""
        self._expected: Mapping[str, Any] | None = None
        """Of a copy whose model is not here yet: what decides the vectors of its original."""
        self._usage = Report()
        """What all calls so far did and cost together."""
        self._watches: tuple[Watch, ...] = ()
        """Of the indexes that are guarded with this very object, and not with one of a framework's."""
        _embedders.add(self)

    def _resolve(self, deadline: float | None = None) -> None:
        """Have a local model here, of which all is known then."""
        from .parts import resolve_in_time

        resolve_in_time(self._parts, deadline)

    def _start(self, deadline: float | None) -> Shared:
        """What all calls share, made at the first one."""
        from .sharing import make_shared

        self._resolve(deadline)
        if self._expected is not None:
            self.check_space(self._expected)
        with self._lock:
            if self._shared is None:
                shared = make_shared(self._parts, _flights, self._book, self._parent)
                self._threads = SyncDriver(self._parts.provider, Gate(shared.limits.concurrency))
                self._shared = shared
            return self._shared

    @property
    def _tasks(self) -> AsyncDriver:
        from .task_driver import AsyncDriver

        return AsyncDriver(self._parts.provider, self._threads.gate)

    def _role(self, shared: Shared, input_type: InputType) -> Role:
        """How texts of a role are sent, made at its first call."""
        check_input_type(input_type)
        role = shared.roles[input_type] = find_role(self._parts, shared, input_type)
        said = unlisted(self._parts, role.route)
        if said is not None and "unlisted" not in self._said:
            self._said.add("unlisted")
            write_log(logging.WARNING, said)
        return role

    def _deadline(self) -> float | None:
        """When a call that begins now has to end."""
        return None if self.options.deadline is None else time.monotonic() + self.options.deadline

    def _read(self, texts: Iterable[str], first: int = 0) -> tuple[list[str], float | None]:
        """The texts of a call that begins now, checked, and when it has to end."""
        deadline = self._deadline()
        listed = check_texts(texts, first)
        if deadline is not None:
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
        self,
        texts: list[str],
        input_type: InputType,
        deadline: float | None,
        *,
        fresh: bool = False,
        missed: Missed | None = None,
        first: int = 0,
    ) -> Job:
        """Make a call of texts that were read.

        Args:
            texts: checked.
            input_type: their role.
            deadline: when it has to end.
            fresh: neither read nor write the cache.
            missed: of a single text that was looked for in vain.
            first: index of the first text in the caller's list.
        """
        check_not_ended()
        shared = self._shared
        if shared is None or self._expected is not None:
            shared = self._start(deadline)
        role = shared.roles.get(input_type) if isinstance(input_type, str) else None
        role = role or self._role(shared, input_type)
        sheet = prepare(texts, role.route, empty=self.options.empty, titled=role.titled, first=first)
        if sheet.prefixed is not None:
            self._warn_of_prefix(role.route, sheet.prefixed)
        job = Job(shared, role, sheet, next(_calls), deadline, fresh, keys=[] if missed is None else [missed.key])
        if missed is not None:
            job.missed, job.ended = True, shared.flights.watch_from(missed.landings)
        return job

    def _read_in_loop(self, texts: Iterable[str], first: int = 0) -> tuple[list[str], float | None, bool]:
        """`_read` for an event loop; also whether so little is to be done that all of it may be done there."""
        check_asyncio()
        if type(texts) is not list:
            check_container(texts)
        deadline = self._deadline()
        # A list, an array or a column can be read in a thread. Anything else may be bound to this one, as a generator
        # over a database is.
        apart = isinstance(texts, list | tuple) or (hasattr(texts, "__array__") and hasattr(texts, "__len__"))
        items: Any = texts if apart else list(texts)
        self._check_in_time(texts, items, deadline)
        quick = False
        if len(items) <= INLINE:
            items = check_texts(items, first)
            quick = sum(map(len, items)) <= INLINE_CHARACTERS and self._shared is not None
        return items, deadline, quick

    async def _abegin(
        self,
        texts: list[str],
        input_type: InputType,
        deadline: float | None,
        *,
        quick: bool,
        missed: Missed | None = None,
        first: int = 0,
    ) -> Job:
        """`_begin` for an event loop, of what `_read_in_loop` gave."""
        if quick:
            return self._begin(texts, input_type, deadline, missed=missed, first=first)

        def begin() -> Job:
            return self._begin(check_texts(texts, first), input_type, deadline, first=first)

        # The first call may have to download a model, which takes longer than the threads for short work are for.
        return await (run_in_background if self._shared is None else run_in_thread)(begin)

    def _close(self, _: Signal | None) -> None:
        for provider in self._parts.providers():
            provider.close()
        if self._shared is not None and self._shared.pool is not None:
            self._shared.pool.reopen()
        if self._shared is not None and self._shared.store is not None:
            self._shared.store.close()

    def _embed(
        self, texts: list[str], input_type: InputType, deadline: float | None, *, fresh: bool = False
    ) -> EmbeddingResult:
        if self._watches and not fresh:
            check_watches(self._watches)

        def embed(stop: Signal | None) -> EmbeddingResult:
            found = None
            if not fresh and (look := self._look(texts, input_type, deadline)) is not None:
                try:
                    found = look()
                except BaseException:
                    with self._begin(texts, input_type, deadline):  # so that it is counted and told as a failed call
                        raise
            if isinstance(found, EmbeddingResult):
                self._book(found.report)
                return found
            return self._run(self._begin(texts, input_type, deadline, fresh=fresh, missed=found), stop)

        return undisturbed(embed)

    def _look(
        self, texts: Sequence[str], input_type: InputType, deadline: float | None
    ) -> Callable[[], EmbeddingResult | Missed] | None:
        """The short way: what looks for a single text in the cache; None where there is more to a call."""
        shared = self._shared
        if len(texts) != 1 or deadline is not None or shared is None or self._expected is not None:
            return None
        role = shared.roles.get(input_type) if isinstance(input_type, str) else None
        if role is None or shared.store is None or shared.width is None or shared.is_heard():
            return None
        check_not_ended()
        key = plain_key(shared, role, texts[0])
        return None if key is None else partial(recall, shared, shared.store, key)

    async def _aembed(self, texts: Iterable[str], input_type: InputType, first: int = 0) -> EmbeddingResult:
        listed, deadline, quick = self._read_in_loop(texts, first)
        if self._watches:
            check_watches(self._watches)
        found = None
        if quick and (look := self._look(listed, input_type, deadline)) is not None:
            try:
                found = await run_in_thread(look) if self._blocks() else look()
            except BaseException:
                with self._begin(listed, input_type, deadline):
                    raise
        if isinstance(found, EmbeddingResult):
            self._book(found.report)  # here, and not in a thread: of a call that was cancelled it is told otherwise
            return found
        job = await self._abegin(listed, input_type, deadline, quick=quick, missed=found, first=first)
        job.in_loop = True
        await self._arun(job, apart=not quick)
        return job.result() if quick else await run_in_thread(job.result)

    def _blocks(self) -> bool:
        """Whether reading the cache touches a disk or a network, which may take any time."""
        return self._shared is not None and self._shared.store is not None and self._shared.store.blocking

    def _run(self, job: Job, stop: Signal | None = None) -> EmbeddingResult:
        try:
            with job:
                self._threads.run(flow.embed(job), stop)
        finally:
            flush()
        return job.result()

    async def _arun(self, job: Job, *, apart: bool = False) -> None:
        try:
            with job:
                await self._tasks.run(flow.embed(job), apart=apart)
        finally:
            await aflush()

    def _stream_bar(self, input_type: InputType) -> streams.Bar:
        if not self.options.show_progress:
            return nullcontext(lambda _: None)
        from embedbridge.observers.progress import stream_bar

        return stream_bar(input_type)

    def _warn_of_prefix(self, route: Route, prefixed: int) -> None:
        """Warn once for each role where the caller's code seems to put the prefix there, too."""
        if route.input_type not in self._said:
            self._said.add(route.input_type)
            warn(
                f"text {prefixed} already begins with the {route.input_type} prefix {route.prefix!r}; "
                "it is not put there twice",
                stacklevel=4,
            )

    def _book(self, report: Report) -> None:
        """Count a call that has ended in `usage`."""
        with self._lock:
            add_report(self._usage, report)

    def _after_fork(self) -> None:
        self._lock = OwnLock()
        if self._shared is not None:
            self._parent, self._shared = self._shared, None
        for provider in self._parts.providers():
            provider.after_fork()

    def space_known(self) -> dict[str, Any] | None:
        """What decides vectors, without secrets.

        Returns:
            The parts of `space` by name; None where a model must be downloaded to know them.
        """
        return space_of(self._parts).parts() if self._parts.provider.known_offline else None

    def check_space(self, expected: Mapping[str, Any] | None) -> None:
        """Compare this embedder with the one of which it is a copy.

        Args:
            expected: what `space_known` of the original gives; None: nothing is known of it.

        Raises:
            ConfigurationError: this one gives other vectors, because its surroundings are others.
        """
        if not isinstance(expected, Mapping | None):
            raise ConfigurationError(f"expected: give what space_known tells, or None, not {kind_of(expected)}")
        ours = self.space_known()
        self._expected = expected  # until it is checked: where the model is not here yet, by the first call
        if expected is None or ours is None:
            return
        check_same(ours, expected)
        self._expected = None


def _after_fork() -> None:
    global _flights  # noqa: PLW0603 - a child has none of its parent's calls
    _flights = weakref.WeakValueDictionary()
    for engine in tuple(_embedders):
        engine._after_fork()  # noqa: SLF001 - one module, one thing


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
