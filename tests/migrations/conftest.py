"""What tests of moves begin with."""

from __future__ import annotations

import pytest

from embedbridge import Embedder
from support.moving_client import documents_of

from .stores import KINDS


@pytest.fixture
def new(tmp_path):
    with Embedder("fake:8", cache=tmp_path / "cache") as embedder:
        yield embedder


@pytest.fixture
def old():
    with Embedder("fake:16", cache="memory") as embedder:
        yield embedder


@pytest.fixture
def index(tmp_path, old):
    """An index without a store: a file."""
    KINDS["jsonl"].write(tmp_path, documents_of(60), old)
    return tmp_path / "docs.jsonl"
