"""An embedder from its options to its end: what it is made of, opened at the first call, closed, and left by a fork."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from embedbridge._core.flights import Flights
from embedbridge._core.locks import OwnLock
from embedbridge._core.prepare import check_input_type
from embedbridge._core.shared import Role, Shared
from embedbridge._core.signals import Signal
from embedbridge._core.types import InputType, Report
from embedbridge._threads.gate import Gate
from embedbridge._threads.imports import importing
from embedbridge._threads.telling import write_log
from embedbridge._value_faults import kind_of
from embedbridge.errors import ConfigurationError

from .drivers import SyncDriver
from .roles import find_role, unlisted
from .spaces import check_same, space_of
from .watches import Watch

if TYPE_CHECKING:
    from embedbridge.options import EmbedderOptions

_flights: weakref.WeakValueDictionary[object, Flights] = weakref.WeakValueDictionary()
"""Cache → the texts that are being fetched for it, by all embedders that share it."""
_embedders: weakref.WeakSet[Lifetime] = weakref.WeakSet()


class Lifetime:
    """What one embedder is made of, and what lives as long as it does."""

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

    def _book(self, report: Report) -> None:
        """Add a call's report to the total."""
        raise NotImplementedError

    def _role(self, shared: Shared, input_type: InputType) -> Role:
        """How texts of a role are sent, made at its first call."""
        check_input_type(input_type)
        role = shared.roles[input_type] = find_role(self._parts, shared, input_type)
        said = unlisted(self._parts, role.route)
        if said is not None and "unlisted" not in self._said:
            self._said.add("unlisted")
            write_log(logging.WARNING, said)
        return role

    def _close(self, _: Signal | None) -> None:
        for provider in self._parts.providers():
            provider.close()
        if self._shared is not None and self._shared.pool is not None:
            self._shared.pool.reopen()
        if self._shared is not None and self._shared.store is not None:
            self._shared.store.close()

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
    for embedder in tuple(_embedders):
        embedder._after_fork()  # noqa: SLF001 - one module, one thing


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
