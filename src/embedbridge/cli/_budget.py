"""One `--max-cost` for a command that makes several embedders: what one has spent is not there for the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from embedbridge.embedder import Embedder
from embedbridge.errors import BudgetExceededError


class Budget:
    """What is left of `--max-cost`, in a `with` block around embedders that are used one after the other."""

    def __init__(self, whole: float | None) -> None:
        self._whole = self._left = self._of_the_last = whole

    @contextmanager
    def embedder(self, options: Mapping[str, Any]) -> Iterator[Embedder]:
        """An embedder that spends of what is left, and is closed at the end."""
        self._of_the_last = self._left
        with Embedder(**{**options, "max_cost": self._left}) as embedder:
            try:
                yield embedder
            finally:
                shared = embedder._shared  # noqa: SLF001 - `usage` has an estimate, and this the most that it can have cost
                if self._left is not None and shared is not None:
                    self._left = max(0.0, self._left - shared.purse.dollars(shared.purse.spent))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, BudgetExceededError) and self._of_the_last != self._whole:
            error.args = (f"{error} (the rest of --max-cost {self._whole:g} is spent by other embedders)",)
