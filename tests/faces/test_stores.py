"""Real vector stores in both frameworks: add, search, close, open again, search again without a request.

They come with the extra `stores`; a store that is not installed is skipped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding

from .test_chains import FACTS, QUESTIONS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # the stores' own warnings are not ours to mend


@dataclass(frozen=True, slots=True)
class LangChainStore:
    """How a store is filled in a directory, and how it is opened again."""

    needs: tuple[str, ...]
    fill: Callable[[str, Any], Any]
    reopen: Callable[[str, Any], Any]


def _chroma(path, embeddings):
    from langchain_chroma import Chroma

    return Chroma("facts", embedding_function=embeddings, persist_directory=path)


def _fill_chroma(path, embeddings):
    store = _chroma(path, embeddings)
    store.add_texts(FACTS)
    return store


def _fill_faiss(path, embeddings):
    from langchain_community.vectorstores import FAISS

    store = FAISS.from_texts(FACTS, embeddings)
    store.save_local(path)
    return store


def _open_faiss(path, embeddings):
    from langchain_community.vectorstores import FAISS

    return FAISS.load_local(path, embeddings, allow_dangerous_deserialization=True)


def _fill_qdrant(path, embeddings):
    from langchain_qdrant import QdrantVectorStore

    return QdrantVectorStore.from_texts(FACTS, embeddings, path=path, collection_name="facts")


def _open_qdrant(path, embeddings):
    from langchain_qdrant import QdrantVectorStore

    return QdrantVectorStore.from_existing_collection("facts", embeddings, path=path)


def _lance(path, embeddings):
    from langchain_community.vectorstores import LanceDB

    return LanceDB(uri=path, embedding=embeddings, table_name="facts")


def _fill_lance(path, embeddings):
    store = _lance(path, embeddings)
    store.add_texts(FACTS)
    return store


LANGCHAIN = {
    "chroma": LangChainStore(("langchain_chroma",), _fill_chroma, _chroma),
    "faiss": LangChainStore(("langchain_community", "faiss"), _fill_faiss, _open_faiss),
    "qdrant": LangChainStore(("langchain_qdrant",), _fill_qdrant, _open_qdrant),
    "lancedb": LangChainStore(("langchain_community", "lancedb"), _fill_lance, _lance),
}


@pytest.mark.parametrize("name", LANGCHAIN)
def test_a_langchain_store_is_searched_again_after_a_restart_without_a_request(name, tmp_path, cache, minilm_path):
    kind = LANGCHAIN[name]
    for module in kind.needs:
        pytest.importorskip(module, reason=f"needs {module}, of the extra 'stores'")
    for open_store, expected in ((kind.fill, None), (kind.reopen, 0)):
        embeddings = BridgeEmbeddings(model=f"local:{minilm_path}", cache=cache)
        store = open_store(str(tmp_path / "store"), embeddings)
        for question, fact in QUESTIONS.items():
            assert [found.page_content for found in store.similarity_search(question, k=1)] == [fact]
        assert expected is None or embeddings.embedder.usage.requests == expected
        with contextlib.suppress(AttributeError):
            store.client.close()  # Qdrant locks its directory


def _index_chroma(path):
    import chromadb
    from llama_index.vector_stores.chroma import ChromaVectorStore

    return ChromaVectorStore(chroma_collection=chromadb.PersistentClient(path).get_or_create_collection("facts"))


def _index_qdrant(path):
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    return QdrantVectorStore(client=QdrantClient(path=path), collection_name="facts")


def _index_lance(path):
    from llama_index.vector_stores.lancedb import LanceDBVectorStore

    return LanceDBVectorStore(uri=path, table_name="facts")


def _index_faiss(path):
    import faiss
    from llama_index.vector_stores.faiss import FaissVectorStore

    with contextlib.suppress(ValueError):
        return FaissVectorStore.from_persist_dir(path)
    return FaissVectorStore(faiss.IndexFlatIP(384))


LLAMA_INDEX = {"chroma": _index_chroma, "faiss": _index_faiss, "qdrant": _index_qdrant, "lancedb": _index_lance}


@pytest.mark.parametrize("name", LLAMA_INDEX)
def test_a_llama_index_store_is_searched_again_after_a_restart_without_a_request(name, tmp_path, cache, minilm_path):
    pytest.importorskip(f"llama_index.vector_stores.{name}", reason=f"needs {name}, of the extra 'stores'")
    from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
    from llama_index.core.schema import TextNode

    path = str(tmp_path / "store")
    for first in (True, False):
        model = BridgeEmbedding(model=f"local:{minilm_path}", cache=cache)
        store = LLAMA_INDEX[name](path)
        kept = not first and name == "faiss"  # it keeps vectors alone, and the nodes lie beside them
        context = StorageContext.from_defaults(vector_store=store, persist_dir=path if kept else None)
        if first:
            index = VectorStoreIndex(
                [TextNode(text=fact) for fact in FACTS], storage_context=context, embed_model=model
            )
            context.persist(path)
        elif kept:
            index = load_index_from_storage(context, embed_model=model)
        else:
            index = VectorStoreIndex.from_vector_store(store, embed_model=model)
        for question, fact in QUESTIONS.items():
            assert [found.text for found in index.as_retriever(similarity_top_k=1).retrieve(question)] == [fact]
        assert first or model.embedder.usage.requests == 0
        with contextlib.suppress(AttributeError):
            store.client.close()  # Qdrant locks its directory
