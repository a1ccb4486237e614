"""`bench`: how well the old model and the new one find what users look for, or how far they agree."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from embedbridge._core.prepare import check_texts
from embedbridge._core.types import InputType, Vectors
from embedbridge._run.watches import building
from embedbridge.collection import Collection, Judged, judge
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, InvalidInputError
from embedbridge.evaluation import Difference, overlap, paired_bootstrap, rank_biased_overlap
from embedbridge.similarity import top_k

from ._building import check_there
from ._comparing import drawn
from ._indexes import Address, opened

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


def measured(
    old: Embedder,
    new: Embedder,
    data: Collection | str | Path | None,
    index: Address | None,
    *,
    queries: Iterable[str] | None,
    sample: int,
) -> Bench:
    """Measure on judgements, or on a sample of an index. Checks the arguments of `bench`."""
    for name, each in (("old", old), ("new", new)):
        if not isinstance(each, Embedder):
            raise ConfigurationError(f"the {name} model is given as an Embedder, not {type(each).__name__}")
    if (data is None) == (index is None):
        raise ConfigurationError("give data=, a folder with judgements, or index=, of which a sample is drawn")
    if index is None:
        if queries is not None:
            raise ConfigurationError("queries= goes with index=; those of data= have judgements")
        if not isinstance(data, Collection | str | os.PathLike):
            raise ConfigurationError(f"data= is a Collection, or the folder of its files, not {data!r}")
        return bench_collection((old, new), data)
    return bench_index((old, new), index, queries, sample)


def bench_collection(models: Iterable[Embedder], data: Collection | str | Path) -> Bench:
    """Measure the old model and the new one, which are used in turn, on documents and judgements of the user's own."""
    collection = data if isinstance(data, Collection) else Collection.load(data)
    documents, queries = list(collection.documents.values()), list(collection.queries.values())
    both = [(embed(each, documents, "document"), embed(each, queries, "query")) for each in models]
    judged = judge(collection, *both[0]), judge(collection, *both[1])
    ranked = [top_k(asked, found, k=min(DEPTH, len(documents))).indices.tolist() for found, asked in both]
    return _bench(documents, queries, judged, ranked)


def bench_index(models: Iterable[Embedder], index: Address, queries: Iterable[str] | None, sample: int) -> Bench:
    """Measure how far the models, which are used in turn, agree on a sample of an index."""
    if type(sample) is not int or sample < 2:
        raise ConfigurationError(f"sample= is a whole number above 1, not {sample!r}")
    if queries is not None:
        queries = check_texts(queries)
        if not queries:
            raise ConfigurationError("queries is empty; leave it out, and documents stand in for queries")
    with opened(index) as found:
        check_there(found.store, str(found))
        documents = [row.text for row in drawn(found.store.rows(found.store.name), sample)]
        if len(documents) < 2:
            raise InvalidInputError(f"{found} has {len(documents)} documents, of which no ranking can be made")
    ranked: list[Ranked] = []
    for each in models:
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
