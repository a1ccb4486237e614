"""Runs flows in tasks of an event loop. Of a call's own code, only this and `drivers.py` sleep, spawn or await."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from embedbridge._core.effects import (
    Acquire,
    Ask,
    Call,
    Effect,
    Flow,
    Gather,
    Inquire,
    Over,
    Sleep,
    Tell,
    Wait,
    Who,
)
from embedbridge._core.locks import inside
from embedbridge._core.seams import Provider
from embedbridge._core.signals import Signal
from embedbridge._core.types import Reply
from embedbridge._threads.background import GRACE, in_thread, run_in_thread
from embedbridge._threads.gate import Gate
from embedbridge._threads.task_bell import TaskBell
from embedbridge._threads.waiting import Ends, Owner, waits

from .drivers import Stopped, ends, look_at, never, told

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    """What a flow returned."""

    value: Any


def _advance(flow: Flow[Any], outcome: Any, error: Exception | None) -> Effect | _End:
    """Resume a flow; returns its next effect."""
    try:
        return flow.send(outcome) if error is None else flow.throw(error)
    except StopIteration as end:
        return _End(end.value)


async def _resume(flow: Flow[Any], outcome: Any, error: Exception | None, *, apart: bool) -> Effect | _End:
    if not apart:
        return _advance(flow, outcome, error)
    return await _whole(in_thread(partial(_advance, flow, outcome, error)))


class AsyncDriver:
    """Performs effects with the provider's async client and tasks; never blocks the event loop."""

    def __init__(self, provider: Provider, gate: Gate) -> None:
        self._provider = provider
        self._gate = gate

    async def run(self, flow: Flow[T], stop: Signal | None = None, *, apart: bool = False) -> T:
        """Run a flow to its end in this task. With `stop` set, nothing more is sent or waited for.

        Args:
            flow: what to run.
            stop: set by whoever gives the call up.
            apart: run the flow's own code in threads, because it may take more than a moment of the event loop.
        """
        outcome, error = None, None
        try:
            while True:
                effect = await _resume(flow, outcome, error, apart=apart)
                outcome = error = None
                if isinstance(effect, _End):
                    result: T = effect.value
                    return result
                try:
                    outcome = await self._perform(effect, stop, apart=apart)
                except Exception as failure:
                    error = failure
        except asyncio.CancelledError:
            if apart:
                await _whole(in_thread(flow.close))
            raise
        finally:
            error = None  # it refers to this frame
            if not getattr(flow, "gi_running", False):  # a thread may be in it, when the loop has ended meanwhile
                flow.close()

    async def _perform(  # noqa: PLR0911 - a table, one line a case
        self, effect: Effect, stop: Signal | None, *, apart: bool
    ) -> Any:
        match effect:
            case Ask():
                return await self._ask(effect, stop)
            case Inquire(inquiries, timeout, at_once):
                return await self._provider.ainquire(inquiries, timeout=timeout, at_once=at_once)
            case Call(function, blocking, seconds):
                async with asyncio.timeout(seconds):
                    return await run_in_thread(function) if blocking else function()
            case Tell(observer, event):
                observer(event)
            case Sleep(seconds, over):
                with contextlib.suppress(TimeoutError, Over):
                    bell = TaskBell()
                    await bell.sit_out(waits(bell, never, seconds, ends(stop, over)))
            case Gather(flows):
                await self._gather(flows, apart=apart)
            case Wait():
                return await self._wait(effect, stop)
            case Who():
                return Owner(asyncio.get_running_loop())
            case Acquire(throttle, tokens, seconds, over):
                with inside(throttle):
                    return await _await_in_time(throttle.aacquire(tokens), seconds, ends(stop, over))
        return None

    async def _ask(self, effect: Ask, stop: Signal | None) -> Reply:
        begun, endpoint, ended = time.monotonic(), effect.endpoint, ends(stop, effect.over)
        provider = (endpoint and endpoint.provider) or self._provider
        patience = effect.timeout if provider.one_at_a_time else None
        own = endpoint.gate.atake(effect.left, ended) if endpoint and endpoint.gate else contextlib.nullcontext()
        async with self._gate.atake(effect.left, ended, patience), own:
            with inside(effect.model):
                waited = time.monotonic() - begun
                await provider.aget_ready(effect.left and max(0.0, effect.left - waited))
                waited, timeout = time.monotonic() - begun, effect.timeout
                if effect.left is not None:
                    timeout = min(timeout, max(0.001, effect.left - waited))
                effect.begin()
                ask = provider.aask(effect.batch, timeout=timeout)
                if provider.obeys_timeout or effect.left is None:
                    return await ask
                with told(provider):
                    async with asyncio.timeout(effect.left - waited):
                        return await ask

    @staticmethod
    async def _wait(effect: Wait, stop: Signal | None) -> Any:
        bell, future = TaskBell(), effect.future
        future.add_done_callback(lambda _: bell.ring())
        look = partial(look_at, effect.owner)
        await bell.sit_out(waits(bell, future.done, effect.seconds, ends(stop), look))
        return future.result()

    async def _gather(self, flows: Sequence[Flow[None]], *, apart: bool) -> None:
        waiting, stop = iter(flows), Signal()

        async def run_some() -> None:
            with contextlib.suppress(Stopped):
                while not stop.happened and (flow := next(waiting, None)) is not None:
                    await self.run(flow, stop, apart=apart)

        tasks = [_own_task(run_some()) for _ in range(min(self._gate.places, len(flows)))]
        try:
            await asyncio.gather(*map(asyncio.shield, tasks))
        except GeneratorExit:  # the loop has ended
            raise
        except BaseException:
            stop.set()
            await _whole(_own_task(_wind_down(tasks)))
            raise


def _own_task(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that `asyncio.run` does not cancel when it ends, as it does with all tasks: it cancels the call, too.

    Which then waits `GRACE` seconds for the request under way, and cancels this.
    """
    task = asyncio.ensure_future(coroutine)
    asyncio.tasks._unregister_task(task)  # noqa: SLF001 - documented for those who make tasks of their own
    return task


async def _wind_down(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Wait `GRACE` seconds for answers under way, then cancel the tasks that are left and wait for their end."""
    try:
        await asyncio.wait(tasks, timeout=GRACE)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _whole(future: asyncio.Future[T]) -> T:
    """Wait for the end of what must not be left half-way, however often this is cancelled meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not future.cancelled():
            future.exception()  # looked at, for it is raised nowhere
        raise cancelled
    return future.result()


async def _await_in_time(coroutine: Coroutine[Any, Any, T], seconds: float | None, ends: Ends = ()) -> T:
    """Run a coroutine that has no timeout of its own. Raises TimeoutError after `seconds`, and cancels it."""
    bell, task = TaskBell(), asyncio.ensure_future(coroutine)
    task.add_done_callback(lambda _: bell.ring())
    try:
        await bell.sit_out(waits(bell, task.done, seconds, ends))
        return task.result()
    finally:
        task.cancel()
