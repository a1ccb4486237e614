"""`bench`: how well the old model and the new one find what users look for, or how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from embedbridge._core.types import InputType, Vectors
from embedbridge._run.watches import building
from embedbridge.collection import Collection, Judged, judge
from embedbridge.embedder import Embedder
from embedbridge.errors import InvalidInputError
from embedbridge.evaluation import Difference, overlap, paired_bootstrap, rank_biased_overlap
from embedbridge.similarity import top_k

from ._comparing import drawn
from ._indexes import Index

CHUNK = 4096
Ranked: TypeAlias = Sequence[Sequence[int]]
"""For each query, the places of the documents found, best first."""
DEPTH = 10
"""Ranks that are compared."""
OWN_QUERIES = 200
"""Documents that stand in for queries where there are none."""
SHOWN = 3
"""Queries to look at, and documents of each."""


@dataclass(frozen=True, slots=True)
class Example:
    """A query on which the two models agree least."""

    query: str
    old: tuple[str, ...]
    """Texts that the old model finds first, best first."""
    new: tuple[str, ...]
    """Texts that the new model finds first, best first."""


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """The old model and the new one, on the same documents and queries. `str()` is a table."""

    documents: int
    queries: int
    old: Judged | None
    """Scores of each query; None without judgements."""
    new: Judged | None
    """Scores of each query; None without judgements."""
    overlap: Difference
    """Mean share of the ten nearest that both have in common, and its 95 % interval."""
    rank_biased: Difference
    """Mean rank-biased overlap of the ten nearest, and its 95 % interval."""
    examples: tuple[Example, ...]
    """Queries to look at."""

    @property
    def difference(self) -> Difference | None:
        """nDCG@10 of the new model less that of the old one, with its 95 % interval; None without judgements."""
        return None if self.old is None or self.new is None else paired_bootstrap(self.new.ndcg, self.old.ndcg)

    def __str__(self) -> str:
        lines = [f"{self.documents:,} documents, {self.queries:,} queries"]
        for name, judged in (("old", self.old), ("new", self.new)):
            if judged is not None:
                means = (float(each.mean()) for each in (judged.ndcg, judged.recall, judged.reciprocal_rank))
                lines.append("{}: nDCG@10 {:.4f}, recall@100 {:.4f}, MRR@10 {:.4f}".format(name, *means))
        if self.difference is not None:
            lines.append(f"new less old, nDCG@10: {self.difference}")
        for told, share in (("of the ten nearest in common", self.overlap), ("rank-biased overlap", self.rank_biased)):
            lines.append(f"{told}: {share.mean:.3f} [{share.low:.3f}, {share.high:.3f}]")
        return "\n".join(lines)


def bench_collection(old: Embedder, new: Embedder, data: Collection | str | Path) -> Bench:
    """Measure on documents, queries and judgements of the user's own."""
    collection = data if isinstance(data, Collection) else Collection.load(data)
    documents, queries = list(collection.documents.values()), list(collection.queries.values())
    both = [(embed(each, documents, "document"), embed(each, queries, "query")) for each in (old, new)]
    judged = judge(collection, *both[0]), judge(collection, *both[1])
    ranked = [top_k(asked, found, k=min(DEPTH, len(documents))).indices.tolist() for found, asked in both]
    return _bench(documents, queries, judged, ranked)


def bench_index(old: Embedder, new: Embedder, index: Index, queries: Sequence[str] | None, sample: int) -> Bench:
    """Measure how far the models agree on a sample of an index."""
    documents = [row.text for row in drawn(index.store.rows(index.store.name), sample)]
    if len(documents) < 2:
        raise InvalidInputError(f"{index} has {len(documents)} documents, of which no ranking can be made")
    ranked: list[Ranked] = []
    for each in (old, new):
        vectors = embed(each, documents, "document")
        if queries is not None:
            asked = embed(each, queries, "query")
            ranked.append(top_k(asked, vectors, k=min(DEPTH, len(documents))).indices.tolist())
        else:  # a document's neighbours, itself apart
            nearest = top_k(vectors[:OWN_QUERIES], vectors, k=min(DEPTH + 1, len(documents))).indices.tolist()
            ranked.append([[place for place in row if place != own][:DEPTH] for own, row in enumerate(nearest)])
    return _bench(documents, documents[:OWN_QUERIES] if queries is None else list(queries), (None, None), ranked)


def embed(embedder: Embedder, texts: Sequence[str], role: InputType) -> Vectors:
    """The vectors of texts in a role."""
    with building():
        chunks = embedder.stream(texts, input_type=role, chunk_size=CHUNK)
    return np.concatenate([result.vectors for result in chunks])


def _bench(
    documents: Sequence[str],
    queries: Sequence[str],
    judged: tuple[Judged | None, Judged | None],
    ranked: Sequence[Ranked],
) -> Bench:
    old, new = ranked
    common, biased = overlap(old, new, DEPTH), rank_biased_overlap(old, new, DEPTH)
    nothing = np.zeros_like(common)
    examples = tuple(
        Example(queries[query], *(tuple(documents[place] for place in each[query][:SHOWN]) for each in ranked))
        for query in np.argsort(biased, kind="stable")[:SHOWN].tolist()
    )
    shares = (paired_bootstrap(common, nothing), paired_bootstrap(biased, nothing))
    return Bench(len(documents), len(queries), *judged, *shares, examples)
