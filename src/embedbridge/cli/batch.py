"""`embedbridge batch …`: hand a file's texts to a batch API tonight, and take their vectors into the cache tomorrow.

What is on its way is written down beside the cache, so that any later command knows it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Any

from tqdm import tqdm

from embedbridge import batch
from embedbridge._batch.collecting import pauses
from embedbridge._batch.desk import ledger_of
from embedbridge._batch.ledger import Entry
from embedbridge._batch.statuses import BatchStatus, status_of
from embedbridge._core.types import INPUT_TYPES, Estimate
from embedbridge._run.stored import FINGERPRINT, check_made
from embedbridge._run.stream import shift
from embedbridge.cache import Cache, open_cache
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, EmbeddingError, InvalidInputError
from embedbridge.providers import placeholder_key

from .arguments import (
    add_embedder_arguments,
    add_model_argument,
    add_progress_argument,
    bar_is_off,
    embedder_options,
    positive,
)
from .common import Commands, counted, dollars, say, say_json, show_help
from .records import PIPE, READERS, Source
from .records import Entry as Record

__all__ = ["add", "hand_over"]

HELP = "hand texts to a batch API, at about half the price, and collect vectors"
USAGE = "%(prog)s FILE -m MODEL [options]"
EPILOG = """\
examples:
  embedbridge batch submit corpus.jsonl -m mistral:mistral-embed --dry-run
  embedbridge batch submit corpus.jsonl -m mistral:mistral-embed
  embedbridge batch collect --wait"""
CHUNK = 50_000
"""Texts that are in memory together, and in one batch of OpenAI's."""


def add(commands: Commands) -> None:
    """Add the command and its own commands.

    Args:
        commands: of the command line.
    """
    parser = commands.add_parser("batch", help=HELP, description=f"{HELP[0].upper()}{HELP[1:]}.", epilog=EPILOG)
    parser.set_defaults(run=partial(show_help, parser))
    jobs = parser.add_subparsers(metavar="JOB")
    told = f"{SUBMIT[0].upper()}{SUBMIT[1:]}."
    _add_submit(jobs.add_parser("submit", help=SUBMIT, description=told, epilog=EPILOG, usage=USAGE))
    for name, (run, told) in JOBS.items():
        job = jobs.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
        job.add_argument("batches", metavar="BATCH", nargs="*", help="the vendor's names of them (default: all)")
        job.add_argument("--cache", metavar="WHERE", help="the cache's directory, or redis://… (default: the user's)")
        job.add_argument("--json", action="store_true", help="for programs")
        if name == "collect":
            job.add_argument("--wait", action="store_true", help="wait until all of them have ended")
            job.add_argument(
                "--again", metavar="FILE", help="then hand over again what the cache still lacks of this file"
            )
            _add_file_arguments(job)
            add_progress_argument(job)
        job.set_defaults(run=run)


SUBMIT = "hand over those texts of a file that the cache does not have"


def _add_submit(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", help="JSONL, CSV, TSV, TXT (one text per line) or Parquet; - for standard input")
    add_model_argument(parser, "the model", required=True)
    add("--dimensions", type=int, metavar="DIMENSIONS", help="fewer than the model's own, where it was made for it")
    add("--reduction", metavar="PATH", help="a saved PCA")
    add("--dry-run", action="store_true", help="say what it would cost, and send nothing")
    add("--json", action="store_true", help="for programs")
    _add_file_arguments(parser)
    add_embedder_arguments(parser)
    parser.set_defaults(run=run_submit)


def _add_file_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--format", choices=list(READERS), help="of FILE (default: by its name; txt for standard input)")
    add("--column", metavar="NAME", help="which column has the texts (default: text, or the only column)")
    roles = f"{', '.join(INPUT_TYPES[:-1])} or {INPUT_TYPES[-1]} (default: %(default)s)"
    add("--input-type", choices=INPUT_TYPES, default="document", metavar="ROLE", help=roles)
    told = "at most this many in unfinished batches, where your account has such a limit"
    add("--queue-tokens", type=positive, metavar="TOKENS", help=told)


def run_submit(options: argparse.Namespace) -> int:
    """Hand texts over. Raises `EmbeddingError` and OSError."""
    own = embedder_options(options)
    no_key = placeholder_key(own["model"]) if options.dry_run else {}
    with Embedder(**own, **no_key) as embedder:
        hand_over(embedder, source_of(options.file, options), options)
    return 0


def source_of(file: str, options: argparse.Namespace) -> Source:
    """The records of a file, or of standard input."""
    return Source(file, options.format or ("txt" if file == PIPE else None), options.column)


def hand_over(embedder: Embedder, source: Source, options: argparse.Namespace) -> None:
    """Say both prices, and hand texts over, one batch's worth after another.

    Args:
        embedder: of the model.
        source: the texts.
        options: of the command.
    """
    blank = embedder.options.empty == "zero"
    records: Sequence[Record] | None = None
    if source.name == "standard input":  # which is read once
        records = list(source.entries(whole=False, blank=blank))

    def chunks() -> Iterator[list[Record]]:
        entries = iter(records if records is not None else source.entries(whole=False, blank=blank))
        while chunk := list(islice(entries, CHUNK)):
            yield chunk

    role, room = options.input_type, getattr(options, "queue_tokens", None)
    estimates = list(_each_chunk(source, chunks(), partial(embedder.estimate, input_type=role)))
    told = _prices(estimates)
    if not options.json:
        say(_sentence(told), aside=not options.dry_run)
    done: list[batch.Submission] = []
    if not options.dry_run:
        submit = partial(batch.submit, embedder, input_type=role, queue_tokens=room)
        done = list(_each_chunk(source, chunks(), submit))
    if options.json:
        say_json(told | _outcome(done))
    elif not options.dry_run:
        say(_handed(_outcome(done)))


def _each_chunk(source: Source, chunks: Iterator[list[Record]], step: Callable[[list[str]], Any]) -> Iterator[Any]:
    """What comes of each chunk; an error names the text by its place in the file."""
    before = 0
    for chunk in chunks:
        try:
            yield step([record.text for record in chunk])
        except EmbeddingError as error:
            if isinstance(error, InvalidInputError) and error.index is not None:
                error.args = (f"{source.at(chunk[error.index].place)}: {error}",)
            shift(error, before)
            raise
        before += len(chunk)


def _prices(estimates: Sequence[Estimate]) -> dict[str, Any]:
    priced = all(each.batch_cost is not None for each in estimates)
    return {
        "texts": sum(each.texts for each in estimates),
        "cached": sum(each.cached for each in estimates),
        "tokens": sum(each.tokens for each in estimates),
        "cost": sum(each.batch_cost or 0.0 for each in estimates) if priced else None,
        "ordinary_cost": sum(each.cost or 0.0 for each in estimates) if priced else None,
    }


def _sentence(told: dict[str, Any]) -> str:
    """The prices in words."""
    both = dollars(None)
    if told["cost"] is not None:
        both = f"{dollars(told['cost'])} by batch, {dollars(told['ordinary_cost'])} by ordinary requests"
    asked = f"{counted(told['texts'], 'text')}, {told['cached']:,} of them in the cache"
    return f"{asked}; the others have about {counted(told['tokens'], 'token')}: {both}"


def _outcome(done: Sequence[batch.Submission]) -> dict[str, Any]:
    return {
        "handed_over": sum(each.texts for each in done),
        "pending": sum(each.pending for each in done),
        "left": sum(each.left for each in done),
        "batches": [asdict(made) for each in done for made in each.batches],
    }


def _handed(told: dict[str, Any]) -> str:
    made = [each["id"] for each in told["batches"]]
    lines = [f"{counted(told['handed_over'], 'text')} handed over in {counted(len(made), 'batch', 'batches')}"]
    lines[0] += f": {', '.join(made)}" if made else ""
    if told["pending"]:
        lines.append(f"{counted(told['pending'], 'text')} on their way already, and not handed over again")
    if told["left"]:
        lines.append(f"{counted(told['left'], 'text')} left, for which --queue-tokens has no room: submit again later")
    return "\n".join([*lines, "take the vectors in with: embedbridge batch collect"])


# What is on its way, of any model.


def run_list(options: argparse.Namespace) -> int:
    """What is written down of all batches. Asks nobody."""
    tell(options, [status_of(entry) for entry in _chosen(options, _cache(options), ended=True)])
    return 0


def run_status(options: argparse.Namespace) -> int:
    """Ask the vendors."""
    tell(options, _by_embedder(options, batch.status))
    return 0


def run_cancel(options: argparse.Namespace) -> int:
    """Have the vendors end them."""
    tell(options, _by_embedder(options, batch.cancel))
    return 0


def run_collect(options: argparse.Namespace) -> int:
    """Take in what came back. With `--wait`, under a bar."""
    found = _by_embedder(options, batch.collect)
    if options.wait:
        with tqdm(
            total=sum(each.texts for each in found), unit="text", desc="waiting", disable=bar_is_off(options)
        ) as bar:
            for pause in pauses():
                bar.update(sum(each.texts for each in found if each.ended) - bar.n)
                if all(each.ended for each in found):
                    break
                time.sleep(pause)
                options.batches = [each.id for each in found]
                found = _by_embedder(options, batch.collect)
    tell(options, found)
    if options.again is not None:
        return _again(options)
    return 0


def _again(options: argparse.Namespace) -> int:
    """Hand texts of a file over anew, by the embedder of the latest batch."""
    cache = _cache(options)
    entries = ledger_of(cache).entries()
    if not entries:
        raise ConfigurationError("--again: no batch is known here; hand texts over with: embedbridge batch submit")
    options.dry_run = False
    with made_again(entries[-1].made_by, cache) as embedder:
        hand_over(embedder, source_of(options.again, options), options)
    return 0


def _by_embedder(options: argparse.Namespace, step: Callable[..., list[BatchStatus]]) -> list[BatchStatus]:
    """Do something with batches of any models, those of each by an embedder that is made again for it."""
    cache, found, failure = _cache(options), list[BatchStatus](), None
    entries = _chosen(options, cache, ended=bool(options.batches))
    for identity, made_by in {entry.identity: entry.made_by for entry in entries}.items():
        names = [entry.remote for entry in entries if entry.identity == identity] if options.batches else None
        try:
            with made_again(made_by, cache) as embedder:
                found += step(embedder, names)
        except EmbeddingError as error:  # those of other models are not kept waiting
            failure = failure or error
    if failure is not None:
        tell(options, found)
        raise failure
    return found


def _cache(options: argparse.Namespace) -> Cache:
    cache = open_cache(True if options.cache is None else options.cache)
    if cache is None:
        raise ConfigurationError("--cache: a directory or redis://… is wanted")
    return cache


def _chosen(options: argparse.Namespace, cache: Cache, *, ended: bool) -> list[Entry]:
    entries = ledger_of(cache).entries()
    if options.batches:
        known = {entry.remote for entry in entries}
        for name in options.batches:
            if name not in known:
                raise ConfigurationError(f"no batch {name!r} is written down beside this cache")
        return [entry for entry in entries if entry.remote in options.batches]
    return [entry for entry in entries if ended or not status_of(entry).ended]


def made_again(made_by: str, cache: Cache) -> Embedder:
    """The embedder that has handed a batch over. Its key comes from the environment."""
    data: dict[str, Any] = json.loads(made_by)
    embedder = Embedder(**{name: value for name, value in data.items() if name != FINGERPRINT}, cache=cache)
    check_made(embedder, data)
    return embedder


def tell(options: argparse.Namespace, found: Sequence[BatchStatus]) -> None:
    """Print batches."""
    if options.json:
        say_json([asdict(each) for each in found])
        return
    if not found:
        say("no batch is on its way")
    for each in found:
        came = (
            f"{each.stored:,} of {counted(each.texts, 'text')} in the cache"
            if each.ended
            else counted(each.texts, "text")
        )
        reason = f" ({each.reason})" if each.reason else ""
        say(f"{each.id or '-'}  {each.model}  {each.state}{reason}: {came}, {dollars(each.cost)}")


JOBS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "status": (run_status, "ask the vendors how far batches are"),
    "collect": (run_collect, "store finished batches' vectors in the cache; from any process, on any day"),
    "cancel": (run_cancel, "end batches early; what is finished by then is billed and can be collected"),
    "list": (run_list, "list all batches, ended ones too, without asking the vendors"),
}
