"""The parts of one call, real ones but for the clock, and a hand that drives a flow: no socket, no thread, no sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Any

from embedbridge._core.effects import Ask, Call, Effect, Flow, Gather, Sleep, Tell, Wait, Who, WouldDeadlock
from embedbridge._core.flights import Flights
from embedbridge._core.job import Job
from embedbridge._core.keys import key_rules
from embedbridge._core.limits import Limiter
from embedbridge._core.prepare import prepare
from embedbridge._core.purse import Purse
from embedbridge._core.retry import Backoff, RetryBudget
from embedbridge._core.shared import Role, Shared
from embedbridge._core.tokens import Bound, ByteCounter
from embedbridge._core.types import Batch, Identity, Limits, Reply, Route
from embedbridge.cache import GuardedStore, MemoryCache
from embedbridge.providers.fake import fake_vectors

WIDTH = 8
IDENTITY = Identity("fake", str(WIDTH))
_numbers = count(1)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_limiter(
    clock: Clock, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
) -> Limiter:
    """One whose pauses have no chance in them."""
    limits = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
    return Limiter(**limits, clock=clock, wall=time.time, chance=lambda: 0.0)


def make_setting(
    *,
    limits: Limits | None = None,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    retries: int = 5,
    price: float | None = None,
    max_cost: float | None = None,
    **parts: Any,
) -> Shared:
    """What an embedder's calls share. Pauses are 0.5, 1, 2 … seconds: jitter takes nothing from them and adds none."""
    clock = parts.setdefault("clock", Clock())
    usual = {
        "identity": IDENTITY,
        "limits": limits or Limits(items=100),
        "limiter": make_limiter(clock, requests_per_minute, tokens_per_minute),
        "backoff": Backoff(retries=retries, chance=lambda: 1.0),
        "budget": RetryBudget(),
        "flights": Flights(),
        "store": GuardedStore(MemoryCache()),
        "counter": ByteCounter,
        "policy": "truncate",
        "timeout": 60.0,
        "purse": Purse(price, max_cost),
        "bound": Bound(added=0, normalises=False),
        "billed_by": lambda: None,
        "emit": lambda _: None,
    }
    return Shared(**usual | parts)


def make_job(setting: Shared, texts: list[str], *, prefix: str = "", seconds: float | None = None) -> Job:
    """One call; `seconds` until its deadline."""
    route = Route("document", prefix)
    sheet = prepare(texts, route, empty="zero")
    rules = key_rules(setting.identity, wire_type=None, policy=setting.policy, limit=setting.limits.text_tokens)
    deadline = None if seconds is None else setting.clock() + seconds
    return Job(setting, Role(route, rules), sheet, next(_numbers), deadline)


def reply_to(batch: Batch) -> Reply:
    """The right answer."""
    return Reply(fake_vectors(batch.texts, WIDTH), tokens=batch.tokens)


class Hand:
    """Runs flows one after another, answers their requests, and keeps what they asked for.

    Args:
        answer: gives the reply to a batch, or raises.
        clock: moved by each sleep.
        interrupt: called with each effect before it is performed; may drive other flows.
    """

    def __init__(
        self,
        clock: Clock,
        answer: Callable[[Batch], Reply] = reply_to,
        interrupt: Callable[[Effect], object] = lambda _: None,
    ) -> None:
        self.clock = clock
        self.answer = answer
        self.interrupt = interrupt
        self.effects: list[Effect] = []

    @property
    def asked(self) -> list[list[str]]:
        """The texts of each request."""
        return [list(effect.batch.texts) for effect in self.effects if isinstance(effect, Ask)]

    @property
    def slept(self) -> list[float]:
        """Each pause in seconds."""
        return [effect.seconds for effect in self.effects if isinstance(effect, Sleep)]

    def run(self, flow: Flow[Any], outcome: Any = None) -> Any:
        """Drive a flow to its end; `outcome` is that of the effect it stands at, None at its beginning."""
        try:
            effect = flow.send(outcome)
            while True:
                try:
                    outcome = self.perform(effect)
                except Exception as error:  # the flow judges
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            return end.value
        finally:
            flow.close()

    def perform(self, effect: Effect) -> Any:
        if isinstance(effect, Tell | Who):
            return perform(effect)
        self.effects.append(effect)
        self.interrupt(effect)
        match effect:
            case Ask(batch):
                effect.begin()
                return self.answer(batch)
            case Call(function):
                return function()
            case Sleep(seconds):
                self.clock.now += seconds
            case Gather(flows):
                for flow in flows:
                    self.run(flow)
            case Wait(future):
                if not future.done():
                    raise WouldDeadlock
                return future.result()
        return None


def perform(effect: Tell | Who) -> Any:
    """What is of no interest to a test: observers are told, and nobody knows who drives."""
    return effect.observer(effect.event) if isinstance(effect, Tell) else None


class Steps:
    """A flow that is driven from one effect of interest to the next."""

    def __init__(self, flow: Flow[Any]) -> None:
        self._flow = flow

    def __next__(self) -> Effect:
        return self.send(None)

    def send(self, outcome: Any) -> Effect:
        """Resume it with an outcome."""
        return self._next(self._flow.send(outcome))

    def throw(self, error: Exception) -> Effect:
        """Resume it with an error."""
        return self._next(self._flow.throw(error))

    def close(self) -> None:
        """Give it up."""
        self._flow.close()

    def _next(self, effect: Effect) -> Effect:
        while isinstance(effect, Tell | Who):
            effect = self._flow.send(perform(effect))
        return effect
