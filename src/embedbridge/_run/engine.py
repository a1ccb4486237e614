"""What is behind an embedder's public calls: begins a call, runs its flow in threads or in tasks, and ends it."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from embedbridge._core import flow
from embedbridge._core.bills import add_report
from embedbridge._core.job import Job
from embedbridge._core.look_ups import Missed, plain_text, recall
from embedbridge._core.prepare import check_container, check_texts, prepare
from embedbridge._core.signals import Signal
from embedbridge._core.types import EmbeddingResult, InputType, Report, Route
from embedbridge._threads.background import (
    check_asyncio,
    check_not_ended,
    run_in_background,
    run_in_thread,
    undisturbed,
)
from embedbridge._threads.telling import aflush, flush, warn
from embedbridge.errors import DeadlineExceededError

from . import stream as streams
from .lifetime import Lifetime
from .watches import check_watches

if TYPE_CHECKING:
    from .task_driver import AsyncDriver

INLINE = 64
INLINE_CHARACTERS = 1 << 18
"""Up to so many texts and characters are prepared on the event loop; more in a thread, so that it is never blocked."""

_calls = itertools.count(1)


class Engine(Lifetime):
    """Runs the calls of one embedder."""

    @property
    def _tasks(self) -> AsyncDriver:
        from .task_driver import AsyncDriver

        return AsyncDriver(self._parts.provider, self._threads.gate)

    def _deadline(self) -> float | None:
        """When a call that begins now has to end."""
        return None if self.options.deadline is None else time.monotonic() + self.options.deadline

    def _read(self, texts: Iterable[str], first: int = 0) -> tuple[list[str], float | None]:
        """The texts of a call that begins now, checked, and when it has to end."""
        deadline = None if self.options.deadline is None else self._deadline()
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
        job = Job(shared, role, sheet, next(_calls), deadline, fresh, missed)
        if missed is not None:
            job.ended = shared.flights.watch_from(missed.landings)
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
        if role is None or shared.store is None or shared.width is None or shared.is_heard() or sys.is_finalizing():
            return None
        encoded = plain_text(shared, role, texts[0])
        return None if encoded is None else partial(recall, shared, shared.store, role, encoded)

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
