"""`embedbridge demo`: see `cli.demonstration`, which loads both frameworks and is imported only when it runs."""

from __future__ import annotations

import argparse

from embedbridge.options import DEFAULT_MODEL

from .common import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("demo", help="embed the Python language reference, ask it questions, and do it again")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="provider:model (default: %(default)s)")
    parser.add_argument("--question", action="append", help="ask this instead; may be given more than once")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from embedbridge.cli.demonstration import run_demo  # noqa: PLC0415 - as the docstring says

    return run_demo(model=options.model, questions=options.question)
