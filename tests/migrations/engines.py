"""Vector stores with engines of their own, as the classes of both frameworks open, fill and ask them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedbridge import Embedder

FINGERPRINT = "0123456789abcdef"

Document = tuple[str, str, Mapping[str, Any]]
"""Id, text, metadata."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A class of a framework.

    Args:
        kind: of the address.
        needs: the module that it comes from.
        opened: opens it at a place, with the name of an index and an embedding object, and gives what closes it too.
        dimensions: whether the class makes an index for vectors so wide, which it must be told.
    """

    kind: str
    needs: str
    opened: Callable[[str, str, Any], Any]
    fills: str = ""
    """What is added to the name of the index that is filled, before an alias gives it its own."""

    @property
    def is_llama_index(self) -> bool:
        return self.needs.startswith("llama_index")

    def address(self, place: str, name: str) -> str:
        return f"{self.kind}:{place}#{name}"

    def fill(self, place: str, name: str, documents: Sequence[Document], model: Embedder) -> None:
        """Make an index of documents, which has an alias where the store has them."""
        self.add(place, name + self.fills, documents, model)
        if self.fills:
            _give_alias(place, name, name + self.fills)

    def add(self, place: str, name: str, documents: Sequence[Document], model: Embedder) -> None:
        """Add documents whose ids are new, to an index that is made where there is none."""
        with self._open(place, name, model) as store:
            if self.is_llama_index:
                from llama_index.core import VectorStoreIndex
                from llama_index.core.schema import TextNode

                nodes = [
                    TextNode(id_=str(one), text=text, metadata=dict(metadata)) for one, text, metadata in documents
                ]
                VectorStoreIndex.from_vector_store(store, embed_model=model.as_llama_index()).insert_nodes(nodes)
            else:
                ids, texts, metadata = (list(part) for part in zip(*documents, strict=True))
                store.add_texts(texts, [dict(one) for one in metadata], ids=ids)

    def remove(self, place: str, name: str, ids: Sequence[Any], model: Embedder) -> None:
        """Take documents out."""
        with self._open(place, name, model) as store:
            if self.kind == "lancedb":  # LlamaIndex's class deletes by documents alone
                import lancedb

                words = ", ".join(f"'{identity}'" for identity in ids)
                lancedb.connect(place).open_table(name).delete(f"id IN ({words})")
            elif self.is_llama_index:
                store.delete_nodes(list(ids))
            else:
                store.delete(list(ids))

    def answers(self, place: str, name: str, questions: Sequence[str], model: Embedder) -> list[list[tuple[str, Any]]]:
        """Texts and metadata of the three best for each question, best first, by the framework's own retriever."""
        with self._open(place, name, model) as store:
            if not self.is_llama_index:
                asked = store.as_retriever(search_kwargs={"k": 3})
                found = [asked.invoke(question) for question in questions]
                return [[(hit.page_content, _own(hit.metadata)) for hit in hits] for hits in found]
            from llama_index.core import VectorStoreIndex

            index = VectorStoreIndex.from_vector_store(store, embed_model=model.as_llama_index())
            retriever = index.as_retriever(similarity_top_k=3)
            return [[(hit.text, hit.metadata) for hit in retriever.retrieve(question)] for question in questions]

    @contextmanager
    def _open(self, place: str, name: str, model: Embedder) -> Iterator[Any]:
        store = self.opened(place, name, model.as_llama_index() if self.is_llama_index else model.as_langchain())
        try:
            yield store
        finally:
            if self.kind == "qdrant":
                store.client.close()  # it locks its folder


def _own(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the classes of Qdrant and LanceDB add to an answer."""
    return {key: value for key, value in metadata.items() if key not in {"_id", "_collection_name", "source"}}


def _width(model: Any) -> int:
    return len(model.embed_query("a")) if hasattr(model, "embed_query") else len(model.get_query_embedding("a"))


def _lance_of_the_community(place: str, name: str, model: Any) -> Any:
    from langchain_community.vectorstores import LanceDB

    return LanceDB(uri=place, embedding=model, table_name=name, mode="append")


def _lance(place: str, name: str, model: Any) -> Any:
    from langchain_lancedb import LanceDB

    return LanceDB(embedding_function=model, uri=place, table_name=name)


def _lance_of_llama_index(place: str, name: str, _: Any) -> Any:
    from llama_index.vector_stores.lancedb import LanceDBVectorStore

    return LanceDBVectorStore(uri=place, table_name=name)


def qdrant_client(place: str) -> Any:
    """Of a server, or of a folder."""
    from qdrant_client import QdrantClient

    return QdrantClient(url=place, check_compatibility=False) if "://" in place else QdrantClient(path=place)


def _qdrant(place: str, name: str, model: Any) -> Any:
    from langchain_qdrant import QdrantVectorStore
    from qdrant_client.models import Distance, VectorParams

    client = qdrant_client(place)
    if not client.collection_exists(name):
        client.create_collection(name, vectors_config=VectorParams(size=_width(model), distance=Distance.COSINE))
    return QdrantVectorStore(client, name, model)


def _qdrant_of_llama_index(place: str, name: str, _: Any) -> Any:
    from llama_index.vector_stores.qdrant import QdrantVectorStore

    return QdrantVectorStore(client=qdrant_client(place), collection_name=name)


def _give_alias(place: str, alias: str, collection: str) -> None:
    from qdrant_client.models import CreateAlias, CreateAliasOperation

    operation = CreateAliasOperation(create_alias=CreateAlias(alias_name=alias, collection_name=collection))
    with closing(qdrant_client(place)) as client:
        client.update_collection_aliases([operation])


def _by_driver(place: str, driver: str) -> str:
    return place.replace("postgresql://", f"postgresql+{driver}://")


def _table(place: str, name: str, model: Any) -> Any:
    from langchain_postgres import PGEngine, PGVectorStore

    engine = PGEngine.from_connection_string(_by_driver(place, "psycopg"))
    if not has_table(place, name):
        engine.init_vectorstore_table(name, _width(model))
    return PGVectorStore.create_sync(engine, model, name)


def has_table(place: str, name: str) -> bool:
    """Whether a database has such a table."""
    import psycopg

    with psycopg.connect(place) as line:
        return line.execute("SELECT 1 FROM pg_tables WHERE tablename = %s", (name,)).fetchone() is not None


def _collection(place: str, name: str, model: Any) -> Any:
    from langchain_postgres import PGVector

    return PGVector(model, connection=_by_driver(place, "psycopg"), collection_name=name)


def _table_of_llama_index(place: str, name: str, model: Any) -> Any:
    from llama_index.vector_stores.postgres import PGVectorStore

    return PGVectorStore(
        connection_string=_by_driver(place, "psycopg2"),
        async_connection_string=_by_driver(place, "asyncpg"),
        table_name=name,
        schema_name="public",
        embed_dim=_width(model),
    )


ENGINES = {
    "LanceDB, LangChain": Engine("lancedb", "langchain_lancedb", _lance),
    "LanceDB, LangChain's community": Engine(
        "lancedb", "langchain_community.vectorstores.lancedb", _lance_of_the_community
    ),
    "LanceDB, LlamaIndex": Engine("lancedb", "llama_index.vector_stores.lancedb", _lance_of_llama_index),
    "Qdrant, LangChain": Engine("qdrant", "langchain_qdrant", _qdrant, "-1"),
    "Qdrant, LlamaIndex": Engine("qdrant", "llama_index.vector_stores.qdrant", _qdrant_of_llama_index, "-1"),
    "pgvector, LangChain's tables": Engine("pgvector", "langchain_postgres", _table),
    "pgvector, LangChain's collections": Engine("pgvector", "langchain_postgres", _collection),
    "pgvector, LlamaIndex": Engine("pgvector", "llama_index.vector_stores.postgres", _table_of_llama_index),
}


def documents_of(metadata: Mapping[str, Any], count: int) -> list[Document]:
    """Documents with UUIDs for ids and the same kinds of metadata."""
    return [
        (str(uuid.UUID(int=number)), f"{number} of the ünïcode's texts", {**metadata, "n": number})
        for number in range(1, count + 1)
    ]


def moved(store):
    """Build the new index beside, of any vectors, and switch."""
    names = store.names(FINGERPRINT)
    assert store.why_no_switch(names) == ""
    store.create(names.new, names.current, 3)
    for page in store.rows(names.current):
        store.upsert(names.new, page, np.ones((len(page), 3), np.float32))
    store.switch(names)
    return names
