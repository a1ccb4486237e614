"""FAISS with a docstore, as LangChain's `FAISS.save_local` writes it: the documents stay, the vectors are written anew.

LangChain pickles its documents. What is read here makes documents and plain values only; a pickle that asks for
anything else is refused, unless the user allows it.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from embedbridge._core.types import Vectors
from embedbridge.errors import ConfigurationError, InvalidInputError, MissingExtraError

from .base import Row, check_options, package, pages
from .folders import FolderStore

OPTIONS = ("allow_dangerous_deserialization", "normalize_L2")
HARMLESS = {
    ("langchain_community.docstore.in_memory", "InMemoryDocstore"),
    ("langchain_core.documents.base", "Document"),
    *(("builtins", name) for name in ("set", "frozenset", "bytearray", "complex")),
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
}
"""What a docstore and the metadata of its documents are made of. None of these does anything when it is made."""


class _Reader(pickle.Unpickler):
    """Makes what is harmless."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in HARMLESS:
            raise ConfigurationError(
                f"the docstore is a pickle that asks for {module}.{name}; a pickle can run any program. If the file is "
                "your own, open the index with allow_dangerous_deserialization=True"
            )
        return super().find_class(module, name)


class FaissStore(FolderStore):
    """A folder that LangChain wrote.

    Args:
        folder: that of `save_local`.
        name: `index_name` of `save_local`.
        trusted: read any pickle.
        normalize: write vectors of length 1, as `normalize_L2` of LangChain's class.
    """

    kind: ClassVar[str] = "faiss"
    noun: ClassVar[str] = "vector"

    def __init__(self, folder: Path, name: str, *, trusted: bool, normalize: bool) -> None:
        super().__init__(folder)
        self._files, self._trusted, self._normalize = (f"{name}.faiss", f"{name}.pkl"), trusted, normalize

    @staticmethod
    def recognises(place: str) -> bool:
        return (Path(place) / "index.faiss").is_file() and (Path(place) / "index.pkl").is_file()

    @classmethod
    def at(cls, place: str, name: str | None, options: Mapping[str, Any]) -> Self:
        """Open a folder; the name is the `index_name`."""
        check_options(cls.kind, options, OPTIONS, bool)
        files = {file.stem for file in Path(place).glob("*.faiss")}
        if files and (name or "index") not in files:
            raise ConfigurationError(
                f"{place} has no {name or 'index'}.faiss; say which index is meant, as in faiss:{place}#NAME: one of "
                f"{', '.join(sorted(files))}"
            )
        trusted, normalize = (bool(options.get(option)) for option in OPTIONS)
        return cls(Path(place), name or "index", trusted=trusted, normalize=normalize)

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """FAISS's, for a file that is none of its own."""
        return (RuntimeError,)

    def count(self, name: str) -> int:
        return int(self._index(name).ntotal)

    def dimensions(self, name: str) -> int | None:
        return int(self._index(name).d)

    def rows(self, name: str) -> Iterator[list[Row]]:
        """In the order of the vectors; all are in memory, as for every query."""
        return pages(self._rows(name))

    def _rows(self, name: str) -> Iterator[Row]:
        documents, ids = self._documents(self.begin_reading(name))
        for each in ids:
            document = documents.search(each)
            if isinstance(document, str):  # LangChain's way to say that there is none
                raise InvalidInputError(f"{self.shown} has a vector of document {each!r}, and no text of it")
            yield Row(each, document.page_content, {"id": document.id, "metadata": document.metadata})

    def ids(self, name: str) -> Iterator[tuple[int, Any]]:
        """By the place of the vector, from 0."""
        return enumerate(self._documents(self._folder / name)[1])

    def vectors(self, name: str, ids: Sequence[str]) -> Mapping[str, Sequence[float]]:
        _, order = self._documents(self._folder / name)
        places, index = {each: place for place, each in enumerate(order)}, self._index(name)
        return {each: index.reconstruct(places[each]) for each in ids if each in places}

    @property
    def written(self) -> Sequence[str]:
        return [self._files[0]]

    def write(self, folder: Path, ids: Sequence[str], vectors: Vectors) -> None:
        """The index; the documents, in the same order, are copied with all else."""
        old, faiss = self._index(self.name), _faiss()
        if type(old) not in {faiss.IndexFlatL2, faiss.IndexFlatIP, faiss.IndexFlat}:
            raise ConfigurationError(
                f"{self.shown} is a {type(old).__name__}, whose settings cannot be told from the file; build the new "
                "one from its documents as you built this one: the vectors are in the cache"
            )
        if self._normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        index = faiss.IndexFlat(vectors.shape[1], old.metric_type)
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        faiss.write_index(index, str(folder / self._files[0]))

    def _index(self, name: str) -> Any:
        return _faiss().read_index(str(self._folder / name / self._files[0]))

    def _documents(self, folder: Path) -> tuple[Any, list[str]]:
        """The docstore, and the ids in the order of the vectors."""
        content = (folder / self._files[1]).read_bytes()
        try:
            reader = pickle.Unpickler if self._trusted else _Reader
            documents, places = reader(BytesIO(content)).load()
            return documents, [places[place] for place in range(len(places))]
        except ImportError:
            raise MissingExtraError("this index is LangChain's; run: pip install langchain-community") from None
        except ConfigurationError:
            raise
        except (pickle.UnpicklingError, EOFError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"{folder / self._files[1]} is no docstore of LangChain's") from error


def _faiss() -> Any:
    return package("faiss", "this index is FAISS's; run: pip install faiss-cpu")
