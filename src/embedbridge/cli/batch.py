"""`embedbridge batch …`: hand a file's texts to a batch API tonight, and take their vectors into the cache tomorrow."""

from __future__ import annotations

import argparse
from functools import partial

from embedbridge._secrets import with_placeholders
from embedbridge.embedder import Embedder

from .arguments import add_embedder_arguments, add_model_argument, embedder_options
from .batch_jobs import JOBS, add_job_arguments
from .common import Commands, show_help
from .handing import add_file_arguments, hand_over, source_of

__all__ = ["add"]

HELP = "hand texts to a batch API, at about half the price, and collect vectors"
USAGE = "%(prog)s FILE -m MODEL [options]"
EPILOG = """\
examples:
  embedbridge batch submit corpus.jsonl -m mistral:mistral-embed --dry-run
  embedbridge batch submit corpus.jsonl -m mistral:mistral-embed
  embedbridge batch collect --wait"""


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
        add_job_arguments(job, name)
        if name == "collect":
            add_file_arguments(job, role=None)
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
    add_file_arguments(parser, role="document")
    add_embedder_arguments(parser)
    parser.set_defaults(run=run_submit)


def run_submit(options: argparse.Namespace) -> int:
    """Hand texts over. Raises `EmbeddingError` and OSError."""
    own = embedder_options(options)
    with Embedder(**with_placeholders(own, own["model"]) if options.dry_run else own) as embedder:
        hand_over(embedder, source_of(options.file, options), options)
    return 0
