"""SciFact, a real retrieval collection with judgements; not part of the project, so tests skip where it is absent."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[3] / "shared" / "data" / "scifact"


@dataclass(frozen=True, slots=True)
class SciFact:
    """5,183 abstracts, 300 claims, and which abstracts bear on which claim."""

    documents: dict[str, str]
    """Title, a space, and the text, by the document's id."""
    queries: dict[str, str]
    """The claim, by the query's id."""
    relevant: dict[str, dict[str, int]]
    """Query id → document id → grade, above 0."""


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="session")
def scifact() -> SciFact:
    """The collection, from the directory that EMBEDBRIDGE_SCIFACT names, or from `shared/data/scifact` beside us."""
    folder = Path(os.environ.get("EMBEDBRIDGE_SCIFACT") or _BESIDE)
    if not (folder / "docs.jsonl").exists():
        pytest.skip("needs SciFact, which is not part of the project: name its directory in EMBEDBRIDGE_SCIFACT")
    relevant: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        query, document, grade = line.split("\t")
        if grade.isdigit() and int(grade) > 0:
            relevant.setdefault(query, {})[document] = int(grade)
    documents = {row["id"]: f"{row['title']} {row['text']}" for row in _rows(folder / "docs.jsonl")}
    return SciFact(documents, {row["id"]: row["text"] for row in _rows(folder / "queries.jsonl")}, relevant)
