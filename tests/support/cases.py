"""Many cases in one test, which fails with all that are wrong."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest


def each(names: str | tuple[str, ...], cases: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `pytest.mark.parametrize`, but in one test: pytest's own work for a test takes longer than most cases do.

    It is for cases that leave nothing behind, because they share the test's fixtures.

    Args:
        names: of the parameters that a case gives.
        cases: a value each, or as many values as there are names.

    Returns:
        What makes a function of one case a test of all of them.
    """
    named, listed = (names,) if isinstance(names, str) else names, list(cases)
    assert listed, "there is no case"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def check_all(**fixtures: Any) -> None:
            faults = []
            for case in listed:
                values = dict(zip(named, (case,) if isinstance(names, str) else case, strict=True))
                try:
                    test(**values, **fixtures)
                except (Exception, pytest.fail.Exception) as error:  # `raises` ends with the latter
                    faults.append(f"{values}: {type(error).__name__}: {error}")
            assert not faults, f"{len(faults)} of {len(listed)} cases are wrong:\n" + "\n".join(faults)

        signature = inspect.signature(test)
        rest = [parameter for name, parameter in signature.parameters.items() if name not in named]
        check_all.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        return check_all

    return decorate
