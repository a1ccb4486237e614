"""Two and three servers of one model, and an embedder over them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from embedbridge import Embedder
from embedbridge.testing import FaultServer

MODEL = "openai:text-embedding-3-small"


def always(_):
    return True


def pool_of(*servers, cache=False, **options):
    """An embedder over servers, each with a key of its own."""
    endpoints = [{"base_url": f"{each.url}/v1", "api_key": f"sk-{at}"} for at, each in enumerate(servers)]
    return Embedder(MODEL, **{"endpoints": endpoints, "cache": cache, "batch_size": 4, **options})


def expected(server, texts):
    return [server.vector(text, model="text-embedding-3-small") for text in texts]


@pytest.fixture
def pair() -> Iterator[tuple[FaultServer, FaultServer]]:
    with FaultServer() as first, FaultServer() as second:
        yield first, second
