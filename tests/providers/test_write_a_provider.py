"""The page on writing a provider tells the truth: its example, installed as a package, works as it stands.

The server speaks the little of Gemini's API that the example needs; the real one is out of a test's reach.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from importlib.resources import files

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder, MissingExtraError, ProviderUnavailableError
from embedbridge.providers.fake import fake_vectors
from embedbridge.testing.loopback import LoopbackServer

PAGE = (files("embedbridge.providers") / "README.md").read_text(encoding="utf-8")
MODEL = "gemini:gemini-embedding-001"
KEY = "AIza-a-key-for-tests"


class GeminiServer(LoopbackServer):
    """Vectors that depend on the task as well as on the text."""

    def __init__(self):
        super().__init__()
        self.requests, self.status = [], 200

    async def answer(self, connection, request):
        asked = json.loads(request.body)["requests"]
        self.requests.append((request.path, request.headers.get("x-goog-api-key"), asked))
        texts = [f"{one['taskType']}|{one['content']['parts'][0]['text']}" for one in asked]
        vectors = fake_vectors(texts, asked[0].get("outputDimensionality", 3072))
        body = {"embeddings": [{"values": vector.tolist()} for vector in vectors]}
        await connection.send(self.status, {"content-type": "application/json"}, json.dumps(body).encode())
        return True


@pytest.fixture
def gemini_server():
    with GeminiServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    """The page's two blocks as an installed package."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (entry,) = re.findall(r"```toml\n.*?\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "gemini_provider.py").write_text(code)
    info = tmp_path / "gemini_provider-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gemini-provider\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[embedbridge.providers]\n" + entry.replace('"', ""))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    yield
    sys.modules.pop("gemini_provider", None)
    importlib.invalidate_caches()


def test_it_is_found_by_name_and_routes_roles_through_threads_and_tasks(caller, gemini_server):
    embedder = Embedder(MODEL, base_url=f"{gemini_server.url}/v1beta", cache=False)
    vectors = caller.embed_documents(embedder, ["a", "b"])
    query = caller.embed_query(embedder, "a")
    assert np.allclose(vectors, fake_vectors(["RETRIEVAL_DOCUMENT|a", "RETRIEVAL_DOCUMENT|b"], 3072))
    assert np.allclose(query, fake_vectors(["RETRIEVAL_QUERY|a"], 3072)[0])
    paths, keys, _ = zip(*gemini_server.requests, strict=True)
    assert set(paths) == {"/v1beta/models/gemini-embedding-001:batchEmbedContents"}
    assert set(keys) == {KEY}


def test_it_has_the_packing_the_cache_and_the_widths(caller, gemini_server):
    embedder = Embedder(MODEL, base_url=f"{gemini_server.url}/v1beta", dimensions=256, cache="memory")
    texts = [f"text {number}" for number in range(250)]
    first = caller.embed_documents(embedder, texts)
    assert sorted(len(asked) for _, _, asked in gemini_server.requests) == [50, 100, 100]
    assert first.shape == (250, 256)
    assert caller.embed_documents(embedder, texts).tolist() == first.tolist()
    assert len(gemini_server.requests) == 3


def test_it_retries_and_shows_no_key(caller, gemini_server):
    gemini_server.status = 503
    embedder = Embedder(MODEL, base_url=f"{gemini_server.url}/v1beta", max_retries=1, cache=False)
    with pytest.raises(ProviderUnavailableError) as caught:
        caller.embed_documents(embedder, ["a"])
    assert len(gemini_server.requests) == 2
    assert KEY not in f"{caught.value!r} {embedder!r}"


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY")
    with pytest.raises(ConfigurationError, match="GEMINI_API_KEY or GOOGLE_API_KEY"):
        Embedder(MODEL)


def test_a_package_that_it_lacks_is_named_and_no_extra_of_ours_is_proposed(tmp_path):
    module = tmp_path / "gemini_provider.py"
    module.write_text(f"import a_missing_package\n{module.read_text()}")
    with pytest.raises(MissingExtraError, match=r"'gemini_provider': No module named 'a_missing_package'$"):
        Embedder(MODEL)
