"""What `embedbridge batch submit`, `batch collect --again` and `embed --batch` do: hand the texts of a file over."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any

from embedbridge import batch
from embedbridge._core.types import INPUT_TYPES, Estimate
from embedbridge.batch._steps import submit_texts
from embedbridge.embedder import Embedder
from embedbridge.errors import EmbeddingError, InvalidInputError

from .arguments import positive
from .common import counted, dollars, say, say_json
from .records import PIPE, READERS, Source
from .records import Entry as Record

__all__ = ["add_file_arguments", "hand_over", "handed_over", "source_of", "tell_handed"]

CHUNK = 50_000
"""Texts that are in memory together, and in one batch of OpenAI's."""


def add_file_arguments(parser: argparse.ArgumentParser, *, role: str | None) -> None:
    """Add what says how a file is read.

    Args:
        parser: of a command.
        role: of its texts, by default; None: that of the batches.
    """
    add, default = parser.add_argument, role or "that of the batches"
    add("--format", choices=list(READERS), help="of FILE (default: by its name; txt for standard input)")
    add("--column", metavar="NAME", help="which column has the texts (default: text, or the only column)")
    roles = f"{', '.join(INPUT_TYPES[:-1])} or {INPUT_TYPES[-1]} (default: {default})"
    add("--input-type", choices=INPUT_TYPES, default=role, metavar="ROLE", help=roles)
    told = "at most this many in unfinished batches, where your account has such a limit"
    add("--queue-tokens", type=positive, metavar="TOKENS", help=told)


def source_of(file: str, options: argparse.Namespace) -> Source:
    """The records of a file, or of standard input.

    Args:
        file: its name.
        options: of the command.

    Returns:
        The source.
    """
    return Source(file, options.format or ("txt" if file == PIPE else None), options.column)


def hand_over(embedder: Embedder, source: Source, options: argparse.Namespace) -> None:
    """Say both prices, hand texts over, and print what came of it.

    Args:
        embedder: of the model.
        source: the texts.
        options: of the command.
    """
    told = handed_over(embedder, source, options)
    if options.json:
        say_json(told)
    elif not (options.dry_run or getattr(options, "quiet", False)):
        say(tell_handed(told, options))


def handed_over(embedder: Embedder, source: Source, options: argparse.Namespace) -> dict[str, Any]:
    """Hand texts over, one batch's worth after another.

    Args:
        embedder: of the model.
        source: the texts.
        options: of the command.

    Returns:
        The prices, and what came of it.
    """
    batch.list(embedder)  # raises where there is no batch API, or no cache for it, in a dry run too
    blank = embedder.options.empty == "zero"
    records: Sequence[Record] | None = None
    if source.name == "standard input":  # which is read once
        records = list(source.entries(whole=False, blank=blank))

    def chunks() -> Iterator[list[Record]]:
        entries = iter(records if records is not None else source.entries(whole=False, blank=blank))
        while chunk := list(islice(entries, CHUNK)):
            yield chunk

    role, room = options.input_type, getattr(options, "queue_tokens", None)
    estimate = partial(embedder._estimate, input_type=role)  # noqa: SLF001 - our own
    estimates = list(_each_chunk(source, chunks(), estimate))
    told = _prices(estimates)
    if not options.json:
        say(_sentence(told), aside=not options.dry_run)
    done: list[batch.Submission] = []
    if not options.dry_run:
        submit = partial(submit_texts, embedder, input_type=role, queue_tokens=room)
        try:
            done.extend(_each_chunk(source, chunks(), submit))
        except EmbeddingError as error:
            if count := sum(each.texts for each in done):
                names = ", ".join(made.id for each in done for made in each.batches)
                handed = f"{counted(count, 'text')} of the file were handed over before, in {names}"
                error.args = (f"{error} ({handed}: submit the file again for the others)",)
            raise
    return told | _outcome(done) | ({"pending": told["pending"]} if options.dry_run else {})


def _each_chunk(source: Source, chunks: Iterator[list[Record]], step: Callable[..., Any]) -> Iterator[Any]:
    """What comes of each chunk, given the index of its first text; an error names the text by its place in the file."""
    before = 0
    for chunk in chunks:
        try:
            yield step([record.text for record in chunk], first=before)
        except InvalidInputError as error:
            if error.index is not None:
                error.args = (f"{source.at(chunk[error.index - before].place)}: {error}",)
            raise
        before += len(chunk)


def _prices(estimates: Sequence[Estimate]) -> dict[str, Any]:
    priced = all(each.batch_cost is not None for each in estimates)
    return {
        "texts": sum(each.texts for each in estimates),
        "cached": sum(each.cached for each in estimates),
        "pending": sum(each.pending for each in estimates),
        "tokens": sum(each.batch_tokens or 0 for each in estimates),
        "cost": sum(each.batch_cost or 0.0 for each in estimates) if priced else None,
        "ordinary_cost": sum(map(_ordinary, estimates)) if priced else None,
    }


def _ordinary(estimate: Estimate) -> float:
    """Dollars that ordinary requests cost for what is handed over."""
    return (estimate.cost or 0.0) * (estimate.batch_tokens or 0) / max(1, estimate.tokens)


def _sentence(told: dict[str, Any]) -> str:
    """The prices in words."""
    both = dollars(None)
    if told["cost"] is not None:
        both = f"{dollars(told['cost'])} by batch, {dollars(told['ordinary_cost'])} by ordinary requests"
    asked = f"{counted(told['texts'], 'text')}, {told['cached']:,} of them in the cache"
    asked += f" and {told['pending']:,} on their way" if told["pending"] else ""
    return f"{asked}; the others have about {counted(told['tokens'], 'token')}: {both}"


def _outcome(done: Sequence[batch.Submission]) -> dict[str, Any]:
    return {
        "handed_over": sum(each.texts for each in done),
        "pending": sum(each.pending for each in done),
        "left": sum(each.left for each in done),
        "batches": [asdict(made) for each in done for made in each.batches],
    }


def tell_handed(told: dict[str, Any], options: argparse.Namespace) -> str:
    """What came of handing over, in words.

    Args:
        told: as `handed_over` gives it.
        options: of the command.

    Returns:
        Some lines.
    """
    made = [each["id"] for each in told["batches"]]
    lines = [f"{counted(told['handed_over'], 'text')} handed over in {counted(len(made), 'batch', 'batches')}"]
    lines[0] += f": {', '.join(made)}" if made else ""
    if told["pending"]:
        lines.append(f"{counted(told['pending'], 'text')} on their way already, and not handed over again")
    if told["left"]:
        lines.append(f"{counted(told['left'], 'text')} left, for which --queue-tokens has no room: submit again later")
    given = [flag for flag in ("--cache", "--base-url") if getattr(options, flag[2:].replace("-", "_")) is not None]
    there = f", with the same {' and '.join(given)}" if given else ""
    return "\n".join([*lines, f"take the vectors in with: embedbridge batch collect{there}"])
