"""`embedbridge models`: see `embedbridge.listing`."""

from __future__ import annotations

import argparse

from . import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("models", help="list the models that are known, or show one in full")
    parser.add_argument("name", nargs="?", metavar="NAME", help="a model, with or without its provider; or a directory")
    parser.add_argument("--provider", help="only its models")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from embedbridge.listing import run_models  # noqa: PLC0415 - as little as a command needs

    return run_models(provider=options.provider, name=options.name, as_json=options.json)
