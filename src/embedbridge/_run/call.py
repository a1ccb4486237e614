"""One call around its flow: tells observers, takes the time, and puts the vectors in the caller's order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from types import TracebackType

import numpy as np

from embedbridge import events
from embedbridge._core.finish import Finish
from embedbridge._core.job import Job
from embedbridge._core.types import EmbeddingResult, Report
from embedbridge._threads.telling import aflush, flush

from .parts import Live


class Call:
    """Runs a job: enter it, run `flow.embed(call.job)` inside, then take `result()`."""

    def __init__(self, live: Live, job: Job, finish: Finish, book: Callable[[Report], None]) -> None:
        self.live, self.job = live, job
        self._finish, self._book = finish, book
        self._begun = time.perf_counter()

    def __enter__(self) -> None:
        job, identity = self.job, self.job.setting.identity
        job.setting.emit(
            events.CallStarted(
                job.number,
                identity.provider,
                identity.model,
                job.route.input_type,
                len(job.sheet.where),
                len(job.keys),
                endpoint=identity.endpoint,
                dimensions=job.setting.width,
            )
        )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end(kind)
        flush()

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._end(kind)
        await aflush()

    def _end(self, kind: type[BaseException] | None) -> None:
        job, report = self.job, self.job.report
        report.texts, report.unique = len(job.sheet.where), len(job.sheet.texts)
        report.empty = tuple(np.nonzero(job.sheet.where < 0)[0].tolist())
        report.seconds = time.perf_counter() - self._begun
        self._book(report)
        job.setting.emit(
            events.CallFinished(job.number, report)
            if kind is None
            else events.CallFailed(job.number, kind.__name__, report)
        )

    def result(self) -> EmbeddingResult:
        """One vector for each of the caller's texts, zeros for empty ones, and the report. To be called once."""
        job, where = self.job, self.job.sheet.where
        del self.job  # a hundred thousand texts are freed in this thread, and not on an event loop
        table = job.table[: len(job.sheet.texts)]
        if not len(table):
            table = np.zeros((0, job.setting.width or 0), dtype=np.float32)
        finished = self._finish(table)
        if job.report.empty:
            vectors = np.zeros((len(where), finished.shape[1]), dtype=np.float32)
            vectors[where >= 0] = finished[where[where >= 0]]
        else:
            vectors = finished if len(finished) == len(where) else finished[where]
        return EmbeddingResult(vectors, job.report)


MOST_CUTS = 1000
"""Texts that were cut of which a total tells one by one."""
_COUNTS = tuple(part.name for part in fields(Report) if part.type in {"int", "float"})


def add_report(total: Report, more: Report) -> None:
    """Add a call's report to a total; of its single texts, those that were cut."""
    for name in _COUNTS:
        setattr(total, name, getattr(total, name) + getattr(more, name))
    if more.cut:
        total.cut = (total.cut + more.cut)[-MOST_CUTS:]
    if more.requests:  # a call that asked for nothing has no tokens to speak of
        total.tokens_from = more.tokens_from
    if more.cost is not None and more.saved is not None:
        total.cost = (total.cost or 0.0) + more.cost
        total.saved = (total.saved or 0.0) + more.saved
