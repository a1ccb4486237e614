"""Runs flows in threads; `task_driver.py` does it in tasks. Of a call's own code, only these sleep, spawn or await.

Both drivers of an embedder share its gate, which counts the requests under way over all its calls together.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
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
from embedbridge._core.seams import Provider
from embedbridge._core.signals import Signal
from embedbridge._core.types import Reply
from embedbridge._threads.background import GRACE, in_background
from embedbridge._threads.gate import Gate
from embedbridge._threads.waiting import Ends, Owner, ThreadBell, waits

T = TypeVar("T")


class Stopped(BaseException):
    """Ends a flow whose call has been given up, instead of the next request or pause."""


class SyncDriver:
    """Performs effects with the provider's blocking client and a thread for each request under way."""

    def __init__(self, provider: Provider, gate: Gate) -> None:
        self._provider = provider
        self.gate = gate

    def run(self, flow: Flow[T], stop: Signal | None = None) -> T:
        """Run a flow to its end in this thread. With `stop` set, nothing more is sent or waited for."""
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = self._perform(effect, stop)
                except Exception as error:
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
            case Tell(observer, event):
                observer(event)
            case Sleep(seconds, over):
                with contextlib.suppress(TimeoutError, Over):
                    bell = ThreadBell()
                    bell.sit_out(waits(bell, never, seconds, ends(stop, over)))
            case Gather(flows):
                self._gather(flows, stop)
            case Wait():
                return self._wait(effect, stop)
            case Who():
                return Owner()
            case Acquire(throttle, tokens, seconds, over):
                with inside(throttle):
                    return _in_time(partial(throttle.acquire, tokens), seconds, ends(stop, over))
        return None

    def _ask(self, effect: Ask, stop: Signal | None) -> Reply:
        begun, endpoint, ended = time.monotonic(), effect.endpoint, ends(stop, effect.over)
        provider = (endpoint and endpoint.provider) or self._provider
        patience = effect.timeout if provider.one_at_a_time else None
        own = endpoint.gate.take(effect.left, ended) if endpoint and endpoint.gate else contextlib.nullcontext()
        with self.gate.take(effect.left, ended, patience), own, inside(effect.model):
            waited = time.monotonic() - begun
            provider.get_ready(effect.left and max(0.0, effect.left - waited))
            waited, timeout = time.monotonic() - begun, effect.timeout
            if effect.left is not None:
                timeout = min(timeout, max(0.001, effect.left - waited))
            effect.begin()
            ask = partial(provider.ask, effect.batch, timeout=timeout)
            if provider.obeys_timeout or effect.left is None:
                return ask()
            with told(provider):
                return _in_time(ask, effect.left - waited)

    @staticmethod
    def _wait(effect: Wait, stop: Signal | None) -> Any:
        bell, future, owner, mine = ThreadBell(), effect.future, effect.owner, calling_threads()
        if isinstance(owner, Owner) and owner.waits_for(mine) and not future.done():
            raise WouldDeadlock
        future.add_done_callback(lambda _: bell.ring())
        bell.sit_out(waits(bell, future.done, effect.seconds, ends(stop), partial(look_at, owner)))
        return future.result()

    def _gather(self, flows: Sequence[Flow[None]], stop: Signal | None) -> None:
        """Run flows in daemon threads: a Ctrl-C need not wait for the slowest server, but `GRACE` seconds at most."""
        if self.gate.places == 1:
            for flow in flows:
                self.run(flow, stop)
            return
        stop, waiting, next_one = stop or Signal(), iter(flows), threading.Lock()
        failures: list[BaseException] = []

        def run_some() -> None:
            try:
                with contextlib.suppress(Stopped):
                    while not stop.happened:
                        with next_one:
                            flow = next(waiting, None)
                        if flow is None:
                            return
                        self.run(flow, stop)
            except BaseException as failure:
                failures.append(failure)
                stop.set()

        # Futures, not joins: before Python 3.13 an interrupted join takes a running thread for one that has ended.
        running: list[Future[None]] = []
        try:
            running += (in_background(run_some) for _ in range(min(self.gate.places, len(flows))))
            wait(running)
        except BaseException:
            stop.set()
            wait(running, GRACE)
            raise
        if failures:
            raise failures[0]
        if stop.happened:
            raise Stopped


def never() -> bool:
    """What is slept for does not come before its time."""
    return False


def ends(stop: Signal | None, over: Signal | None = None) -> Ends:
    """What ends a wait: the call is given up, or there is nothing more to be sent."""
    return (stop, Stopped), (over, Over)


def look_at(owner: object) -> None:
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
def told(provider: Provider) -> Iterator[None]:
    """Say in a TimeoutError what the provider was doing."""
    try:
        yield
    except TimeoutError:
        raise TimeoutError(provider.doing) from None
