"""The command line: one sub-command a job, each in the module that does it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from . import __version__
from .core.errors import EmbeddingError
from .options import DEFAULT_MODEL


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 for a named error, 130 for Ctrl-C, 141 for a reader who has left."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except EmbeddingError as error:
        print(f"embedbridge: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - a command line prints
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes
        return 141
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("embedbridge", description="One embedding core for LangChain and LlamaIndex.")
    parser.add_argument("--version", action="version", version=f"embedbridge {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="embed the Python language reference, ask it questions, and do it again")
    demo.add_argument("--model", default=DEFAULT_MODEL, help="provider:model (default: %(default)s)")
    demo.add_argument("--question", action="append", help="ask this instead; may be given more than once")
    demo.set_defaults(run=_demo)
    models = commands.add_parser("models", help="list the models that are known, or show one in full")
    models.add_argument("name", nargs="?", metavar="NAME", help="a model, with or without its provider; or a directory")
    models.add_argument("--provider", help="only its models")
    models.add_argument("--json", action="store_true", help="for programs")
    models.set_defaults(run=_models)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from .demo import run_demo  # noqa: PLC0415 - it loads both frameworks

    return run_demo(model=options.model, questions=options.question)


def _models(options: argparse.Namespace) -> int:
    from .listing import run_models  # noqa: PLC0415 - as little as a command needs

    return run_models(provider=options.provider, name=options.name, as_json=options.json)
