"""The two ways to run a flow: threads or tasks. Of a call's own code, only this sleeps, spawns or awaits.

The gate on requests under way belongs to the driver, so it holds over all calls of an embedder together.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from .background import GRACE, in_background, run_in_thread
from .core.effects import Acquire, Ask, Call, Effect, Flow, Gather, Sleep, Wait, WouldDeadlock
from .core.types import Provider, Reply

T = TypeVar("T")


class Stopped(BaseException):
    """Ends a flow whose call has been given up, instead of the next request or pause."""


class SyncDriver:
    """Performs effects with the provider's blocking client and a thread for each request under way."""

    def __init__(self, provider: Provider, concurrency: int) -> None:
        self._provider = provider
        self._concurrency = concurrency
        self._gate = threading.BoundedSemaphore(concurrency)

    def run(self, flow: Flow[T], stop: threading.Event | None = None) -> T:
        """Run a flow to its end in this thread. With `stop` set, nothing more is sent or waited for."""
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = self._perform(effect, stop)
                except Exception as error:  # noqa: BLE001 - every failure is the flow's to judge
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    def _perform(self, effect: Effect, stop: threading.Event | None) -> Any:
        match effect:
            case Ask():
                return self._ask(effect, stop)
            case Call(function):
                return function()
            case Sleep(seconds):
                self._sleep(seconds, stop)
            case Gather(flows):
                self._gather(flows, stop)
            case Wait():
                return self._wait(effect)
            case Acquire():
                return self._acquire(effect)
        return None

    def _ask(self, effect: Ask, stop: threading.Event | None) -> Reply:
        begun = time.monotonic()
        if not self._gate.acquire(timeout=effect.left):
            raise TimeoutError
        try:
            if stop is not None and stop.is_set():
                raise Stopped
            waited = time.monotonic() - begun
            effect.begin()
            ask = partial(self._provider.ask, effect.batch, timeout=effect.after(waited))
            if self._provider.obeys_timeout or effect.left is None:
                return ask()
            return _in_time(effect.left - waited, ask)
        finally:
            self._gate.release()

    @staticmethod
    def _sleep(seconds: float, stop: threading.Event | None) -> None:
        if stop is None:
            time.sleep(seconds)
        elif stop.wait(seconds):
            raise Stopped

    @staticmethod
    def _wait(effect: Wait) -> Any:
        if effect.owner == threading.get_ident() and not effect.future.done():
            raise WouldDeadlock
        return effect.future.result(effect.seconds)

    @staticmethod
    def _acquire(effect: Acquire) -> bool:
        if effect.seconds is None:
            return effect.throttle.acquire(effect.tokens)
        return _in_time(effect.seconds, partial(effect.throttle.acquire, effect.tokens))

    def _gather(self, flows: Sequence[Flow[None]], stop: threading.Event | None) -> None:
        if self._concurrency == 1:
            for flow in flows:
                self.run(flow, stop)
            return
        _Workers(flows, self.run, stop or threading.Event()).run_all(min(self._concurrency, len(flows)))


def _in_time(seconds: float, function: Callable[[], T]) -> T:
    """Run a function that has no timeout of its own. Raises TimeoutError after `seconds`; its thread goes on."""
    return in_background(function).result(max(0.0, seconds))


class _Workers:
    """Daemon threads that run a list of flows: a Ctrl-C need not wait for the slowest server."""

    def __init__(
        self, flows: Sequence[Flow[None]], run: Callable[[Flow[None], threading.Event], None], stop: threading.Event
    ) -> None:
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
        except BaseException as failure:  # noqa: BLE001 - raised again where the call waits
            self._failure = self._failure or failure
            self._stop.set()


class AsyncDriver:
    """Performs effects with the provider's async client and tasks; never blocks the event loop."""

    def __init__(self, provider: Provider, concurrency: int) -> None:
        self._provider = provider
        self._concurrency = concurrency
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def run(self, flow: Flow[T], stop: asyncio.Event | None = None) -> T:
        """Run a flow to its end in this task. With `stop` set, nothing more is sent or waited for."""
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = await self._perform(effect, stop)
                except Exception as error:  # noqa: BLE001 - every failure is the flow's to judge
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    async def _perform(self, effect: Effect, stop: asyncio.Event | None) -> Any:
        match effect:
            case Ask():
                return await self._ask(effect, stop)
            case Call(function, blocking):
                return await run_in_thread(function) if blocking else function()
            case Sleep(seconds):
                await self._sleep(seconds, stop)
            case Gather(flows):
                await self._gather(flows)
            case Wait(future, _, seconds):
                return await self._wait(future, seconds)
            case Acquire(throttle, tokens, seconds):
                async with asyncio.timeout(seconds):
                    return await throttle.aacquire(tokens)
        return None

    async def _ask(self, effect: Ask, stop: asyncio.Event | None) -> Reply:
        begun, gate = time.monotonic(), self._gate()
        async with asyncio.timeout(effect.left):
            await gate.acquire()
        try:
            if stop is not None and stop.is_set():
                raise Stopped
            waited = time.monotonic() - begun
            effect.begin()
            ask = self._provider.aask(effect.batch, timeout=effect.after(waited))
            if self._provider.obeys_timeout or effect.left is None:
                return await ask
            async with asyncio.timeout(effect.left - waited):
                return await ask
        finally:
            gate.release()

    @staticmethod
    async def _sleep(seconds: float, stop: asyncio.Event | None) -> None:
        if stop is None:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
            raise Stopped

    def _gate(self) -> asyncio.Semaphore:
        return self._gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self._concurrency))

    @staticmethod
    async def _wait(future: Future[Any], seconds: float | None) -> Any:
        # Shielded: a follower that is cancelled must not cancel the vector for all the others.
        async with asyncio.timeout(seconds):
            return await asyncio.shield(asyncio.wrap_future(future))

    async def _gather(self, flows: Sequence[Flow[None]]) -> None:
        waiting, stop = iter(flows), asyncio.Event()

        async def run_some() -> None:
            with contextlib.suppress(Stopped):
                while not stop.is_set() and (flow := next(waiting, None)) is not None:
                    await self.run(flow, stop)

        tasks = [asyncio.ensure_future(run_some()) for _ in range(min(self._concurrency, len(flows)))]
        try:
            await asyncio.gather(*map(asyncio.shield, tasks))
        except BaseException:
            stop.set()
            await self._wind_down(tasks)
            raise

    @staticmethod
    async def _wind_down(tasks: Sequence[asyncio.Future[None]]) -> None:
        """Wait `GRACE` seconds for answers under way, then cancel the tasks that are left and wait for their end."""
        try:
            await asyncio.wait(tasks, timeout=GRACE)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
