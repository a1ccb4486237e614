"""What tests of moves begin with."""

from __future__ import annotations

import pytest

from embedbridge import Embedder


@pytest.fixture
def new(tmp_path):
    with Embedder("fake:8", cache=tmp_path / "cache") as embedder:
        yield embedder
