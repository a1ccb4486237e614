"""One adapter a file for each kind of store; an adapter is loaded when an address asks for it."""

from __future__ import annotations

from importlib import import_module

from .base import Store

ADAPTERS = {
    "jsonl": "jsonl:JsonlStore",
    "chroma": "chroma:ChromaStore",
    "llama-index": "persist_dir:PersistDirStore",
    "faiss": "faiss:FaissStore",
    "lancedb": "lancedb:LanceStore",
    "pgvector": "pgvector:PgVectorStore",
    "qdrant": "qdrant:QdrantStore",
}
"""Kind → module and class. In this order a place is looked at that says no kind."""


def adapter(kind: str) -> type[Store]:
    """The class of a kind."""
    module, _, name = ADAPTERS[kind].partition(":")
    found: type[Store] = getattr(import_module(f".{module}", __name__), name)
    return found
