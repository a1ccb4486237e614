"""Kinds of stores, each as an application fills and asks it: by the framework's own class, with an embedding object.

A row is all that the battery needs of a kind. Documents are (id, text, metadata).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from embedbridge import Embedder
from embedbridge.similarity import top_k

NEAREST = 5


def jsonl_file(folder: Path, *rows: dict[str, object]) -> Path:
    """A file of rows in a folder."""
    file = folder / "docs.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


@dataclass(frozen=True, slots=True)
class Kind:
    """How an application uses a store in a folder."""

    needs: tuple[str, ...]
    """Modules without which it is skipped."""
    address: str
    """`{}` is the folder."""
    guard: str
    """What the application gives to the guard."""
    write: Callable[[Path, list[Any], Embedder], None]
    """Put documents in, in place of those with the same ids; makes the index where there is none."""
    remove: Callable[[Path, list[str], Embedder], None]
    """Take documents out."""
    ask: Callable[[Path, list[str], Embedder], list[list[str]]]
    """The ids of the nearest documents of each question, best first, by a retriever of the framework's own."""
    content: Callable[[Path, str], str]
    """A digest of all that an index has: ids, texts, metadata and vectors, bit by bit."""
    options: dict[str, str] = field(default_factory=dict)
    """What `open_index` is told besides; `{}` is the folder."""


def digest_of(value: Any) -> str:
    """Equal for equal values; of vectors every bit counts."""
    plain = json.dumps(value, sort_keys=True, default=lambda found: np.asarray(found, np.float32).tobytes().hex())
    return blake2b(plain.encode(), digest_size=8).hexdigest()


def files_of(folder: Path) -> str:
    """Of all files of a folder, but for the guard's."""
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("embedbridge"))
    return digest_of([[file.name, file.read_bytes().hex()] for file in files])


# JSONL.


def _lines(folder):
    file = folder / "docs.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _write_lines(folder, documents, embedder):
    rows = {row["id"]: row for row in _lines(folder)}
    for name, text, metadata in documents:
        vector = embedder.embed_documents([text])[0].tolist() if len(documents) < 50 else None
        rows[name] = {"id": name, "text": text, "metadata": metadata} | ({"embedding": vector} if vector else {})
    if len(documents) >= 50:
        vectors = embedder.embed_documents([text for _, text, _ in documents]).tolist()
        for (name, _, _), vector in zip(documents, vectors, strict=True):
            rows[name]["embedding"] = vector
    (folder / "docs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows.values()))


def _remove_lines(folder, names, _):
    rows = [row for row in _lines(folder) if row["id"] not in names]
    (folder / "docs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _ask_lines(folder, questions, embedder):
    rows = _lines(folder)
    queries = np.stack([embedder.embed_query(question) for question in questions])
    found = top_k(queries, np.array([row["embedding"] for row in rows], np.float32), k=NEAREST).indices
    return [[rows[place]["id"] for place in places] for places in found.tolist()]


# Chroma, which both frameworks fill.


def _chroma(folder, embedder):
    from langchain_chroma import Chroma

    return Chroma(
        "docs",
        embedding_function=embedder.as_langchain(),
        persist_directory=str(folder / "chroma"),
        collection_metadata={"hnsw:space": "cosine"},
    )


def _write_chroma(folder, documents, embedder):
    store = _chroma(folder, embedder)
    for first in range(0, len(documents), 1000):
        names, texts, metadatas = zip(*documents[first : first + 1000], strict=True)
        store.add_texts(list(texts), metadatas=list(metadatas), ids=list(names))


def _remove_chroma(folder, names, embedder):
    _chroma(folder, embedder).delete(names)


def _ask_store(store, questions):
    """By LangChain's retriever."""
    retriever = store.as_retriever(search_kwargs={"k": NEAREST})
    return [[found.id for found in retriever.invoke(each)] for each in questions]


def _ask_chroma(folder, questions, embedder):
    return _ask_store(_chroma(folder, embedder), questions)


def _chroma_content(folder, name):
    import chromadb

    collection = chromadb.PersistentClient(str(folder / "chroma")).get_collection(name, embedding_function=None)
    found = collection.get(include=["documents", "metadatas", "embeddings"])
    rows = zip(found["ids"], found["documents"], found["metadatas"], found["embeddings"], strict=True)
    return digest_of([collection.metadata, sorted(rows, key=lambda row: row[0])])


def _chroma_index(folder, embedder):
    import chromadb
    from llama_index.core import VectorStoreIndex
    from llama_index.vector_stores.chroma import ChromaVectorStore

    collection = chromadb.PersistentClient(str(folder / "chroma")).get_or_create_collection("docs")
    return VectorStoreIndex.from_vector_store(
        ChromaVectorStore(chroma_collection=collection), embed_model=embedder.as_llama_index()
    )


def _nodes(documents):
    from llama_index.core.schema import TextNode

    return [TextNode(id_=name, text=text, metadata=metadata) for name, text, metadata in documents]


def _write_chroma_index(folder, documents, embedder):
    index = _chroma_index(folder, embedder)
    index.vector_store.delete_nodes([name for name, _, _ in documents])  # it passes over those that are there
    index.insert_nodes(_nodes(documents))


def _remove_chroma_index(folder, names, embedder):
    _chroma_index(folder, embedder).vector_store.delete_nodes(names)


def _ask_index(index, questions):
    retriever = index.as_retriever(similarity_top_k=NEAREST)
    return [[found.node.node_id for found in retriever.retrieve(each)] for each in questions]


def _ask_chroma_index(folder, questions, embedder):
    return _ask_index(_chroma_index(folder, embedder), questions)


# LlamaIndex's persist_dir.


def _persisted(folder, embedder):
    from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage

    model = embedder.as_llama_index()
    if (folder / "storage").exists():
        context = StorageContext.from_defaults(persist_dir=str(folder / "storage"))
        return load_index_from_storage(context, embed_model=model)
    return VectorStoreIndex([], embed_model=model)


def _write_persisted(folder, documents, embedder):
    index = _persisted(folder, embedder)
    known = [name for name, _, _ in documents if index.docstore.document_exists(name)]
    if known:
        index.delete_nodes(known, delete_from_docstore=True)
    index.insert_nodes(_nodes(documents))
    index.storage_context.persist(str(folder / "storage"))


def _remove_persisted(folder, names, embedder):
    index = _persisted(folder, embedder)
    index.delete_nodes(names, delete_from_docstore=True)
    index.storage_context.persist(str(folder / "storage"))


def _ask_persisted(folder, questions, embedder):
    return _ask_index(_persisted(folder, embedder), questions)


# LangChain's FAISS.


def _faiss(folder, embedder):
    from langchain_community.vectorstores import FAISS

    return FAISS.load_local(str(folder / "faiss"), embedder.as_langchain(), allow_dangerous_deserialization=True)


def _write_faiss(folder, documents, embedder):
    from langchain_community.vectorstores import FAISS

    names, texts, metadatas = map(list, zip(*documents, strict=True))
    if (folder / "faiss").exists():
        store = _faiss(folder, embedder)
        known = [name for name in names if name in store.index_to_docstore_id.values()]
        if known:
            store.delete(known)
        store.add_texts(texts, metadatas=metadatas, ids=names)
    else:
        store = FAISS.from_texts(texts, embedder.as_langchain(), metadatas=metadatas, ids=names)
    store.save_local(str(folder / "faiss"))


def _remove_faiss(folder, names, embedder):
    store = _faiss(folder, embedder)
    store.delete(names)
    store.save_local(str(folder / "faiss"))


def _ask_faiss(folder, questions, embedder):
    return _ask_store(_faiss(folder, embedder), questions)


KINDS = {
    "jsonl": Kind(
        (),
        "{}/docs.jsonl",
        "{}/docs.jsonl",
        _write_lines,
        _remove_lines,
        _ask_lines,
        lambda folder, name: digest_of((folder / name).read_text()),
    ),
    "chroma": Kind(
        ("langchain_chroma",),
        "chroma:{}/chroma#docs",
        "{}/chroma",
        _write_chroma,
        _remove_chroma,
        _ask_chroma,
        _chroma_content,
    ),
    "chroma-llama-index": Kind(
        ("llama_index.vector_stores.chroma",),
        "chroma:{}/chroma#docs",
        "{}/chroma",
        _write_chroma_index,
        _remove_chroma_index,
        _ask_chroma_index,
        _chroma_content,
    ),
    "llama-index": Kind(
        ("llama_index.core",),
        "{}/storage",
        "{}/storage",
        _write_persisted,
        _remove_persisted,
        _ask_persisted,
        lambda folder, name: files_of(folder / name),
    ),
    "faiss": Kind(
        ("langchain_community", "faiss"),
        "{}/faiss",
        "{}/faiss",
        _write_faiss,
        _remove_faiss,
        _ask_faiss,
        lambda folder, name: files_of(folder / name),
    ),
}
