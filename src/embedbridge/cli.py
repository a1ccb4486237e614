"""The command line: one sub-command a job, each in the module that does it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import __version__
from .core.errors import EmbeddingError
from .options import DEFAULT_MODEL


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 for a named error, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except EmbeddingError as error:
        print(f"embedbridge: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - a command line prints
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("embedbridge", description="One embedding core for LangChain and LlamaIndex.")
    parser.add_argument("--version", action="version", version=f"embedbridge {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="embed the Python language reference, ask it questions, and do it again")
    demo.add_argument("--model", default=DEFAULT_MODEL, help="provider:model (default: %(default)s)")
    demo.add_argument("--question", action="append", help="ask this instead; may be given more than once")
    demo.set_defaults(run=_demo)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from .demo import run_demo  # noqa: PLC0415 - it loads both frameworks

    return run_demo(model=options.model, questions=options.question)
