"""How far it is from `BridgeEmbeddings.embed_documents` to the wire and back: in calls, and in files."""

import pytest

from embedbridge.cache import DiskCache
from embedbridge.langchain import BridgeEmbeddings
from support.hops import counted_hops

pytest.importorskip("openai")


def test_one_text_passes_few_functions_in_few_files(server, tmp_path, capsys, monkeypatch):
    # Stores of other tests may have something left to write, which each store asks for.
    monkeypatch.setattr("embedbridge.cache._store.filled", {})
    face = BridgeEmbeddings(
        model="openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="sk", cache=DiskCache(tmp_path)
    )
    face.embed_documents(["what is made at the first call is made by now"])
    with counted_hops() as miss:
        vectors = face.embed_documents(["a text"])
    with counted_hops() as hit:
        assert face.embed_documents(["a text"]) == vectors
    assert server.stats.texts == 2
    with capsys.disabled():
        for name, hops in (("a miss", miss), ("a hit", hit)):
            print(f"\n{name}: {hops.calls} calls in {len(hops.files)} files", end="")  # noqa: T201 - the figure
    assert miss.calls <= 167
    assert len(miss.files) <= 45
    assert hit.calls <= 32
    assert len(hit.files) <= 18
