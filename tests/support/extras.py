"""Where torch is not installed, tests of local models are skipped, and say so; elsewhere nothing here does anything."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

PACKAGE = "sentence_transformers"
ABSENT = find_spec(PACKAGE) is None


def _skipping(step: str) -> Iterator[None]:
    try:
        return (yield)
    except Exception as error:
        if ABSENT and PACKAGE in str(error):  # an ImportError, or an assertion about what a command said
            pytest.skip(f"needs {PACKAGE} in its {step}")
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Fixtures that load a model."""
    return (yield from _skipping("fixtures"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Tests that make an embedder of one."""
    return (yield from _skipping("body"))
