import sys

import pytest
from langchain_tests.integration_tests import BaseStoreAsyncTests, BaseStoreSyncTests

from cache.parts import hits_of, make_items, make_keys, tamper, truth
from embedbridge.cache import DiskCache
from embedbridge.errors import MissingExtraError

VALUES = b"one", bytes(range(256)), b""


@pytest.fixture
def store(tmp_path):
    store = DiskCache(tmp_path).as_byte_store()
    yield store
    store.close()


class TestLangChainsOwnSuite(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, store):
        return store

    @pytest.fixture
    def three_values(self):
        return VALUES


class TestLangChainsOwnAsyncSuite(BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    async def kv_store(self, store):
        return store

    @pytest.fixture
    async def three_values(self):
        return VALUES


def test_vectors_and_values_live_in_one_directory_and_never_meet(tmp_path):
    cache = DiskCache(tmp_path)
    store = cache.as_byte_store()
    cache.put_many(make_items(3))
    store.mset([(key.decode("latin-1"), b"other") for key in make_keys(3)])
    assert hits_of(cache, make_keys(3)) == truth(3)
    assert len(list(store.yield_keys())) == 3
    cache.clear()
    assert store.mget([make_keys(1)[0].decode("latin-1")]) == [b"other"]
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {"entries", "byte-store"}


def test_any_text_is_a_key(store):
    keys = ["", "a\0b", "../../x", "x" * 10_000, "🦆", "\ud800"]
    store.mset([(key, key.encode("utf-8", "surrogatepass")) for key in keys])
    assert store.mget(keys) == [key.encode("utf-8", "surrogatepass") for key in keys]
    assert list(store.yield_keys(prefix="../")) == ["../../x"]
    assert set(store.yield_keys()) == set(keys)


def test_a_large_value_comes_back(store):
    store.mset([("large", bytes(5 * 2**20))])
    assert store.mget(["large"]) == [bytes(5 * 2**20)]


def test_a_damaged_value_is_none(tmp_path):
    store = DiskCache(tmp_path).as_byte_store()
    store.mset([("a", b"abc"), ("b", b"abc")])
    store.close()
    tamper(
        tmp_path / "byte-store", "UPDATE Cache SET value = CAST(x'00' || substr(value, 2) AS BLOB) WHERE key = x'61'"
    )
    assert store.mget(["a", "b"]) == [None, b"abc"]


def test_langchains_cache_backed_embeddings_can_use_it(tmp_path):
    classic = pytest.importorskip("langchain_classic.embeddings")
    from langchain_core.embeddings import DeterministicFakeEmbedding

    store = DiskCache(tmp_path).as_byte_store()
    inner = DeterministicFakeEmbedding(size=8)
    embedder = classic.CacheBackedEmbeddings.from_bytes_store(inner, store, key_encoder="sha256")
    assert embedder.embed_documents(["a", "b"]) == embedder.embed_documents(["a", "b"])
    assert len(list(store.yield_keys())) == 2


def test_without_langchain_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "embedbridge.cache._byte_store", raising=False)
    monkeypatch.setitem(sys.modules, "langchain_core.stores", None)
    with pytest.raises(MissingExtraError, match=r'pip install "embedbridge\[langchain\]"'):
        DiskCache(tmp_path).as_byte_store()
