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

from embedbridge import ConfigurationError, Embedder, ProviderUnavailableError
from embedbridge.providers.fake import fake_vectors
from embedbridge.testing.loopback import LoopbackServer

PAGE = (files("embedbridge.providers") / "README.md").read_text(encoding="utf-8")
MODEL = "gemini-001:gemini-embedding-001"
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


CLASS = """
import numpy as np
from embedbridge._core.types import Reply
from embedbridge.providers.base import BaseProvider

class Own(BaseProvider):
    name = {name!r}

    @classmethod
    def reduces(cls, model, card):
        return True

    def ask(self, batch, *, timeout):
        return Reply(np.ones((len(batch.texts), self.config.dimensions or 4)))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Entries and a module's text as an installed package."""

    def installed(module, code, entry):
        folder = tmp_path / f"{module}-package"
        (folder / f"{module}-1.0.dist-info").mkdir(parents=True)
        (folder / f"{module}.py").write_text(code)
        (folder / f"{module}-1.0.dist-info" / "METADATA").write_text(f"Name: {module}\nVersion: 1.0\n")
        (folder / f"{module}-1.0.dist-info" / "entry_points.txt").write_text(f"[embedbridge.providers]\n{entry}\n")
        monkeypatch.syspath_prepend(folder)
        modules.append(module)

    modules = []
    yield installed
    for module in modules:
        sys.modules.pop(module, None)


@pytest.mark.parametrize(
    ("code", "entry", "said"),
    [
        ("import nobody_has_this", "own = own_provider:Own", r"own_provider:Own\) cannot be imported: No module named"),
        ("", "own = nobody_has_this:Own", r"nobody_has_this:Own\) cannot be imported: No module named"),
        ("def (", "own = own_provider:Own", r"own_provider:Own\) cannot be loaded: SyntaxError"),
        ("raise RuntimeError('no')", "own = own_provider:Own", r"cannot be loaded: RuntimeError\('no'\)"),
        ("", "own = own_provider:Own", "cannot be loaded: AttributeError"),
        ("class Own: pass", "own = own_provider:Own", "no class derived from BaseProvider"),
        ("def Own(config): pass", "own = own_provider:Own", "no class derived from BaseProvider"),
        (CLASS.format(name=""), "own = own_provider:Own", "calls itself ''; write name = 'own'"),
        (CLASS.format(name="openai"), "own = own_provider:Own", "calls itself 'openai'; write name = 'own'"),
    ],
)
def test_a_class_that_cannot_serve_is_named(install, code, entry, said):
    install("own_provider", code, entry)
    with pytest.raises(ConfigurationError, match=said):
        Embedder("own:x")


def test_a_name_in_any_case_a_nested_class_and_extras_are_found(install):
    code = CLASS.format(name="MyAPI") + "\nclass Outer:\n    Own = Own\n"
    install("own_provider", code, "MyAPI = own_provider:Outer.Own [fast]")
    for model in ("MyAPI:x", "myapi:x"):
        assert Embedder(model, cache=False).embed_documents(["a"]).shape == (1, 4)
    with pytest.raises(ConfigurationError, match="did you mean 'myapi'"):
        Embedder("myapj:x")


def test_two_packages_with_one_name_are_an_error_and_a_name_of_ours_stays_ours(install):
    install("own_provider", CLASS.format(name="own"), "own = own_provider:Own\nfake = own_provider:Own")
    assert Embedder("fake:8", cache=False).embed_documents(["a"]).shape == (1, 8)
    install("another_provider", CLASS.format(name="own"), "own = another_provider:Own")
    with pytest.raises(ConfigurationError, match="another_provider:Own, own_provider:Own; keep one"):
        Embedder("own:x")


def test_the_width_that_is_asked_for_is_part_of_the_identity(install):
    install("own_provider", CLASS.format(name="own"), "own = own_provider:Own")
    wide, narrow = Embedder("own:x", cache="memory"), Embedder("own:x", cache="memory", dimensions=2)
    assert narrow.embed_documents(["a"]).shape == (1, 2)
    assert wide.space.details == ()
    assert narrow.space.details == ("dimensions=2",)
