"""The two ways to run a flow: threads or tasks. Of a call's own code, only this sleeps, spawns or awaits.

Both drivers of an embedder share its gate, which counts the requests under way over all its calls together.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, wait
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
    WouldDeadlock,
)
from embedbridge._core.locks import calling_threads, inside
from embedbridge._core.signals import Signal
from embedbridge._core.types import Provider, Reply
from embedbridge._threads.background import GRACE, in_background, in_thread, run_in_thread
from embedbridge._threads.gate import Gate
from embedbridge._threads.waiting import Ends, Owner, TaskBell, ThreadBell, waits

T = TypeVar("T")


class Stopped(BaseException):
    """Ends a flow whose call has been given up, instead of the next request or pause."""


class SyncDriver:
    """Performs effects with the provider's blocking client and a thread for each request under way."""

    def __init__(self, provider: Provider, gate: Gate) -> None:
        self._provider = provider
        self._gate = gate

    def run(self, flow: Flow[T], stop: Signal | None = None) -> T:
        """Run a flow to its end in this thread. With `stop` set, nothing more is sent or waited for."""
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = self._perform(effect, stop)
                except Exception as error:  # every failure is the flow's to judge
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    def _perform(self, effect: Effect, stop: Signal | None) -> Any:  # noqa: PLR0911 - a table, one line a case
        match effect:
            case Ask():
                return self._ask(effect, stop)
            case Inquire(inquiries, timeout, at_once):
                return self._provider.inquire(inquiries, timeout=timeout, at_once=at_once)
            case Call(function, _, seconds):
                return function() if seconds is None else _in_time(function, seconds)
            case Tell(function):
                function()
            case Sleep(seconds, over):
                with contextlib.suppress(TimeoutError, Over):
                    bell = ThreadBell()
                    bell.sit_out(waits(bell, _never, seconds, _ends(stop, over)))
            case Gather(flows):
                self._gather(flows, stop)
            case Wait():
                return self._wait(effect, stop)
            case Who():
                return Owner()
            case Acquire(throttle, tokens, seconds, over):
                with inside(throttle):
                    return _in_time(partial(throttle.acquire, tokens), seconds, _ends(stop, over))
        return None

    def _ask(self, effect: Ask, stop: Signal | None) -> Reply:
        begun = time.monotonic()
        patience = effect.timeout if self._provider.one_at_a_time else None
        with self._gate.take(effect.left, _ends(stop, effect.over), patience), inside(effect.model):
            self._provider.get_ready(_left_of(effect, begun))
            waited = time.monotonic() - begun
            effect.begin()
            ask = partial(self._provider.ask, effect.batch, timeout=effect.after(waited))
            if self._provider.obeys_timeout or effect.left is None:
                return ask()
            with _told(self._provider):
                return _in_time(ask, effect.left - waited)

    @staticmethod
    def _wait(effect: Wait, stop: Signal | None) -> Any:
        bell, future, owner, mine = ThreadBell(), effect.future, effect.owner, calling_threads()
        if isinstance(owner, Owner) and owner.waits_for(mine) and not future.done():
            raise WouldDeadlock
        future.add_done_callback(lambda _: bell.ring())
        bell.sit_out(waits(bell, future.done, effect.seconds, _ends(stop), partial(_look_at, owner)))
        return future.result()

    def _gather(self, flows: Sequence[Flow[None]], stop: Signal | None) -> None:
        if self._gate.places == 1:
            for flow in flows:
                self.run(flow, stop)
            return
        _Workers(flows, self.run, stop or Signal()).run_all(min(self._gate.places, len(flows)))


def _left_of(effect: Ask, begun: float) -> float | None:
    """Seconds that are left of those which a request had at the moment `begun`; None: no limit."""
    return None if effect.left is None else max(0.0, effect.left - (time.monotonic() - begun))


def _never() -> bool:
    return False


def _ends(stop: Signal | None, over: Signal | None = None) -> Ends:
    return (stop, Stopped), (over, Over)


def _look_at(owner: object) -> None:
    """Raise `WouldDeadlock` when the owner of what is waited for does not go on."""
    if isinstance(owner, Owner) and owner.is_stuck():
        raise WouldDeadlock


def _in_time(function: Callable[[], T], seconds: float | None, ends: Ends = ()) -> T:
    """Run a function that has no timeout of its own. Raises TimeoutError after `seconds`; its thread goes on."""
    bell, future = ThreadBell(), in_background(function)
    future.add_done_callback(lambda _: bell.ring())
    bell.sit_out(waits(bell, future.done, seconds, ends))
    return future.result()


@contextlib.contextmanager
def _told(provider: Provider) -> Iterator[None]:
    """Say in a TimeoutError what the provider was doing."""
    try:
        yield
    except TimeoutError:
        raise TimeoutError(provider.doing) from None


class _Workers:
    """Daemon threads that run a list of flows: a Ctrl-C need not wait for the slowest server."""

    def __init__(self, flows: Sequence[Flow[None]], run: Callable[[Flow[None], Signal], None], stop: Signal) -> None:
        self._flows = iter(flows)
        self._run = run
        self._lock = threading.Lock()
        self._stop = stop
        self._failure: BaseException | None = None

    def run_all(self, threads: int) -> None:
        """Run all flows; on an interrupt, start no more and wait `GRACE` seconds for answers under way."""
        # Futures, not joins: before Python 3.13 an interrupted join takes a running thread for one that has ended.
        running: list[Future[None]] = []
        try:
            running += (in_background(self._run_some) for _ in range(threads))
            wait(running)
        except BaseException:
            self._stop.set()
            wait(running, GRACE)
            raise
        if self._failure is not None:
            raise self._failure
        if self._stop.is_set():
            raise Stopped

    def _run_some(self) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    flow = next(self._flows, None)
                if flow is None:
                    return
                self._run(flow, self._stop)
        except Stopped:
            pass
        except BaseException as failure:  # raised again where the call waits
            self._failure = self._failure or failure
            self._stop.set()


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
                except Exception as failure:  # every failure is the flow's to judge
                    error = failure
        except asyncio.CancelledError:
            if apart:
                await _whole(in_thread(flow.close))
            raise
        finally:
            error = None  # it refers to this frame
            if not getattr(flow, "gi_running", False):  # a thread may be in it, when the loop has ended meanwhile
                flow.close()

    async def _perform(  # noqa: PLR0911 - as above
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
            case Tell(function):
                function()
            case Sleep(seconds, over):
                with contextlib.suppress(TimeoutError, Over):
                    bell = TaskBell()
                    await bell.sit_out(waits(bell, _never, seconds, _ends(stop, over)))
            case Gather(flows):
                await self._gather(flows, apart=apart)
            case Wait():
                return await self._wait(effect, stop)
            case Who():
                return Owner(asyncio.get_running_loop())
            case Acquire(throttle, tokens, seconds, over):
                with inside(throttle):
                    return await _await_in_time(throttle.aacquire(tokens), seconds, _ends(stop, over))
        return None

    async def _ask(self, effect: Ask, stop: Signal | None) -> Reply:
        begun = time.monotonic()
        patience = effect.timeout if self._provider.one_at_a_time else None
        async with self._gate.atake(effect.left, _ends(stop, effect.over), patience):
            with inside(effect.model):
                await self._provider.aget_ready(_left_of(effect, begun))
                waited = time.monotonic() - begun
                effect.begin()
                ask = self._provider.aask(effect.batch, timeout=effect.after(waited))
                if self._provider.obeys_timeout or effect.left is None:
                    return await ask
                with _told(self._provider):
                    async with asyncio.timeout(effect.left - waited):
                        return await ask

    @staticmethod
    async def _wait(effect: Wait, stop: Signal | None) -> Any:
        bell, future = TaskBell(), effect.future
        future.add_done_callback(lambda _: bell.ring())
        look = partial(_look_at, effect.owner)
        await bell.sit_out(waits(bell, future.done, effect.seconds, _ends(stop), look))
        return future.result()

    async def _gather(self, flows: Sequence[Flow[None]], *, apart: bool) -> None:
        waiting, stop = iter(flows), Signal()

        async def run_some() -> None:
            with contextlib.suppress(Stopped):
                while not stop.is_set() and (flow := next(waiting, None)) is not None:
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
