"""`embedbridge eval --data DIR`: how well models and reductions find documents that were judged relevant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from embedbridge._core.types import Vectors
from embedbridge.cache import MemoryCache
from embedbridge.collection import Collection, judge
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, InvalidInputError
from embedbridge.options import DEFAULT_MODEL
from embedbridge.reduction import PCA

from ._budget import Budget
from .arguments import add_embedder_arguments, add_model_argument, add_progress_argument, embedder_options, positive
from .common import Commands, say, say_json
from .scores import CUT, OWN, Row, check_plot, draw, plain, table
from .wording import in_flags

__all__ = ["add"]

EPILOG = """\
examples:
  embedbridge eval --data notebooks/data -m local:all-MiniLM-L6-v2
  embedbridge eval --data corpus/ -m voyage:voyage-4 --dimensions 512
  embedbridge eval --data notebooks/data --reduction pca:128 --plot scores.png"""
CHUNK = 4096
FITTED = "pca:"
Both: TypeAlias = tuple[Vectors, Vectors]
"""Vectors of the documents and of the queries."""


def add(commands: Commands) -> None:
    """Add the command.

    Args:
        commands: where parsers of commands are added.
    """
    parser = commands.add_parser(
        "eval",
        help="compare models, dimensions and reductions on judged queries",
        description="Search a collection by cosine. Each model is judged as it is, with each --dimensions, and "
        "with each --reduction; all of these together cost --max-cost at most.",
        epilog=EPILOG,
        usage="%(prog)s --data DIR [-m MODEL] [options]",
    )
    add = parser.add_argument
    add("--data", required=True, metavar="DIR", help="with docs.jsonl, queries.jsonl and qrels.tsv, or BEIR's files")
    add_model_argument(parser, f"a model; may be given more than once (default: {DEFAULT_MODEL})", action="append")
    add(
        "--dimensions",
        action="append",
        type=positive,
        default=[],
        metavar="DIMENSIONS",
        help="fewer than the model's own; may be given more than once",
    )
    add(
        "--reduction",
        action="append",
        type=_reduction,
        default=[],
        metavar="PATH",
        help="a saved PCA, or pca:N for one fitted on these documents; may be given more than once",
    )
    add("--plot", metavar="PNG", help="draw nDCG@10 over dimensions")
    add("--json", action="store_true", help="the table for programs")
    add_progress_argument(parser)
    add_embedder_arguments(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the table, and draw the plot."""
    if options.plot is not None:
        check_plot(options.plot)
    collection, models = Collection.load(options.data), list(dict.fromkeys(options.model or [DEFAULT_MODEL]))
    for model in models:  # what is wrong with the last one is told before the first one is paid for
        Embedder(**own_options(model, options)).close()
    rows = list[Row]()
    with Budget(options.max_cost) as budget:
        for model in models:
            rows += judge_model(collection, model, options, budget)
    told = f"{len(collection.documents):,} documents, {len(collection.queries):,} queries"
    if options.json:
        say_json([plain(row, rows[0]) for row in rows])
    else:
        say(told)
        say(table(rows))
    if options.plot is not None:
        draw(rows, options.plot, f"{options.data}: {told}")
        say(f"plot → {options.plot}", aside=options.json)
    return 0


def judge_model(collection: Collection, model: str, options: argparse.Namespace, budget: Budget) -> Iterator[Row]:
    """A row for the model as it is, each number of dimensions and each reduction; stderr has those it cannot give."""
    given = own_options(model, options)
    if given.get("cache") is False:
        given["cache"] = MemoryCache()  # or each number of dimensions would be paid for again
    whole = embed(collection, given, budget)
    yield judge_row(collection, model, OWN, whole)
    ways: list[tuple[str, Callable[[], Both]]] = [
        *(
            (f"{CUT} {width}", partial(embed, collection, given | {"dimensions": width}, budget))
            for width in dict.fromkeys(options.dimensions)
        ),
        *(
            (
                name,
                partial(fit, whole, name)
                if is_new(name)
                else partial(embed, collection, given | {"reduction": name}, budget),
            )
            for name in dict.fromkeys(options.reduction)
        ),
    ]
    for way, make in ways:
        try:
            vectors = make()
        except (ConfigurationError, InvalidInputError) as error:
            say(f"left out: {in_flags(str(error))}", aside=True)
        else:
            yield judge_row(collection, model, way, vectors)


def own_options(model: str, options: argparse.Namespace) -> dict[str, Any]:
    """The embedder's, for the model's own vectors."""
    given = embedder_options(options) | {"model": model, "show_progress": shows_progress(options)}
    return {name: value for name, value in given.items() if name not in {"dimensions", "reduction"}}


def judge_row(collection: Collection, model: str, way: str, vectors: Both) -> Row:
    """One way to make vectors, judged: a line of the table."""
    return Row(model, way, vectors[0].shape[1], judge(collection, *vectors))


def fit(whole: Both, name: str) -> Both:
    """Reduce by a PCA of `pca:N` dimensions, fitted on the documents."""
    pca = PCA(int(name.removeprefix(FITTED))).fit(whole[0])
    return pca.transform(whole[0]), pca.transform(whole[1])


def is_new(reduction: str) -> bool:
    """Whether it is `pca:N`, and not a file."""
    return reduction.startswith(FITTED)


def embed(collection: Collection, options: dict[str, Any], budget: Budget) -> Both:
    """The vectors of documents and queries."""
    with budget.embedder(options) as embedder:
        texts = iter(collection.documents.values())
        documents = np.concatenate([result.vectors for result in embedder.stream(texts, chunk_size=CHUNK)])
        return documents, embedder.embed(collection.queries.values(), input_type="query").vectors


def shows_progress(options: argparse.Namespace) -> bool:
    """Whether bars are drawn."""
    return not options.quiet and (sys.stderr.isatty() if options.progress is None else bool(options.progress))


def _reduction(text: str) -> str:
    if is_new(text) and not text.removeprefix(FITTED).isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: write a number of dimensions, as in pca:128")
    if not is_new(text) and not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text!r}: there is no such file, and it is not pca:N")
    return text
