"""An embedder of OpenAI's wire with a cache on disk, and a vendor that lists a batch as soon as it has made it."""

import pytest

from cache.conftest import _shared_valkey, start_valkey, valkey  # noqa: F401 - a real server
from embedbridge import Embedder
from embedbridge._batch import desk

WIDTH = 16


@pytest.fixture(autouse=True)
def _listed_at_once(monkeypatch):
    monkeypatch.setattr(desk, "SETTLING", 0.0)


@pytest.fixture
def embedder(server, tmp_path):
    """Makes one; each is as of another process."""

    def make(**options):
        given = {"base_url": f"{server.url}/v1", "api_key": "sk-not-a-real-key", "cache": tmp_path, "dimensions": WIDTH}
        return Embedder("openai:text-embedding-3-small", **given | options)

    return make


@pytest.fixture
def twice(server):
    """A gateway that hears no answer asks the vendor again, and tells of the second batch alone."""
    real = server.batches.make

    def make(*arguments, **options):
        real(*arguments, **options)
        return real(*arguments, **options)

    server.batches.make = make
