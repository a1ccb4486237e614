"""The command line: a command is run, and a failure is reported in one line. Each command is a module of its own."""

from __future__ import annotations

import argparse
import io
import os
import sqlite3
import sys
import warnings
from collections.abc import Sequence
from functools import partial

from embedbridge import __version__
from embedbridge._threads.telling import flush
from embedbridge.cache import CacheError
from embedbridge.errors import EmbeddingError

from . import batch, cache, demo, embed, evaluate, migrate, models
from .arguments import Parser, Plain
from .common import show_help
from .wording import in_flags

__all__ = ["main"]

EPILOG = """\
exit status:
  0, 1 for an error, 2 for a wrong call, 130 for Ctrl-C, 141 for a closed pipe

environment:
  OPENAI_API_KEY, VOYAGE_API_KEY …  keys, which are never arguments
  EMBEDBRIDGE_CACHE_DIR             where vectors are kept

examples:
  embedbridge models bge
  embedbridge embed corpus.jsonl -m openai:text-embedding-3-small --dry-run
  embedbridge COMMAND --help"""
COMMANDS = (demo, embed, batch, migrate, evaluate, models, cache)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: without the program's name; None: those of the process.

    Returns:
        The exit status: 0, 1 for a named error, 130 for Ctrl-C, 141 for a reader who has left.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a terminal that lacks a character still gets all
    shown = warnings.formatwarning
    warnings.formatwarning = _in_one_line
    try:
        options = _parser().parse_args(arguments)
        status: int = options.run(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes
        return 141
    except (EmbeddingError, CacheError, OSError, sqlite3.Error) as error:
        print(f"embedbridge: {_told(error)}", file=sys.stderr)  # noqa: T201 - a command line prints
        return 1
    except KeyboardInterrupt as stopped:
        told = f"interrupted{': ' if str(stopped) else ''}{stopped}"
        print(f"embedbridge: {told}", file=sys.stderr)  # noqa: T201 - a command line prints
        return 130
    finally:
        flush()
        warnings.formatwarning = shown
    return status


def _in_one_line(message: Warning | str, *_: object, **__: object) -> str:
    """A warning as the command line's other lines are, without a line of source."""
    return f"embedbridge: warning: {in_flags(str(message))}\n"


def _told(error: Exception) -> str:
    """`in.txt: No such file or directory`, or the error's name and what it says."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {in_flags(str(error))}"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "embedbridge",
        description="One embedding layer for LangChain and LlamaIndex.",
        epilog=EPILOG,
        formatter_class=Plain,
    )
    parser.add_argument("--version", action="version", version=f"embedbridge {__version__}")
    parser.set_defaults(run=partial(show_help, parser))
    commands = parser.add_subparsers(metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
