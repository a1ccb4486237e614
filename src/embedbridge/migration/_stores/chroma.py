"""Chroma's folder: collections of one SQLite file, read and written by its own client, whichever framework filled them.

A collection takes another name in one transaction; a switch has two, and between them no collection has the name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from embedbridge._core.types import Vectors
from embedbridge.errors import ConfigurationError

from .base import PAGE, Row, check_options, package, without_password
from .flavours import embedded_text
from .several import SharedPlaceStore, only_name

FILE = "chroma.sqlite3"


class ChromaStore(SharedPlaceStore):
    """A folder of Chroma's.

    Args:
        client: Chroma's own.
        folder: where it keeps its files.
        name: of the collection.
    """

    kind: ClassVar[str] = "chroma"

    def __init__(self, client: Any, folder: Path, name: str) -> None:
        super().__init__(name, str(folder), folder)
        self._client = client

    @staticmethod
    def recognises(place: str) -> bool:
        return (Path(place) / FILE).is_file()

    @classmethod
    def at(cls, place: str, name: str | None, options: Mapping[str, Any]) -> Self:
        check_options(cls.kind, options)
        folder = Path(place)
        if not cls.recognises(place):
            raise ConfigurationError(f"{without_password(place)} is no folder of Chroma's: it has no {FILE}")
        chromadb = package("chromadb", "this index is Chroma's; run: pip install chromadb")
        try:
            client = chromadb.PersistentClient(str(place))
        except ValueError as error:
            raise ConfigurationError(
                f"{place} is open in this process with other settings; close it, or move the index from another process"
            ) from error
        except Exception as error:  # its file is damaged, or of a release that it cannot read
            raise ConfigurationError(f"{place} cannot be opened by Chroma: {type(error).__name__}: {error}") from error
        found = [collection.name for collection in client.list_collections()] if name is None else []
        return cls(client, folder, only_name(folder, found) if name is None else name)

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Chroma's own, and what it raises for values that it does not take."""
        from chromadb.errors import ChromaError

        return (ChromaError, ValueError, TypeError)

    def indexes(self) -> list[str]:
        return [collection.name for collection in self._client.list_collections()]

    def exists(self, name: str) -> bool:
        return name in self.indexes()

    def count(self, name: str) -> int:
        return int(self._collection(name).count())

    def dimensions(self, name: str) -> int | None:
        found = self._collection(name).get(limit=1, include=["embeddings"])["embeddings"]
        return len(found[0]) if len(found) else None

    def rows(self, name: str) -> Iterator[list[Row]]:
        collection, offset = self._collection(name), 0
        while True:
            page = collection.get(limit=PAGE, offset=offset, include=["documents", "metadatas", "uris"])
            if not page["ids"]:
                return
            offset += len(page["ids"])
            columns = (page[column] for column in ("ids", "documents", "metadatas", "uris"))
            yield [_row(*each) for each in zip(*columns, strict=True)]

    def vectors(self, name: str, ids: Sequence[str]) -> Mapping[str, Sequence[float]]:
        found = self._collection(name).get(ids=list(ids), include=["embeddings"])
        return dict(zip(found["ids"], found["embeddings"], strict=True))

    def create(self, name: str, like: str, dimensions: int) -> None:
        """With the distance and the metadata of another collection."""
        if self.exists(name):
            return
        other = self._collection(like)
        settings = {part: value for part, value in other.configuration_json.items() if value is not None}
        settings.pop("embedding_function", None)
        self._client.create_collection(
            name, metadata=other.metadata, configuration=settings, embedding_function=None, get_or_create=False
        )

    def upsert(self, name: str, rows: Sequence[Row], vectors: Vectors) -> None:
        """In as many steps as Chroma's limit has it. What is there goes first, else keys of its metadata stay."""
        collection, most = self._collection(name), self._client.get_max_batch_size()
        for first in range(0, len(rows), most):
            some = rows[first : first + most]
            if there := collection.get(ids=[row.id for row in some], include=[])["ids"]:
                collection.delete(ids=there)
            uris = [row.record.get("uri") for row in some]
            collection.upsert(
                ids=[row.id for row in some],
                documents=[row.record["document"] for row in some],
                metadatas=[row.record["metadata"] for row in some],
                embeddings=vectors[first : first + most],
                uris=uris if any(uris) else None,
            )

    def delete(self, name: str, ids: Sequence[str]) -> None:
        self._collection(name).delete(ids=list(ids))

    def rename(self, name: str, to: str) -> None:
        """One transaction of Chroma's."""
        self._collection(name).modify(name=to)

    def close(self) -> None:
        self._client.close()

    def _collection(self, name: str) -> Any:
        return self._client.get_collection(name, embedding_function=None)


def _row(identity: str, document: str | None, metadata: dict[str, Any] | None, uri: str | None) -> Row:
    record = {"document": document, "metadata": metadata or None, **({"uri": uri} if uri is not None else {})}
    return Row(identity, embedded_text(identity, document, metadata), record)
