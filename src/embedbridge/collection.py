"""A retrieval collection: documents, queries and relevance judgements, and how well a search by vectors finds them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ._core.prepare import as_path
from ._core.types import Vectors
from .errors import InvalidInputError
from .evaluation import Scores, ndcg, recall, reciprocal_rank
from .similarity import top_k

__all__ = ["Collection", "Judged", "judge"]

DOCUMENTS, QUERIES = ("docs.jsonl", "corpus.jsonl"), ("queries.jsonl",)
JUDGEMENTS = ("qrels.tsv", "qrels/test.tsv")
"""File names: ours, and BEIR's."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, and those queries that have a relevant one."""

    documents: Mapping[str, str]
    """Id → title and text."""
    queries: Mapping[str, str]
    """Id → text."""
    grades: Mapping[str, Mapping[str, float]]
    """Query id → document id → relevance; documents that are not named are not relevant."""

    @classmethod
    def load(cls, folder: str | Path) -> Collection:
        """Read a folder of three files, or BEIR's.

        `docs.jsonl` has `id`, `title` and `text`, `queries.jsonl` has `id` and `text`, and `qrels.tsv` a query, a
        document and a grade a line.

        Args:
            folder: where the three files are.

        Returns:
            Documents, and those queries that have a relevant one.

        Raises:
            InvalidInputError: a file is missing or malformed, judged queries have no text, or no judged document is
                there. (Single documents that are missing count as not found: some of BEIR's collections have those.)
        """
        as_path(folder)
        grades: dict[str, dict[str, float]] = {}
        for query, document, grade in _judgements(_find(folder, JUDGEMENTS)):
            if grades.setdefault(query, {}).setdefault(document, grade) != grade:
                raise InvalidInputError(f"{folder} grades document {document!r} twice for query {query!r}, differently")
        grades = {query: known for query, known in grades.items() if max(known.values()) > 0}
        documents, asked = (_by_name(_texts(path), path) for path in (_find(folder, DOCUMENTS), _find(folder, QUERIES)))
        queries = {name: text for name, text in asked.items() if name in grades}
        if not any(known.keys() & documents.keys() for known in grades.values()) or len(queries) < len(grades):
            raise InvalidInputError(
                f"{folder} has {len(documents)} documents, {_judged(documents, grades)} of them judged, "
                f"and {len(queries)} queries of {len(grades)} that were judged"
            )
        return cls(documents, queries, {name: grades[name] for name in queries})


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Scores of a search, one number for each query, in the collection's order."""

    ndcg: Scores
    """nDCG@10."""
    recall: Scores
    """recall@100."""
    reciprocal_rank: Scores
    """Its mean is MRR@10."""


def judge(collection: Collection, documents: Vectors, queries: Vectors) -> Judged:
    """Score a search by cosine.

    Args:
        collection: what was embedded.
        documents: vectors `(n, d)`, in the collection's order.
        queries: vectors `(q, d)`, in the collection's order.

    Returns:
        nDCG@10, recall@100 and reciprocal rank of each query.

    Raises:
        InvalidInputError: shapes that do not fit, NaN or infinity.
    """
    if not isinstance(collection, Collection):
        raise InvalidInputError(f"collection: give a Collection, not a {type(collection).__name__}")
    names, grades = list(collection.documents), list(collection.grades.values())
    found = top_k(queries, documents, k=100).indices.tolist()
    ranked: Sequence[Sequence[str]] = [[names[row] for row in rows] for rows in found]
    return Judged(ndcg(ranked, grades), recall(ranked, grades), reciprocal_rank(ranked, grades))


def _find(folder: str | Path, names: Sequence[str]) -> Path:
    if not Path(folder).is_dir():
        raise InvalidInputError(f"there is no folder {str(folder)!r}")
    for name in names:
        if (path := Path(folder) / name).is_file():
            return path
    raise InvalidInputError(f"{folder} has no {' or '.join(names)}")


def _judged(documents: Mapping[str, str], grades: Mapping[str, Mapping[str, float]]) -> int:
    return len(documents.keys() & {name for known in grades.values() for name in known})


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """A file's lines that are not blank, counted from 1."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from ((number, line.rstrip("\n")) for number, line in enumerate(file, 1) if line.strip())
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{path} is not UTF-8 text: byte {error.object[error.start]:#04x}; save it as UTF-8"
        ) from None


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """Id and text of each line of a JSONL file."""
    for number, line in _lines(path):
        try:
            row = json.loads(line)
            name, title, text = row["_id"] if "_id" in row else row["id"], row.get("title") or "", row["text"]
            if type(name) not in {str, int} or not isinstance(text, str) or not isinstance(title, str):
                raise TypeError(text)  # noqa: TRY301 - as what a wrong row raises by itself
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise InvalidInputError(f"{path}, line {number}: not an object with an id and a text") from None
        yield str(name), f"{title} {text}".strip()


def _by_name(texts: Iterator[tuple[str, str]], path: Path) -> dict[str, str]:
    """Texts by id. Raises `InvalidInputError` where two have one."""
    found: dict[str, str] = {}
    for name, text in texts:
        if found.setdefault(name, text) != text:
            raise InvalidInputError(f"{path} has two texts under the id {name!r}")
    return found


def _judgements(path: Path) -> Iterator[tuple[str, str, float]]:
    """Query, document and grade of each line of a TSV file."""
    for number, line in _lines(path):
        try:
            query, document, grade = line.split("\t")
        except ValueError:
            raise InvalidInputError(f"{path}, line {number}: not a query, a document and a grade") from None
        try:
            value = float(grade)
        except ValueError:
            if number == 1:  # a header
                continue
            value = math.nan
        if not math.isfinite(value):
            raise InvalidInputError(f"{path}, line {number}: {grade!r} is no grade; write a number")
        yield query, document, value
