"""Which faults the next request meets: rules first, then the script."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .faults import Faults, parse_faults
from .request import Request


@dataclass(slots=True)
class _Rule:
    applies: Callable[[Request], bool]
    faults: Faults
    left: int


class Plan:
    """Filled by a test's thread, asked by the server's. Specs are checked when they are given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._script: deque[Faults] = deque()

    def script(self, *specs: str) -> None:
        """Queue faults for the next requests."""
        faults = [parse_faults(spec) for spec in specs]
        with self._lock:
            self._script.extend(faults)

    def on(self, applies: Callable[[Request], bool], spec: str, times: int) -> None:
        """Add a rule; it is used up after `times` requests, or never when that is negative."""
        rule = _Rule(applies, parse_faults(spec), times)
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        """Forget rules and script."""
        with self._lock:
            self._rules.clear()
            self._script.clear()

    def choose(self, request: Request) -> Faults:
        """The faults of this request; empty when nothing was planned for it."""
        with self._lock:
            for rule in self._rules:
                if rule.left and rule.applies(request):
                    rule.left -= 1
                    return rule.faults
            return self._script.popleft() if self._script else Faults()
