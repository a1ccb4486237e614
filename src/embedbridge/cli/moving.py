"""The flags of `embedbridge migrate …`, and what goes with what."""

from __future__ import annotations

import argparse
from typing import Any

from embedbridge import migration
from embedbridge.errors import ConfigurationError

from .arguments import add_embedder_arguments, add_progress_argument, as_pair, positive

__all__ = ["SAMPLE", "add_flags", "check_batch", "check_data", "index_of"]

INDEX = "docs.jsonl, storage, chroma:folder#docs …: a path or URL, with its kind and the index's name where needed"
SAMPLE = 1000
"""Documents of an index that `bench` draws."""
FAISS = {"--trust-pickle": "allow_dangerous_deserialization", "--normalize-l2": "normalize_L2"}
"""Flags of one kind of index, and the options that they stand for."""
OF_ALL = {"address": "INDEX", "guard": "--guard PATH", "journal": "--journal FILE"}
"""What `open_index` takes besides the options of one kind of index, and what says it here."""
OF_AN_INDEX = ("--queries", "--sample", "--journal", "--index-option", *FAISS)
"""Flags of `bench` that say something of INDEX."""


def add_flags(step: argparse.ArgumentParser, name: str) -> None:
    """Add all that a step takes.

    Args:
        step: its parser.
        name: `plan`, `bench`, `run`, `check`, `switch` or `back`.
    """
    add_index(step, optional=name == "bench")
    add = step.add_argument
    if name == "bench":
        add_bench_arguments(step)
    if name == "run":
        add_progress_argument(step)
        add("--wait", action="store_true", help="with --batch: wait until the vectors have come, and build then")
        told = "with --batch: have at most so many tokens on their way together"
        add("--queue-tokens", type=positive, metavar="N", help=told)
    if name not in {"switch", "back"}:
        told = "write the new model as provider:model, with the same options for each step of a move"
        add("--to", dest="model", required=True, metavar="MODEL", help=told)
        told = "ask the new model for vectors of so many dimensions"
        add("--dimensions", type=positive, metavar="N", help=told)
        add_embedder_arguments(step)


def add_index(parser: argparse.ArgumentParser, *, optional: bool) -> None:
    """Add what says which index is meant.

    Args:
        parser: of a step.
        optional: it may be left out, and nobody asks it under the guard.
    """
    add = parser.add_argument
    add("index", metavar="INDEX", nargs="?" if optional else None, help=INDEX)
    if not optional:
        told = "write the path that your application gives to guard() for the index (default: the path of the index)"
        add("--guard", metavar="PATH", help=told)
    told = "write the move down in this file, which an index on a server needs (default: a file beside the index)"
    add("--journal", metavar="FILE", help=told)
    told = "read a docstore of FAISS that is any pickle, which can run programs: give it for a file of your own only"
    add("--trust-pickle", action="store_true", help=told)
    told = "write vectors of length 1 into an index of FAISS, where LangChain was given normalize_L2=True"
    add("--normalize-l2", action="store_true", help=told)
    told = "say what one kind of index alone knows, such as text=body for a column; may be given more than once"
    add("--index-option", action="append", type=as_pair, metavar="NAME=VALUE", help=told)
    add("--json", action="store_true", help="print JSON, for programs")


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is measured.

    Args:
        parser: of `bench`.
    """
    add = parser.add_argument
    add("--from", dest="old", required=True, metavar="MODEL", help="write the old model as provider:model")
    told = "measure on this folder of docs.jsonl, queries.jsonl and qrels.tsv, in place of INDEX"
    add("--data", metavar="DIR", help=told)
    told = "with INDEX: read what users ask from this file (default: documents stand in for queries)"
    add("--queries", metavar="FILE", help=told)
    add("--sample", type=positive, metavar="N", help=f"with INDEX: draw so many documents (default: {SAMPLE})")


def index_of(options: argparse.Namespace) -> migration.Index:
    """The index that is meant.

    Args:
        options: as they were parsed.

    Returns:
        The index, open.

    Raises:
        ConfigurationError: a flag is not for this kind of index, or says a key.
    """
    pairs = [*(options.index_option or []), *((option, True) for flag, option in FAISS.items() if given(options, flag))]
    own: dict[str, Any] = dict(pairs)
    if len(own) < len(pairs):
        raise ConfigurationError("--index-option: one name is given twice, or stands for a flag that is given too")
    for name, value in own.items():
        if name in OF_ALL:
            raise ConfigurationError(f"--index-option: {name} is said of every kind of index: write {OF_ALL[name]}")
        if value is None:
            raise ConfigurationError(f"--index-option: write a value of {name}, not null, or leave it out")
    if "api_key" in own:
        raise ConfigurationError(
            "--index-option: a key is never an argument, which other users can read; open the index in Python, with "
            "open_index(…, api_key=…)"
        )
    return migration.open_index(options.index, guard=getattr(options, "guard", None), journal=options.journal, **own)


def given(options: argparse.Namespace, flag: str) -> bool:
    """Whether a flag was given.

    Args:
        options: as they were parsed.
        flag: such as `--sample`.

    Returns:
        Whether it was.
    """
    return bool(getattr(options, flag.removeprefix("--").replace("-", "_")))


def check_data(options: argparse.Namespace) -> None:
    """Refuse to measure on nothing, on two things, or on one with flags of the other.

    Args:
        options: as they were parsed.

    Raises:
        ConfigurationError: as said.
    """
    if (options.data is None) == (options.index is None):
        raise ConfigurationError("write INDEX, of which a sample is drawn, or --data DIR, a folder with judgements")
    if options.data is not None and (idle := [flag for flag in OF_AN_INDEX if given(options, flag)]):
        raise ConfigurationError(f"{' and '.join(idle)}: leave out what says something of INDEX, or write INDEX")


def check_batch(options: argparse.Namespace, *, hands_over: bool = False) -> None:
    """Refuse flags of `run --batch` where nothing is handed over.

    Args:
        options: as they were parsed.
        hands_over: they are those of `run`.

    Raises:
        ConfigurationError: as said.
    """
    if options.batch is True and not hands_over:
        raise ConfigurationError("--batch without a word goes with migrate run; write --batch pay, wait or skip here")
    if hands_over and options.batch is not True and (options.wait or options.queue_tokens is not None):
        raise ConfigurationError(
            "--wait and --queue-tokens go with --batch: write --batch, without a word, beside them, or leave them out"
        )
