"""`embedbridge embed FILE -o OUT`: the texts of a file, in bounded memory.

What was embedded once comes from the cache, so a job that was cut off goes on when the command is run again.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, astuple
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from embedbridge import events
from embedbridge._core.types import INPUT_TYPES, Estimate
from embedbridge._core.words import told_uses
from embedbridge._secrets import with_placeholders
from embedbridge.embedder import Embedder
from embedbridge.errors import ConfigurationError, EmbeddingError, InvalidInputError
from embedbridge.events import Event
from embedbridge.options import DEFAULT_MODEL

from .arguments import (
    add_embedder_arguments,
    add_model_argument,
    add_progress_argument,
    bar_is_off,
    embedder_options,
    positive,
)
from .common import Commands, counted, dollars, say, say_json, size
from .handing import hand_over
from .outputs import OUTPUTS, WITH_RECORDS, Output, open_output
from .records import PIPE, READERS, Entry, Source, form_of

__all__ = ["add"]

DESCRIPTION = """\
Embed the texts of a file, in bounded memory. What was embedded once comes from the cache: a job that was cut off goes
on when the command is run again."""
EPILOG = """\
examples:
  embedbridge embed corpus.jsonl -m openai:text-embedding-3-small --dry-run
  embedbridge embed corpus.csv --column body -o out.parquet -m local:BAAI/bge-m3
  cat corpus.jsonl | embedbridge embed - -o - -m ollama:bge-m3 > vectors.jsonl"""
USAGE = "%(prog)s FILE (-o OUT | --dry-run | --batch) [options]"
COLUMN = "embedding"
CHUNK = 4096
"""Texts; three chunks of vectors are in memory at most."""


def add(commands: Commands) -> None:
    """Add the command.

    Args:
        commands: where parsers of commands are added.
    """
    parser = commands.add_parser(
        "embed", help="embed the texts of a file", description=DESCRIPTION, epilog=EPILOG, usage=USAGE
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="JSONL, CSV, TSV, TXT (one text per line) or Parquet; - for standard input")
    add("-o", "--output", metavar="OUT", help="npy, npz, JSONL or Parquet; - for standard output")
    add_model_argument(parser, "the model (default: %(default)s)", default=DEFAULT_MODEL)
    add("--dimensions", type=int, metavar="DIMENSIONS", help="fewer than the model's own, where it was made for it")
    add("--reduction", metavar="PATH", help="a saved PCA")
    add("--dry-run", action="store_true", help="say what it would cost, and send nothing")
    add("--json", action="store_true", help="the summary for programs")
    add_progress_argument(parser)
    add = parser.add_argument_group("input and output").add_argument
    add(
        "--format",
        choices=list(READERS),
        help="of FILE (default: by its name; of standard input: jsonl or txt)",
    )
    add("--to", choices=list(OUTPUTS), help="the format of OUT (default: by its name; jsonl for standard output)")
    add("--column", metavar="NAME", help="which column has the texts (default: text, or the only column)")
    add("--output-column", metavar="NAME", help=f"the vectors' column in OUT (default: {COLUMN})")
    roles = f"{', '.join(INPUT_TYPES[:-1])} or {INPUT_TYPES[-1]} (default: %(default)s)"
    add("--input-type", choices=INPUT_TYPES, default="document", metavar="ROLE", help=roles)
    add("--chunk-size", type=positive, default=CHUNK, metavar="TEXTS", help="read at once (default: %(default)s)")
    add_embedder_arguments(parser)
    parser.set_defaults(run=run, refuse=parser.error)


def run(options: argparse.Namespace) -> int:
    """Embed, or estimate. Raises `EmbeddingError` and OSError."""
    if options.output is None and not options.dry_run and options.batch is not True:
        options.refuse("name a file for the vectors with -o OUT, or use --dry-run")
    source = Source(options.file, options.format, options.column)
    bar = Bar(source.count(), off=bar_is_off(options))
    own = embedder_options(options)
    if hands_over := own.get("batch") is True:
        del own["batch"]
    if options.dry_run:  # nothing is sent, so nobody asks for a key
        own = with_placeholders(own, own["model"])
    with Embedder(**own, observers=[bar]) as embedder:
        named = {"-o": options.output, "--to": options.to, "--output-column": options.output_column}
        if hands_over and (given := [name for name, value in named.items() if value is not None]):
            told = f"--batch hands the texts over, and there are no vectors yet for {', '.join(given)}; leave one out"
            raise ConfigurationError(told)
        if hands_over:
            hand_over(embedder, source, options)
        elif options.dry_run:
            estimate(embedder, source, bar, options)
        else:
            try:
                embed(embedder, source, bar, options)
            except KeyboardInterrupt:
                kept = f"{counted(bar.moved, 'text is', 'texts are')} in the cache; run the same command again to go on"
                raise KeyboardInterrupt(kept if embedder.options.cache is not False else "") from None
    return 0


def embed(embedder: Embedder, source: Source, bar: Bar, options: argparse.Namespace) -> None:
    """Write all vectors, and a summary."""
    begun, path = time.perf_counter(), options.output
    form = options.to or ("jsonl" if path == PIPE else form_of(path, None, OUTPUTS, "--to"))
    whole = form in WITH_RECORDS
    if options.output_column is not None and not whole:
        raise ConfigurationError(f"--output-column: {form} has no columns; write {' or '.join(WITH_RECORDS)}")
    if source.is_file(path):
        raise ConfigurationError(f"{path!r} is the file of the texts, which the vectors would replace; name another")
    with bar, open_output(path, form, options.output_column or COLUMN) as output:
        done = pump(embedder, source, output, options, whole=whole)
    usage, aside = embedder.usage, path == PIPE
    told: dict[str, Any] = asdict(usage) | done | {"output": path, "seconds": time.perf_counter() - begun}
    told["bytes"] = None if aside else Path(path).stat().st_size
    if options.json:
        say_json(told, aside=aside)
    elif not options.quiet:
        say(summary(told), aside=aside)
        if usage.endpoints:
            say(told_uses(usage.endpoints), aside=aside)
    if not done["texts"]:
        say(f"warning: {source.name} has no texts, and {path} no vectors", aside=True)


def pump(
    embedder: Embedder, source: Source, output: Output, options: argparse.Namespace, *, whole: bool
) -> dict[str, int]:
    """Embed the source chunk by chunk into the output; returns counts. An error's message says how to go on."""
    waiting: deque[Entry] = deque()

    def texts() -> Iterator[str]:
        for entry in source.entries(whole=whole, blank=embedder.options.empty == "zero"):
            waiting.append(entry if whole else Entry({}, "", entry.place))
            yield entry.text

    done = cut = 0
    vectors = embedder.embed([]).vectors
    try:
        for result in embedder.stream(texts(), input_type=options.input_type, chunk_size=options.chunk_size):
            vectors, output.schema = result.vectors, output.schema or source.schema
            output.write([waiting.popleft() for _ in vectors], vectors)
            done, cut = done + len(vectors), cut + len(result.report.cut)
    except EmbeddingError as error:
        if isinstance(error, InvalidInputError) and error.index is not None:
            error.args = (f"{source.at(waiting[error.index - done].place)}: {error}",)
        if done and embedder.options.cache is not False:
            finished = "1 text is" if done == 1 else f"{done:,} texts are"
            error.args = (f"{error} ({finished} finished: the command goes on from there when it is run again)",)
        raise
    if not done:
        output.schema = source.schema
        output.write([], vectors)
    return {"texts": done, "cut": cut, "dimensions": vectors.shape[1]}


def summary(told: dict[str, Any]) -> str:
    """What was done, in a few lines."""
    kept = "" if told["bytes"] is None else f", {size(told['bytes'])}"
    spent = f"{dollars(told['cost'])} spent, {dollars(told['saved'])} saved" if told["cost"] is not None else "no price"
    names = (("requests", "request"), ("retries", "retry"), ("tokens", "token"))
    asked = ", ".join(counted(told[many], one, many) for many, one in names)
    output = "standard output" if told["output"] == PIPE else told["output"]
    lines = [
        f"{counted(told['texts'], 'text')} → {output} ({told['dimensions']} dimensions{kept}), {told['seconds']:.1f} s",
        f"{told['hits']:,} from the cache, {told['misses']:,} embedded: {asked}; {spent}",
    ]
    if told["cut"]:
        lines.append(
            f"longer than the model reads: {counted(told['cut'], 'text')} (--too-long says what becomes of them)"
        )
    return "\n".join(lines)


def estimate(embedder: Embedder, source: Source, bar: Bar, options: argparse.Namespace) -> None:
    """Say what the command would ask for and cost. Texts that occur again in another chunk are counted again."""
    total = Estimate(0, 0, 0, 0, 0.0, 0.0, 0.0, 0)
    entries = source.entries(whole=False, blank=embedder.options.empty == "zero")
    with bar:
        while chunk := [entry.text for entry in islice(entries, options.chunk_size)]:
            more = embedder._estimate(chunk, options.input_type, total.texts)  # noqa: SLF001 - our own
            total = _sum(total, more)
            bar.move(len(chunk))
    if options.json:
        say_json(asdict(total))
        return
    say(f"{counted(total.texts, 'text')}, {total.cached:,} of them in the cache")
    asked = f"{counted(total.requests, 'request')} and about {counted(total.tokens, 'token')}"
    by_batch = "" if not total.batch_cost else f", {dollars(total.batch_cost)} by --batch"
    say(f"the others take {asked}: {dollars(total.cost)}{by_batch}")


def _sum(total: Estimate, more: Estimate) -> Estimate:
    """Both together; what one of them does not know is not known."""
    pairs = zip(astuple(total), astuple(more), strict=True)
    sums: Any = (None if one is None or other is None else one + other for one, other in pairs)
    return Estimate(*sums)


class Bar:
    """One bar over all chunks, an observer of the embedder. It is drawn while it is entered."""

    def __init__(self, total: int | None, *, off: bool | None) -> None:
        self._total, self._off = total, off
        self._lock = threading.Lock()
        self._bar: Any = None
        self.moved = 0

    def __enter__(self) -> None:
        self._bar = tqdm(total=self._total, disable=self._off, unit="text", desc="embedding", mininterval=0.5)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._bar = None

    def __call__(self, event: Event) -> None:
        """Count texts from the cache, texts of finished requests, and those that stood for others."""
        match event:
            case events.CacheRead(_, hits, _):
                self.move(hits)
            case events.BatchFinished(_, texts):
                self.move(texts)
            case events.CallFinished(_, report):
                self.move(report.texts - report.unique + report.shared)

    def move(self, texts: int) -> None:
        """Advance the bar by so many texts."""
        with self._lock:
            self.moved += texts
            if self._bar is not None:
                self._bar.update(texts)
