"""LlamaIndex's `persist_dir`: its documents are copied as they are, and its simple vector store is written anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from embedbridge._core.types import Vectors
from embedbridge.errors import ConfigurationError, InvalidInputError

from .base import Row, pages
from .flavours import of_llama_index
from .folders import FolderStore

DOCUMENTS, VECTORS = "docstore.json", "default__vector_store.json"


class PersistDirStore(FolderStore):
    """A folder that `StorageContext.persist` wrote, with LlamaIndex's own vector store.

    Args:
        folder: its `persist_dir`.
    """

    kind: ClassVar[str] = "llama-index"

    @staticmethod
    def recognises(place: str) -> bool:
        return all((Path(place) / name).is_file() for name in (DOCUMENTS, VECTORS))

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """LlamaIndex's, for files that are none of its own."""
        return (ValueError, KeyError, TypeError, AttributeError)

    def count(self, name: str) -> int:
        return len(self._stored(name)["embedding_dict"])

    def dimensions(self, name: str) -> int | None:
        return next((len(vector) for vector in self._stored(name)["embedding_dict"].values()), None)

    def rows(self, name: str) -> Iterator[list[Row]]:
        """The nodes that have a vector; the framework reads all of them into memory, as it does for every query."""
        return pages(self._nodes(name))

    def _nodes(self, name: str) -> Iterator[Row]:
        mode, docstore = of_llama_index("schema").MetadataMode.EMBED, of_llama_index("storage.docstore")
        folder = self.begin_reading(name)
        documents = docstore.SimpleDocumentStore.from_persist_dir(str(folder))
        stored = self._stored(name)
        for each in stored["embedding_dict"]:
            node = documents.get_document(each, raise_error=False)
            if node is None:
                raise InvalidInputError(f"{folder} has a vector of node {each!r}, and no text of it in {DOCUMENTS}")
            record = {
                "node": node.to_dict(),
                "ref": stored["text_id_to_ref_doc_id"].get(each),
                "metadata": stored["metadata_dict"].get(each),
            }
            yield Row(each, node.get_content(metadata_mode=mode), record)

    def vectors(self, name: str, ids: Sequence[str]) -> Mapping[str, Sequence[float]]:
        found = self._stored(name)["embedding_dict"]
        return {each: found[each] for each in ids if each in found}

    @property
    def written(self) -> Sequence[str]:
        return [VECTORS]

    def write(self, folder: Path, ids: Sequence[str], vectors: Vectors) -> None:
        """The vector store; what it has of documents besides stays."""
        content = {**self._stored(self.name), "embedding_dict": dict(zip(ids, vectors.tolist(), strict=True))}
        with (folder / VECTORS).open("w", encoding="utf-8") as file:
            json.dump(content, file)

    def _stored(self, name: str) -> dict[str, Any]:
        file = self._folder / name / VECTORS
        try:
            found = json.loads(file.read_bytes())
        except ValueError:
            found = None
        if not isinstance(found, dict) or "embedding_dict" not in found:
            raise ConfigurationError(
                f"{file} is not LlamaIndex's own simple vector store; an index whose vectors lie elsewhere is named by "
                "that place, as in chroma:folder#docs"
            )
        return {"text_id_to_ref_doc_id": {}, "metadata_dict": {}, **found}
